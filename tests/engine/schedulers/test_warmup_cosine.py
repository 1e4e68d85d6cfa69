"""Learning rates step by step, as MMEngine's runner sets them."""

import math

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

from mmxclip.errors import ConfigError

RATES = (1e-3, 1e-2)


@pytest.fixture
def optimizer():
    return torch.optim.SGD(
        [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=rate) for rate in RATES]
    )


def build(optimizer, **kwargs):
    config = dict(type='mmxclip.LinearWarmupCosineLR', **kwargs)
    return PARAM_SCHEDULERS.build(config, default_args=dict(optimizer=optimizer, epoch_length=10))


def run(optimizer, scheduler, steps):
    """Rates of the groups before each step."""
    rates = []
    for _ in range(steps):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rates


def expected(step, warmup, total, eta_min):
    if step < warmup:
        return [rate * step / warmup for rate in RATES]
    share = (1 + math.cos(math.pi * min(step, total) / total)) / 2
    return [eta_min + (rate - eta_min) * share for rate in RATES]


def test_iterations(optimizer):
    scheduler = build(optimizer, warmup=3, T_max=12, eta_min=1e-5, by_epoch=False)
    rates = run(optimizer, scheduler, 16)  # beyond the end, too
    assert rates == [pytest.approx(expected(step, 3, 12, 1e-5)) for step in range(16)]


def test_epochs_counted_in_iterations(optimizer):
    scheduler = build(optimizer, warmup=1, T_max=2, eta_min=1e-5, convert_to_iter_based=True)
    rates = run(optimizer, scheduler, 21)
    assert rates == [pytest.approx(expected(step, 10, 20, 1e-5)) for step in range(21)]
    assert not scheduler.by_epoch


def test_without_warmup(optimizer):
    scheduler = build(optimizer, warmup=0, T_max=4, by_epoch=False)
    rates = run(optimizer, scheduler, 5)
    assert rates == [pytest.approx(expected(step, 0, 4, 0.0)) for step in range(5)]
    assert rates[0] == list(RATES)
    assert rates[4] == [0.0, 0.0]


def test_a_resumed_one_goes_on(optimizer):
    options = dict(warmup=3, T_max=12, eta_min=1e-5, by_epoch=False)
    scheduler = build(optimizer, **options)
    whole = run(optimizer, scheduler, 5)
    state, groups = scheduler.state_dict(), optimizer.state_dict()
    whole += run(optimizer, scheduler, 5)

    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in RATES]
    again = torch.optim.SGD(
        [dict(params=[p], lr=rate) for p, rate in zip(parameters, RATES, strict=True)]
    )
    resumed = build(again, **options)
    again.load_state_dict(groups)
    resumed.load_state_dict(state)
    assert run(again, resumed, 5) == whole[5:]


@pytest.mark.parametrize(('warmup', 'total'), [(5, 5), (6, 5), (-1, 5)])
def test_no_room_for_the_cosine(optimizer, warmup, total):
    with pytest.raises(ConfigError, match=f'warmup={warmup} must be at least 0 and below T_max=5'):
        build(optimizer, warmup=warmup, T_max=total, by_epoch=False)
