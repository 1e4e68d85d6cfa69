"""``tools/train_tiny_clip.py``: weights from which a recognizer starts."""

import pytest
import torch

from mmxclip.models import CrossFrameViT
from mmxclip.models.text import CLIPTextEncoder

BRIEF = ('--steps', 2, '--batch-size', 4, '--num-stills', 8)


@pytest.fixture(scope='module')
def done(run_tool, tmp_path_factory):
    out = tmp_path_factory.mktemp('tiny') / 'a.safetensors'
    return run_tool('train_tiny_clip.py', out, *BRIEF), out


def test_it_says_what_it_wrote(done):
    result, out = done
    assert result.returncode == 0, result.stderr
    assert 'step 2 of 2: loss' in result.stdout
    assert result.stdout.splitlines()[-1].endswith(f'wrote {out}')


@pytest.mark.parametrize(
    ('part', 'arguments'),
    [
        (CrossFrameViT, dict(img_size=64, embed_dims=96, num_layers=4, num_heads=3)),
        (CLIPTextEncoder, dict(embed_dims=64, num_layers=2, num_heads=2, context_length=16)),
    ],
)
def test_the_towers_start_from_it(done, part, arguments):
    init = dict(type='OpenCLIPPretrained', pretrained=str(done[1]))
    module = part(output_dims=64, init_cfg=init, **arguments)
    before = {name: value.clone() for name, value in module.named_parameters()}
    module.init_weights()
    changed = [
        name for name, value in module.named_parameters() if not torch.equal(value, before[name])
    ]
    assert any('attn' in name for name in changed)
    if part is CLIPTextEncoder:
        vectors = module.encode(['a red circle moving left', 'a red circle moving right'])
        assert not torch.allclose(*vectors)


def test_what_is_wrong_is_said_in_one_line(run_tool, tmp_path):
    result = run_tool('train_tiny_clip.py', tmp_path / 'a.safetensors', '--steps', 0)
    assert result.returncode == 1
    assert result.stderr.strip() == (
        'mmxclip: error: steps=0, batch_size=128 and num_stills=40000 must be at least 1, 2 and '
        'batch_size'
    )
    assert not list(tmp_path.iterdir())


def test_an_unwritable_path_is_refused_before_training(run_tool, tmp_path):
    result = run_tool('train_tiny_clip.py', tmp_path / 'no such' / 'a.safetensors')
    assert result.returncode == 1
    assert 'cannot be written (No such file or directory); give another path' in result.stderr
    assert not result.stdout
