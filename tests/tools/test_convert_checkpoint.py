"""``tools/convert_checkpoint.py`` on a golden X-CLIP and on files that are no checkpoints."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from golden import golden_config
from mmaction.registry import MODELS
from mmengine.config import Config

from mmxclip.checkpoints import convert_state_dict, load


@pytest.fixture(scope='module')
def official(tmp_path_factory) -> Path:
    """Return a file as the authors' trainer names it."""
    model = MODELS.build(golden_config())
    state = convert_state_dict(model.state_dict(), target='official')
    path = tmp_path_factory.mktemp('official') / 'k400_tiny_4.pth'
    torch.save({'model': state, 'epoch': 29}, path)
    return path


def test_there_and_back(run_tool, official, tmp_path):
    """Through a folder of transformers to a file of the authors, bit for bit."""
    done = run_tool('convert_checkpoint.py', official, tmp_path / 'hf', '--target', 'hf')
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == (
        f"{official}: the authors' X-CLIP (official), 123 tensors, 1,713,153 parameters, float32"
    )
    assert lines[1] == (
        'vision tower 128 wide, 2 layers, patches of 16 in 32 pixels, 4 frames; '
        'text tower 128 wide, 2 layers; joint width 128'
    )
    assert lines[-1] == f'{tmp_path / "hf"}: 151 tensors as hf'
    done = run_tool(
        *('convert_checkpoint.py', tmp_path / 'hf', tmp_path / 'back.pth'),
        *('--source', 'hf', '--target', 'official'),
    )
    assert done.returncode == 0, done.stderr
    expected = torch.load(official, weights_only=True)['model']
    actual = torch.load(tmp_path / 'back.pth', weights_only=True)['model']
    assert actual.keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in actual.items())


def test_printed_configs_build_the_model(run_tool, official, tmp_path):
    done = run_tool('convert_checkpoint.py', official, tmp_path / 'own.safetensors')
    assert done.returncode == 0, done.stderr
    config: dict = {}
    for line in done.stdout.splitlines():
        if line.startswith(('backbone=', 'neck=', 'cls_head=')):
            exec(line, {}, config)
    model = MODELS.build(dict(type='XCLIP', **config))
    model.load_state_dict(load(tmp_path / 'own.safetensors'), strict=True)


def test_other_tools_take_the_authors_files(run_tool, xclip_config, tmp_path):
    """The checkpoint of ``tools/test.py`` is converted where the model is filled."""
    model = MODELS.build(Config.fromfile(xclip_config, import_custom_modules=False).model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'own.pth')
    official = convert_state_dict(model.state_dict(), target='official')
    torch.save({'model': official, 'epoch': 29}, tmp_path / 'official.pth')
    results = []
    for name in ('own', 'official'):
        done = run_tool(
            *('test.py', xclip_config, tmp_path / f'{name}.pth', '--work-dir', tmp_path / 'run'),
            *('--dump', tmp_path / f'{name}.pkl'),
        )
        assert done.returncode == 0, done.stderr
        samples = pickle.loads((tmp_path / f'{name}.pkl').read_bytes())
        results.append(torch.stack([sample['pred_score'] for sample in samples]))
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ('args', 'code', 'complaint'),
    [
        (['absent.pth', 'dst.pth'], 1, 'checkpoint absent.pth does not exist'),
        (['{src}', 'dst.bin'], 1, 'dst.bin ends in neither .pth nor .safetensors'),
        (['{src}', 'dst.pth', '--source', 'hf'], 1, 'of 123 keys are not known'),
        (['{src}', '{src}'], 1, 'is the file that is read'),
        (['{src}', 'dst.pth', '--source', 'flax'], 2, "invalid choice: 'flax'"),
        (['{src}'], 2, 'the following arguments are required: dst'),
        (['text.pth', 'dst.pth'], 1, 'text.pth cannot be read'),
    ],
)
def test_mistakes(run_tool, official, tmp_path, args, code, complaint):
    (tmp_path / 'text.pth').write_text('no checkpoint')
    args = [official if arg == '{src}' else arg for arg in args]
    done = run_tool('convert_checkpoint.py', *args, cwd=tmp_path)
    assert done.returncode == code
    assert complaint in done.stderr
    assert 'Traceback' not in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert os.listdir(tmp_path) == ['text.pth']
    assert done.stdout == ''
