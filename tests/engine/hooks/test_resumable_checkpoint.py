"""Whenever a run is killed while it saves, something whole is left."""

from pathlib import Path

import pytest
import torch
from mmengine.fileio import LocalBackend
from toy_training import toy_config, train


class Killed(Exception):
    """Thrown where a process would end."""


def whole(path):
    return torch.load(path, weights_only=False)['meta']


def resumable(folder):
    """Epoch of the checkpoint that ``--resume`` would take."""
    return whole(Path(folder, 'last_checkpoint').read_text())['epoch']


@pytest.mark.parametrize('kill_at', [1, 2, 3, 4, 5, 6, 7])
def test_killed_while_something_is_written(tmp_path, monkeypatch, kill_at):
    """Files are written in this order: a checkpoint, its name, the best, both again, the next."""
    put = LocalBackend.put
    count = 0

    def killed_put(self, data, path):
        nonlocal count
        count += 1
        if count == kill_at:
            Path(path).with_name('partial_1_of_a_killed_run').write_bytes(data[:9])
            raise Killed
        put(self, data, path)

    monkeypatch.setattr(LocalBackend, 'put', killed_put)
    best = dict(
        default_hooks__checkpoint__save_best='toy/score',
        default_hooks__checkpoint__max_keep_ckpts=1,
    )
    with pytest.raises(Killed):
        train(toy_config(tmp_path, **best))
    if kill_at > 2:
        assert resumable(tmp_path) == 1
    monkeypatch.undo()
    runner = train(toy_config(tmp_path, resume=True, **best))
    assert runner.epoch == 3
    assert resumable(tmp_path) == 3
    assert [path.name for path in tmp_path.glob('epoch_*')] == ['epoch_3.pth']
    assert list(tmp_path.glob('partial_*')) == []


def test_the_old_one_is_deleted_last(tmp_path, monkeypatch):
    remove = LocalBackend.remove
    seen = []

    def watched(self, path):
        seen.append((Path(path).name, resumable(tmp_path)))
        remove(self, path)

    monkeypatch.setattr(LocalBackend, 'remove', watched)
    train(toy_config(tmp_path, default_hooks__checkpoint__max_keep_ckpts=1))
    assert seen == [('epoch_1.pth', 2), ('epoch_2.pth', 3)]


@pytest.mark.parametrize('runner_type', ['Runner', 'FlexibleRunner'])
def test_position_after_a_best_score(tmp_path, runner_type):
    changes = {}
    if runner_type == 'FlexibleRunner':
        changes = dict(runner_type=runner_type, strategy=dict(type='SingleDeviceStrategy'))
    train(
        toy_config(
            tmp_path,
            train_cfg__max_epochs=1,
            default_hooks__checkpoint__save_best='toy/score',
            **changes,
        )
    )
    meta = whole(tmp_path / 'epoch_1.pth')
    assert (meta['epoch'], meta['iter']) == (1, 5)
