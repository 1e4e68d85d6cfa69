"""Means, deviations and what papers make of them."""

import pytest

from mmxclip.protocols.results import (
    Outcome,
    estimate,
    harmonic_by_run,
    harmonic_mean,
    summarize,
)


def outcome(values, evaluation='test', **metrics):
    name = '_'.join(f'{axis}{value}' for axis, value in values.items())
    return Outcome(name, values, evaluation, metrics, 8, 0, [1, 3, 4, 64, 64], '{}', None)


def test_deviation_is_of_the_sample():
    found = estimate('x', 'top1', [40.0, 44.0, 51.0])
    assert found.value == 45.0
    assert found.std == pytest.approx((62 / 2) ** 0.5)
    assert found.n == 3


def test_single_value_has_no_deviation():
    assert estimate('x', 'top1', [40.0]).std is None


def test_no_values():
    with pytest.raises(ValueError, match='no values of top1 for novel'):
        estimate('novel', 'top1', [])


@pytest.mark.parametrize(
    ('first', 'second', 'expected'),
    [(60.0, 30.0, 40.0), (50.0, 50.0, 50.0), (0.0, 80.0, 0.0), (0.0, 0.0, 0.0)],
)
def test_harmonic_mean(first, second, expected):
    assert harmonic_mean(first, second) == expected


def test_zeroshot():
    outcomes = [outcome(dict(split=s), top1=t, top5=90.0) for s, t in ((1, 40.0), (2, 50.0))]
    first, second = summarize('zeroshot', outcomes, 'single view')
    assert (first.setting, first.metric, first.value) == ('mean of splits', 'top1', 45.0)
    assert (second.metric, second.std) == ('top5', 0.0)


def test_fewshot_has_one_mean_for_each_number():
    outcomes = [outcome(dict(shots=k, seed=s), top1=10.0 * k + s) for k in (2, 16) for s in (0, 1)]
    found = summarize('fewshot', outcomes, 'single view')
    assert [(entry.setting, entry.value, entry.n) for entry in found] == [
        ('2', 20.5, 2),
        ('16', 160.5, 2),
    ]


def test_base2novel_takes_the_harmonic_mean_of_means():
    outcomes = [
        outcome(dict(seed=seed), name, top1=value)
        for seed, base, novel in ((0, 80.0, 20.0), (1, 40.0, 40.0))
        for name, value in (('base', base), ('novel', novel))
    ]
    found = {entry.setting: entry for entry in summarize('base2novel', outcomes, '')}
    assert (found['base'].value, found['novel'].value) == (60.0, 30.0)
    assert found['hm'].value == 40.0
    by_run = harmonic_by_run(outcomes)
    assert by_run == {'seed0': 32.0, 'seed1': 40.0}
    assert sum(by_run.values()) / 2 != found['hm'].value


def test_supervised_is_named_by_its_views():
    (found,) = summarize('supervised', [outcome({}, top1=70.0)], '4x3 views')
    assert (found.setting, found.value) == ('4x3 views', 70.0)


def test_metrics_that_a_run_lacks_are_left_out():
    outcomes = [outcome(dict(split=1), top1=1.0, mean1=2.0), outcome(dict(split=2), top1=3.0)]
    assert [entry.metric for entry in summarize('zeroshot', outcomes, '')] == ['top1']
