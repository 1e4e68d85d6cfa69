from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import renamed, saved
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from mmxclip.checkpoints.safe_load import load_file
from mmxclip.errors import CheckpointError


class Numbers(Dataset):
    metainfo = dict(classes=('still', 'moving'))

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> dict:
        return dict(x=torch.full((2,), float(index)))


class Tiny(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    def forward(self, x: list[torch.Tensor], mode: str = 'tensor') -> dict:
        return dict(loss=self.layer(torch.stack(x)).square().mean())


def train(folder: Path, epochs: int, scheduler: dict | None = None, **options: Any) -> Runner:
    runner = Runner(
        model=Tiny(),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=Numbers(),
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_size=2,
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-2)),
        param_scheduler=[scheduler or dict(type='StepLR', step_size=1)],
        custom_hooks=[dict(type='EMAHook')],
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        default_scope='mmengine',
        experiment_name=f'{folder.name}-{epochs}-{id(options)}',
        log_level='ERROR',
        **options,
    )
    runner.train()
    return runner


SCHEDULERS = [
    dict(type='StepLR', step_size=1),
    dict(type='CosineAnnealingLR', T_max=3),
    dict(type='OneCycleLR', eta_max=0.1, total_steps=9),
    dict(type='OneCycleLR', eta_max=0.1, total_steps=9, anneal_strategy='linear'),
    dict(type='ReduceOnPlateauLR', monitor='loss'),
    dict(type='LinearLR', start_factor=0.1, end=2),
]


@pytest.fixture(scope='module')
def runner_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('run')
    train(folder, 1)
    return folder / 'epoch_1.pth'


def test_runner_checkpoint_comes_back_whole(runner_file: Path) -> None:
    ours, trusted = load_file(runner_file), torch.load(runner_file, weights_only=False)
    assert ours.keys() == trusted.keys() >= {'message_hub', 'optimizer', 'ema_state_dict'}
    assert ours['meta'] == trusted['meta']
    assert ours['state_dict']._metadata == trusted['state_dict']._metadata
    for key, value in trusted['state_dict'].items():
        torch.testing.assert_close(ours['state_dict'][key], value, rtol=0, atol=0)
    hub, trusted_hub = ours['message_hub'], trusted['message_hub']
    assert hub['runtime_info'] == trusted_hub['runtime_info']
    assert type(hub['runtime_info']['eta']) is np.float64
    assert hub['log_scalars'].keys() == trusted_hub['log_scalars'].keys()
    buffer, original = (one['log_scalars']['train/loss'] for one in (hub, trusted_hub))
    assert type(buffer) is HistoryBuffer
    assert buffer.max_length == original.max_length
    for ours_data, trusted_data in zip(buffer.data, original.data, strict=True):
        assert type(ours_data) is np.ndarray
        np.testing.assert_array_equal(ours_data, trusted_data, strict=True)
    buffer.update(3.0)
    assert buffer.statistics('current') == 3


@pytest.mark.parametrize('scheduler', SCHEDULERS, ids=lambda cfg: '-'.join(map(str, cfg.values())))
def test_training_is_resumed(tmp_path: Path, scheduler: dict) -> None:
    train(tmp_path, 1, scheduler)
    resumed = train(tmp_path, 2, scheduler, resume=True)
    assert (resumed.epoch, resumed.iter) == (2, 4)
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 4


def test_file_of_numpy_1(tmp_path: Path, runner_file: Path) -> None:
    old = renamed(runner_file, tmp_path / 'old.pth', b'numpy._core', b'numpy.core')
    ours, expected = load_file(old), load_file(runner_file)
    assert ours['message_hub']['runtime_info'] == expected['message_hub']['runtime_info']


