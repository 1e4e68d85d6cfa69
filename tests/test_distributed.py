"""Two processes, plain and sharded, give what one gives, and resume as one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import two_ranks
from mmaction.registry import MODELS
from toy_training import ToyDropoutModel, toy_config, train

import mmxclip
from mmxclip.models.heads.video_prompt_head import INITIAL_LOGIT_SCALE

ROOT = Path(mmxclip.__file__).parents[1]


def torchrun(*command):
    """Start two processes; returns what they said."""
    run = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2', '--standalone']
        + [str(part) for part in command],
        env={**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{ROOT / "tests"}'},
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return run.stdout + run.stderr


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('two_ranks')
    torchrun(two_ranks.__file__, folder)
    return folder


@pytest.fixture(scope='module')
def single(tmp_path_factory):
    """One process with batches as large as those of the two together."""
    folder = tmp_path_factory.mktemp('single')
    runner = train(toy_config(folder, **two_ranks.CALM))
    return torch.load(folder / 'epoch_3.pth', weights_only=False), runner.rows


def load(folder, name, file):
    return torch.load(folder / name / file, weights_only=False)


def rows(folder, name, rank):
    return torch.load(folder / f'{name}_rank{rank}.pth', weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['ddp', 'fsdp'])
def test_same_as_one_process(folder, single, kind):
    """Sums of four terms against sums of two and two: float32 rounding over 15 steps."""
    weights = load(folder, f'{kind}_calm', 'epoch_3.pth')['state_dict']
    torch.testing.assert_close(weights, single[0]['state_dict'], rtol=1e-5, atol=1e-6)
    start = ToyDropoutModel().state_dict()
    assert not torch.allclose(weights['first.weight'], start['first.weight'], atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['ddp', 'fsdp'])
def test_processes_share_the_samples(folder, single, kind):
    """And those look alike: seeds go by sample, not by process."""
    _, expected = single
    first, second = (rows(folder, f'{kind}_calm', rank) for rank in (0, 1))
    for step, (_, samples, loss) in expected.items():
        assert (first[step][1], second[step][1]) == (samples[::2], samples[1::2])
        assert (first[step][2] + second[step][2]) / 2 == pytest.approx(loss, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['ddp', 'fsdp', 'ddp_accumulating'])
def test_resumed_within_an_epoch(folder, kind):
    """Bit by bit, also with random numbers that differ between the processes."""
    for rank in (0, 1):
        full, cut = rows(folder, f'{kind}_full', rank), rows(folder, f'{kind}_cut', rank)
        expected = {key: row for key, row in full.items() if key >= 8}
        if kind == 'ddp_accumulating':  # kept gradients are a mean of two: rounded otherwise
            assert cut.keys() == expected.keys()
            for key, row in cut.items():
                assert row == (*expected[key][:2], pytest.approx(expected[key][2], rel=1e-5))
        else:
            assert cut == expected


@pytest.mark.slow
def test_xclip(folder, tmp_path):
    """All of it in training: sharded, in two processes and in one, the same weights."""
    train(two_ranks.xclip_config(tmp_path))
    one = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['state_dict']
    plain, sharded = (
        load(folder, name, 'epoch_2.pth')['state_dict'] for name in ('xclip_ddp', 'xclip_fsdp')
    )
    torch.testing.assert_close(plain, one, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(sharded, plain, rtol=1e-5, atol=1e-6)
    model = MODELS.build(two_ranks.xclip_config(tmp_path).model)
    assert model.load_state_dict(sharded, strict=True)
    scale = float(sharded['cls_head.logit_scale'])
    assert scale != INITIAL_LOGIT_SCALE  # it was trained, in both processes alike
    assert scale == pytest.approx(float(one['cls_head.logit_scale']), rel=1e-5)


@pytest.mark.slow
def test_random_states_of_both_are_kept(folder):
    states = load(folder, 'ddp_full', 'iter_8.pth')['training_state']['random']
    assert len(states) == 2
    assert not torch.equal(states[0]['torch'], states[1]['torch'])


@pytest.mark.slow
def test_sharded_checkpoint_is_a_plain_one(folder):
    weights = load(folder, 'fsdp_full', 'iter_14.pth')['state_dict']
    ToyDropoutModel().load_state_dict(weights, strict=True)


@pytest.mark.slow
def test_sharded_groups_are_the_plain_ones(folder):
    """Shards have one dimension each; decay goes by the dimensions they had before."""
    plain, sharded = (
        {
            group['name']: (group['lr'], group['weight_decay'], len(group['params']))
            for group in load(folder, f'{kind}_calm', 'epoch_3.pth')['optimizer']['param_groups']
        }
        for kind in ('ddp', 'fsdp')
    )
    assert sharded == plain
    assert plain.keys() == {'base', 'base_no_decay', 'new', 'new_no_decay'}


@pytest.mark.slow
def test_optimizer_state_is_gathered_whole(folder, single):
    """In particular, the first moment is not a copy of the second."""
    state = load(folder, 'fsdp_calm', 'epoch_3.pth')['optimizer']['state']
    names = [name for name, p in ToyDropoutModel().named_parameters() if p.requires_grad]
    assert state.keys() == set(names)
    optimizer = single[0]['optimizer']
    order = [index for group in optimizer['param_groups'] for index in group['params']]
    by_shape = {tuple(optimizer['state'][index]['exp_avg'].shape): index for index in order}
    moments = optimizer['state'][by_shape[8, 8]]
    for key in ('exp_avg', 'exp_avg_sq'):
        torch.testing.assert_close(state['first.weight'][key], moments[key], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['ddp', 'fsdp'])
def test_mixed_precision(folder, kind):
    checkpoint = load(folder, f'{kind}_amp', 'epoch_1.pth')
    for weight in checkpoint['state_dict'].values():
        assert weight.dtype == torch.float32
        assert weight.isfinite().all()


def test_train_tool(tmp_path):
    """``torchrun`` and the command line, with the two processes' model as one process has it."""
    changes = dict(
        two_ranks.CALM,
        train_dataloader__batch_size=2,
        custom_imports=dict(imports=['toy_training'], allow_failed_imports=False),
        train_cfg__max_epochs=1,
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
    )
    toy_config(tmp_path / 'two', **changes).dump(tmp_path / 'toy.py')
    said = torchrun(ROOT / 'tools' / 'train.py', tmp_path / 'toy.py', '--launcher', 'pytorch')
    assert 'trained without validation' in said
    train(toy_config(tmp_path / 'one', **{**changes, 'train_dataloader__batch_size': 4}))
    two, one = (load(tmp_path, name, 'epoch_1.pth')['state_dict'] for name in ('two', 'one'))
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-6)
