"""Schedules give the learning rates of the recipe they stand for."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS

SCHEDULES = Path(__file__).parents[2] / 'configs' / '_base_' / 'schedules'


@pytest.mark.filterwarnings('ignore:Detected call of')
def test_xclip_30e():
    """The published code's values at given epochs; the warm-up is a little lower than there."""
    cfg = Config.fromfile(SCHEDULES / 'xclip_adamw_30e.py')
    lr, mult = cfg.optim_wrapper.optimizer.lr, cfg.optim_wrapper.paramwise_cfg.new_lr_mult
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.AdamW(
        [
            dict(params=[parameter], lr=rate)
            for parameter, rate in zip(parameters, (lr, mult * lr), strict=True)
        ]
    )
    length = 20
    schedulers = [
        PARAM_SCHEDULERS.build(
            scheduler, default_args=dict(optimizer=optimizer, epoch_length=length)
        )
        for scheduler in cfg.param_scheduler
    ]
    rates = {}
    for step in range(30 * length + 1):
        rates[step / length] = [group['lr'] for group in optimizer.param_groups]
        for scheduler in schedulers:
            scheduler.step()
    assert rates[0] == pytest.approx([0, 0], abs=1e-10)
    assert rates[2.5] == pytest.approx([4.0e-6, 4.0e-5], rel=0.02)
    assert rates[5] == pytest.approx([7.4695e-6, 7.4646e-5], rel=2e-3)
    assert rates[15] == pytest.approx([4.04e-6, 4.004e-5], rel=2e-3)
    assert rates[27][0] == pytest.approx(2.7382e-7, rel=2e-3)
    assert rates[30] == pytest.approx([8e-8, 8e-8], rel=1e-2)