def test_file_format_before_zip(tmp_path: Path, runner_file: Path) -> None:
    content = torch.load(runner_file, weights_only=False)
    torch.save(content, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    ours = load_file(tmp_path / 'old.pth')
    assert ours['message_hub']['log_scalars']['train/loss'].data[0].shape == (2,)
    assert ours['meta'] == content['meta']


ARRAYS = [
    np.arange(6.0).reshape(2, 3),
    np.asfortranarray(np.arange(6).reshape(2, 3)),
    np.arange(3, dtype='>i4'),
    np.array([]),
    np.zeros((0, 3), np.float32),
    np.array(2 + 1j),
    np.array([True, False]),
    np.arange(3, dtype=np.float16),
]
SCALARS = [np.float64(0.1), np.int64(-3), np.bool_(True), np.float32(2), np.complex64(1j)]


@pytest.mark.parametrize('array', ARRAYS, ids=lambda array: f'{array.dtype}-{array.shape}')
def test_arrays_anywhere(tmp_path: Path, array: np.ndarray) -> None:
    inside: dict = dict(plain=array, nested=[1, (array, 'x'), OrderedDict(a=[array])])
    inside['itself'] = inside
    ours = load_file(saved(tmp_path / 'a.pth', inside))
    for found in (ours['plain'], ours['nested'][1][0], ours['nested'][2]['a'][0]):
        assert type(found) is np.ndarray
        assert found.flags.f_contiguous == array.flags.f_contiguous
        np.testing.assert_array_equal(found, array, strict=True)
    assert ours['nested'][1][0] is ours['plain']  # one array stays one
    assert ours['itself'] is ours
    ours['plain'] += 1 if array.dtype != bool else True  # and is not read-only


@pytest.mark.parametrize('number', SCALARS, ids=repr)
def test_numpy_numbers(tmp_path: Path, number: np.generic) -> None:
    ours = load_file(saved(tmp_path / 'n.pth', dict(number=number)))['number']
    assert ours == number
    assert type(ours) is type(number)


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(dict(a=torch.arange(3)), tmp_path / 'a.safetensors')
    assert load_file(tmp_path / 'a.safetensors')['a'].tolist() == [0, 1, 2]


def test_map_location_reaches_torch(tmp_path: Path) -> None:
    path = saved(tmp_path / 'a.pth', dict(a=torch.ones(2)))
    assert load_file(path, 'meta')['a'].is_meta
    assert load_file(str(path), lambda storage, location: storage)['a'].tolist() == [1, 1]


def test_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    saved(tmp_path / 'a.pth', dict(a=1))
    assert load_file('~/a.pth') == dict(a=1)


def test_absent(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'no\.pth does not exist; check the path'):
        load_file(tmp_path / 'no.pth')


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='is a folder, expected a file'):
        load_file(tmp_path)


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_empty(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f'e.{suffix}').touch()
    with pytest.raises(CheckpointError, match='is empty'):
        load_file(tmp_path / f'e.{suffix}')


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no pipes here')
def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe.pth')
    with pytest.raises(CheckpointError, match='is empty'):
        load_file(tmp_path / 'pipe.pth')


def test_name_too_long(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='cannot be reached: File name too long'):
        load_file(tmp_path / ('x' * 300))


@pytest.mark.skipif(os.name != 'posix' or os.geteuid() == 0, reason='root reads everything')
def test_no_permission(tmp_path: Path) -> None:
    path = saved(tmp_path / 'a.pth', {})
    path.chmod(0)
    with pytest.raises(CheckpointError, match='cannot be read: Permission denied'):
        load_file(path)


@pytest.mark.parametrize('share', [0.002, 0.02, 0.5, 0.9, 0.999])
def test_truncated(tmp_path: Path, runner_file: Path, share: float) -> None:
    data = runner_file.read_bytes()
    (tmp_path / 't.pth').write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match='is damaged, half-copied or no checkpoint') as caught:
        load_file(tmp_path / 't.pth')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('content', [b'not weights at all\n', b'\x80\x02.', b'<html></html>'])
def test_something_else(tmp_path: Path, content: bytes) -> None:
    for name in ('x.pth', 'x.safetensors'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match='is damaged, half-copied or no checkpoint'):
            load_file(tmp_path / name)


@pytest.mark.parametrize('content', [torch.ones(2), [1, 2], None, 3], ids=type)
def test_no_dict(tmp_path: Path, content: Any) -> None:
    kind = type(content).__name__
    with pytest.raises(CheckpointError, match=f'holds a {kind}, expected a dict'):
        load_file(saved(tmp_path / 'x.pth', content))


def test_whole_module(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'asks for torch\.nn\.modules\.linear\.Linear'):
        load_file(saved(tmp_path / 'x.pth', nn.Linear(1, 1)))


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without CUDA')
def test_saved_on_a_device_that_is_not_here(tmp_path: Path) -> None:
    path = saved(tmp_path / 'a.pth', dict(a=torch.ones(2)))
    path = renamed(path, tmp_path / 'b.pth', b'X\x03\x00\x00\x00cpu', b'X\x04\x00\x00\x00cuda')
    assert load_file(path)['a'].tolist() == [1, 1]
    with pytest.raises(CheckpointError, match='that this machine lacks; load it with map_location'):
        load_file(path, None)


def test_lack_of_memory_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, 'load', full)
    path = tmp_path / 'a.pth'
    path.write_bytes(b'x')
    with pytest.raises(MemoryError):
        load_file(path)
