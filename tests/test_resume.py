"""A run that was stopped anywhere and resumed equals one that was not, bit by bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_training
from toy_training import Stopped, toy_config, train

import mmxclip

SUBPROCESS = {**os.environ, 'PYTHONPATH': str(Path(mmxclip.__file__).parents[1])}
BY_ITERATION = dict(
    default_hooks__checkpoint__by_epoch=False, default_hooks__checkpoint__interval=2
)
FLEXIBLE = dict(runner_type='FlexibleRunner', strategy=dict(type='SingleDeviceStrategy'))


def outcome(folder, name='iter_15.pth'):
    """Everything that a run has come to: weights, optimizer, schedules, random numbers, metrics."""
    checkpoint = torch.load(Path(folder, name), weights_only=False)
    state = {
        key: checkpoint[key]
        for key in ('state_dict', 'optimizer', 'param_schedulers', 'training_state')
    }
    scalars = checkpoint['message_hub']['log_scalars']
    state['history'] = {
        key: torch.as_tensor(buffer.data[0])
        for key, buffer in scalars.items()
        if not key.endswith('time')
    }
    return state


def assert_equal(actual, expected):
    """Compare nested containers; tensors bit by bit."""
    assert type(actual) is type(expected)
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        for key in expected:
            assert_equal(actual[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_equal(one, other)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(actual, expected)
    else:
        assert actual == expected


def stop_and_resume(folder, iteration, **changes):
    hooks = changes.get('custom_hooks', [dict(type='RecordHook')])
    stop = [*hooks, dict(type='StopHook', iteration=iteration)]
    with pytest.raises(Stopped):
        train(toy_config(folder, **{**changes, 'custom_hooks': stop}))
    return train(toy_config(folder, resume=True, **changes))


@pytest.mark.parametrize(
    ('stop', 'first', 'changes'),
    [
        (9, 8, {}),  # within an epoch
        (10, 10, {}),  # after its last iteration, before its end
        (11, 10, {}),  # at the end of one, validated meanwhile
        (9, 8, dict(default_hooks__checkpoint__save_best='toy/score')),
        (11, 10, dict(default_hooks__checkpoint__save_best='toy/score')),
        (9, 8, dict(optim_wrapper__accumulative_counts=3)),
        (9, 8, dict(train_dataloader__drop_last=True, train_dataloader__batch_size=3)),
        (9, 8, dict(FLEXIBLE, default_hooks__checkpoint__save_best='toy/score')),
        (11, 10, dict(FLEXIBLE, default_hooks__checkpoint__save_best='toy/score')),
        (9, 8, dict(FLEXIBLE, optim_wrapper__accumulative_counts=3)),
        (9, 8, dict(custom_hooks=[dict(type='RecordHook'), dict(type='EMAHook')])),
    ],
)
def test_by_iteration(tmp_path, stop, first, changes):
    changes = {**BY_ITERATION, **changes}
    full = train(toy_config(tmp_path / 'full', **changes))
    resumed = stop_and_resume(tmp_path / 'cut', stop, **changes)
    assert next(iter(resumed.rows)) == first
    assert resumed.rows == {key: row for key, row in full.rows.items() if key >= first}
    name = f'iter_{full.iter}.pth'
    assert_equal(outcome(tmp_path / 'cut', name), outcome(tmp_path / 'full', name))


@pytest.mark.parametrize('stop', [6, 9, 14])
@pytest.mark.parametrize('save_best', [None, 'toy/score'])
def test_by_epoch(tmp_path, stop, save_best):
    changes = dict(default_hooks__checkpoint__save_best=save_best)
    full = train(toy_config(tmp_path / 'full', **changes))
    resumed = stop_and_resume(tmp_path / 'cut', stop, **changes)
    first = stop // 5 * 5
    assert resumed.rows == {key: row for key, row in full.rows.items() if key >= first}
    assert_equal(
        outcome(tmp_path / 'cut', 'epoch_3.pth'), outcome(tmp_path / 'full', 'epoch_3.pth')
    )


@pytest.mark.parametrize('workers', [0, 2])
def test_killed(tmp_path, workers):
    """SIGKILL in the middle of an epoch, with loader workers under way."""
    changes = dict(
        BY_ITERATION,
        train_dataloader__num_workers=workers,
        train_dataloader__persistent_workers=workers > 0,
        default_hooks__checkpoint__save_best='toy/score',
        default_hooks__checkpoint__max_keep_ckpts=1,
    )
    full = train(toy_config(tmp_path / 'full', **changes))
    kill = dict(type='StopHook', iteration=9, kill=True)
    cfg = toy_config(tmp_path / 'cut', custom_hooks=[dict(type='RecordHook'), kill], **changes)
    cfg.dump(tmp_path / 'killed.py')
    command = [sys.executable, toy_training.__file__, str(tmp_path / 'killed.py')]
    log = tmp_path / 'killed.log'
    with open(log, 'w') as file:  # a pipe would stay open until the orphaned workers notice
        run = subprocess.run(command, env=SUBPROCESS, check=False, stdout=file, stderr=file)
    assert run.returncode == -signal.SIGKILL, log.read_text()
    assert Path(tmp_path, 'cut', 'last_checkpoint').read_text().endswith('iter_8.pth')
    resumed = train(toy_config(tmp_path / 'cut', resume=True, **changes))
    assert resumed.rows == {key: row for key, row in full.rows.items() if key >= 8}
    assert_equal(outcome(tmp_path / 'cut'), outcome(tmp_path / 'full'))
    assert not list(Path(tmp_path, 'cut').glob('partial_*'))


def test_loader_workers_do_not_matter(tmp_path):
    expected = train(toy_config(tmp_path / '0'))
    for name, changes in {
        '1': dict(num_workers=1),
        '2': dict(num_workers=2, persistent_workers=True, prefetch_factor=3),
    }.items():
        changes = {f'train_dataloader__{key}': value for key, value in changes.items()}
        changes['val_dataloader__num_workers'] = int(name)
        runner = train(toy_config(tmp_path / name, **changes))
        assert runner.rows == expected.rows
        assert_equal(
            outcome(tmp_path / name, 'epoch_3.pth'), outcome(tmp_path / '0', 'epoch_3.pth')
        )


def test_validation_does_not_change_training(tmp_path):
    expected = train(toy_config(tmp_path / 'each'))
    runner = train(toy_config(tmp_path / 'last', train_cfg__val_interval=3))
    assert runner.rows == expected.rows


def test_without_a_seed(tmp_path):
    """The seed is drawn at the start, and must be the same after resuming."""
    changes = dict(BY_ITERATION, randomness=dict(seed=None))
    with pytest.raises(Stopped):
        stop = [dict(type='RecordHook'), dict(type='StopHook', iteration=15)]
        full = toy_config(tmp_path / 'full', custom_hooks=stop, **changes)
        train(full)
    seed = torch.load(tmp_path / 'full' / 'iter_14.pth', weights_only=False)['meta']['seed']
    expected = train(toy_config(tmp_path / 'again', **BY_ITERATION, randomness=dict(seed=seed)))
    path = str(tmp_path / 'full' / 'iter_8.pth')
    resumed = train(toy_config(tmp_path / 'cut', resume=True, load_from=path, **changes))
    assert resumed.rows == {key: row for key, row in expected.rows.items() if key >= 8}


def test_epochs_of_another_length_begin_anew(tmp_path, monkeypatch):
    with pytest.raises(Stopped):
        stop = [dict(type='RecordHook'), dict(type='StopHook', iteration=9)]
        train(toy_config(tmp_path, custom_hooks=stop, **BY_ITERATION))
    changes = dict(BY_ITERATION, train_dataloader__batch_size=5, resume=True)
    resumed = train(toy_config(tmp_path, **changes))
    batches = [row[0] for row in resumed.rows.values()]
    assert batches == [0, 1, 2, 3] * 2  # epochs 2 and 3, of four batches each
    assert resumed.epoch == 3


def test_weights_are_loaded_without_the_rest(tmp_path):
    """``load_from`` starts at the beginning, with the random numbers of the config."""
    expected = train(toy_config(tmp_path / 'one'))
    path = str(tmp_path / 'one' / 'epoch_3.pth')
    runner = train(toy_config(tmp_path / 'two', load_from=path))
    assert runner.iter == 15
    assert [row[1] for row in runner.rows.values()] == [row[1] for row in expected.rows.values()]


def test_a_checkpoint_of_stock_parts_resumes_at_its_epoch(tmp_path):
    stock = dict(
        train_cfg=dict(_delete_=True, by_epoch=True, max_epochs=3),
        default_hooks__checkpoint__type='CheckpointHook',
    )
    with pytest.raises(Stopped):
        stop = [dict(type='RecordHook'), dict(type='StopHook', iteration=8)]
        train(toy_config(tmp_path, custom_hooks=stop, **stock))
    resumed = train(toy_config(tmp_path, resume=True))
    assert list(resumed.rows) == list(range(5, 15))
    assert resumed.rows[5][0] == 0
