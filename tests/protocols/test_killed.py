"""Protocols that are killed in the middle, and protocols of several processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from miniature import KILL, ROOT

from mmxclip.checkpoints.safe_load import load_file

TOOL = ROOT / 'tools' / 'protocol.py'
OUTPUTS = ('protocol.json', 'protocol.csv', 'protocol.md')


def start(*args, launcher=(), **environment):
    """Run the tool in a process of its own, or in two."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')])
    return subprocess.run(
        [sys.executable, *launcher, TOOL, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': '1', **environment},
    )


def outputs(folder):
    return {name: (folder / name).read_text() for name in OUTPUTS}


def test_killed_in_training(run_protocol, miniature, tmp_path, monkeypatch, capsys):
    """In the second epoch of the second run; the first is not repeated, the second resumed."""
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    axes = ('--axes', 'shots=2')
    run_protocol('fewshot', whole, *axes)
    args = ('fewshot', miniature.configs['fewshot'], miniature.checkpoint, '--work-dir', cut, *axes)
    done = start(*args, **{KILL: 'shots2_seed1/train:3'})
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert not any((cut / name).exists() for name in OUTPUTS)
    assert json.loads((cut / 'shots2_seed1' / 'run.json').read_text())['trained'] is None
    assert (cut / 'shots2_seed1' / 'train' / 'epoch_1.pth').exists()
    capsys.readouterr()
    run_protocol('fewshot', cut, *axes)
    said = capsys.readouterr().err
    assert 'shots2_seed0_train: done before' in said
    assert 'resumed epoch: 1, iter: 2' in said
    assert outputs(cut) == outputs(whole)


@pytest.mark.slow
def test_killed_in_a_test(miniature, tmp_path):
    """And started again with nothing but the same command."""
    args = ('zeroshot', miniature.configs['zeroshot'], miniature.checkpoint, '--work-dir')
    whole, cut = tmp_path / 'whole', tmp_path / 'cut'
    done = start(*args, whole)
    assert done.returncode == 0, done.stderr[-2000:]
    assert start(*args, cut, **{KILL: 'split2/test:2'}).returncode == -signal.SIGKILL
    assert json.loads((cut / 'split1' / 'run.json').read_text())['tests']
    assert not json.loads((cut / 'split2' / 'run.json').read_text())['tests']
    again = start(*args, cut)
    assert again.returncode == 0, again.stderr[-2000:]
    assert again.stderr.count('done before') == 1
    assert outputs(cut) == outputs(whole)
    assert again.stdout == done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('name', ['zeroshot', 'fewshot', 'base2novel'])
def test_two_processes_equal_one(run_protocol, miniature, tmp_path, name):
    """Batches of two in each of two processes, of four in one."""
    one, two = tmp_path / 'one', tmp_path / 'two'
    axes = dict(fewshot=('--axes', 'shots=4', 'seed=1')).get(name, ())
    # AdamW would make steps of the learning rate out of gradients that are rounding alone
    options = (*axes, '--cfg-options', 'optim_wrapper.optimizer.type=SGD')
    expected = run_protocol(name, one, *options)
    done = start(
        *(name, miniature.configs[name], miniature.checkpoint, '--work-dir', two),
        *('--launcher', 'pytorch', *options, 'train_dataloader.batch_size=2'),
        'model_wrapper_cfg.type=MMDistributedDataParallel',
        'model_wrapper_cfg.find_unused_parameters=True',
        launcher=('-m', 'torch.distributed.run', '--nproc-per-node=2', '--standalone'),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads((two / 'protocol.json').read_text())
    del expected['published'], found['published']  # rows of the tests, and those of the package
    assert found == expected
    for path in one.rglob('epoch_2.pth'):
        weights, others = (
            load_file(file)['state_dict'] for file in (path, two / path.relative_to(one))
        )
        torch.testing.assert_close(others, weights, rtol=1e-4, atol=1e-6)
    assert done.stderr.count('wrote ') == len(OUTPUTS)
    assert done.stdout.count('numbers: accuracy in %') == 1


@pytest.mark.slow
def test_refusal_ends_all_processes(run_protocol, miniature, tmp_path):
    """The first process finds the reason, and every one says it."""
    (tmp_path / 'split1').mkdir()
    (tmp_path / 'split1' / 'thesis.tex').write_text('years of work')
    done = start(
        *('zeroshot', miniature.configs['zeroshot'], miniature.checkpoint),
        *('--work-dir', tmp_path, '--launcher', 'pytorch'),
        launcher=('-m', 'torch.distributed.run', '--nproc-per-node=2', '--standalone'),
    )
    assert done.returncode == 1
    complaints = [
        line for line in done.stderr.splitlines() if 'holds files and no run.json' in line
    ]
    assert {line.split(':')[0] for line in complaints} == {'mmxclip', 'mmxclip (rank 1)'}
