"""Schedules give the learning rates of the recipe they stand for."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

SCHEDULES = Path(__file__).parents[2] / 'configs' / '_base_' / 'schedules'
LENGTH = 20
"""Iterations of an epoch."""


def rates_of(name: str) -> dict[float, list[float]]:
    """Learning rates of base and new parameters by epoch."""
    cfg = Config.fromfile(SCHEDULES / f'{name}.py')
    lr, mult = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.paramwise_cfg.new_lr_mult
    optimizer = torch.optim.AdamW(
        [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=rate) for rate in (lr, mult * lr)]
    )
    scheduler = PARAM_SCHEDULERS.build(
        cfg.param_scheduler, default_args=dict(optimizer=optimizer, epoch_length=LENGTH)
    )
    rates = {}
    for step in range(cfg.train_cfg.max_epochs * LENGTH + 1):
        rates[step / LENGTH] = [group['lr'] for group in optimizer.param_groups]
        optimizer.step()
        scheduler.step()
    return rates


def test_30_epochs():
    """The values of the research code, to all of the digits that are known."""
    rates = rates_of('xclip_adamw_30e')
    assert rates[0] == [0, 0]
    assert rates[2.5] == pytest.approx([4e-6, 4e-5])
    assert rates[5 - 1 / LENGTH] == pytest.approx([7.92e-6, 7.92e-5])
    assert rates[5] == pytest.approx([7.4695e-6, 7.4646e-5], rel=1e-5)
    assert rates[15] == pytest.approx([4.04e-6, 4.004e-5])
    assert rates[27][0] == pytest.approx(2.7382e-7, rel=1e-4)
    assert rates[30] == pytest.approx([8e-8, 8e-8])


def test_10_epochs():
    """A third of the time is warm-up, and the rate halves when it ends."""
    rates = rates_of('xclip_adamw_10e')
    assert rates[5 - 1 / LENGTH][0] == pytest.approx(7.92e-6)
    assert rates[5][0] == pytest.approx(4.04e-6)
    assert rates[10] == pytest.approx([8e-8, 8e-8])


@pytest.mark.parametrize('epochs', [50, 11])
def test_few_videos(epochs):
    rates = rates_of(f'xclip_adamw_{epochs}e')
    assert rates[4] == pytest.approx([1.6e-6, 1.6e-5])
    assert rates[epochs] == pytest.approx([2e-8, 2e-8])


@pytest.mark.parametrize(('epochs', 'videos'), [(30, 256), (10, 256), (50, 64), (11, 64)])
def test_optimizer(epochs, videos):
    cfg = Config.fromfile(SCHEDULES / f'xclip_adamw_{epochs}e.py')
    assert cfg.optim_wrapper.optimizer == dict(
        type='AdamW',
        lr=8e-6 if videos == 256 else 2e-6,
        betas=(0.9, 0.98),
        eps=1e-8,
        weight_decay=1e-3,
    )
    assert cfg.train_cfg.max_epochs == epochs
    assert cfg.auto_scale_lr == dict(enable=False, base_batch_size=videos)
    assert cfg.optim_wrapper.type == 'AmpOptimWrapper'
    assert cfg.randomness == dict(seed=1024, diff_rank_seed=True)
