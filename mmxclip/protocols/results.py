"""What the runs of a protocol have come to, and what is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

HM = 'hm'
SPLITS = 'mean of splits'


@dataclass(frozen=True)
class Outcome:
    """One test.

    Args:
        run: name of the run.
        values: of the axes.
        evaluation: name of the test.
        metrics: accuracies in percent.
        videos: in the annotation list.
        unreadable: those among them that count as wrong.
        input: shape of one video, ``[M, C, T, H, W]``.
        template: the text of a class, if the model has one.
        trained: checkpoint, length and seed of the training, if there was one.
    """

    run: str
    values: dict[str, Any]
    evaluation: str
    metrics: dict[str, float]
    videos: int
    unreadable: int
    input: list[int] | None
    template: str | None
    trained: dict[str, Any] | None


@dataclass(frozen=True)
class Estimate:
    """Mean of ``n`` values with their sample standard deviation; None for a single value."""

    setting: str
    metric: str
    value: float
    std: float | None
    n: int


def estimate(setting: str, metric: str, values: Sequence[float]) -> Estimate:
    """Mean and sample standard deviation (over n - 1) of ``values``.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError(f'no values of {metric} for {setting}')
    std = stdev(values) if len(values) > 1 else None
    return Estimate(setting, metric, fmean(values), std, len(values))


def harmonic_mean(first: float, second: float) -> float:
    """``2ab / (a + b)``, and 0 when one of them is."""
    return 2 * first * second / (first + second) if first and second else 0.0


def summarize(protocol: str, outcomes: Sequence[Outcome], views: str) -> list[Estimate]:
    """The numbers that a paper reports.

    Args:
        protocol: its name.
        outcomes: of all tests.
        views: the setting of a supervised test, such as ``'4x3 views'``.
    """
    if protocol == 'fewshot':
        shots = list(dict.fromkeys(outcome.values['shots'] for outcome in outcomes))
        groups = {
            str(number): [o for o in outcomes if o.values['shots'] == number] for number in shots
        }
    elif protocol == 'base2novel':
        groups = {name: [o for o in outcomes if o.evaluation == name] for name in ('base', 'novel')}
    else:
        groups = {SPLITS if protocol == 'zeroshot' else views: list(outcomes)}
    found = [
        estimate(setting, metric, [outcome.metrics[metric] for outcome in group])
        for setting, group in groups.items()
        for metric in _common(group)
    ]
    return found + list(_harmonic(found)) if protocol == 'base2novel' else found


def harmonic_by_run(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Harmonic mean of the top-1 accuracies on base and novel classes, by run."""
    top1 = {(outcome.run, outcome.evaluation): outcome.metrics['top1'] for outcome in outcomes}
    return {
        run: harmonic_mean(value, top1[run, 'novel'])
        for (run, name), value in top1.items()
        if name == 'base'
    }


def _harmonic(found: Sequence[Estimate]) -> Iterator[Estimate]:
    """Of the means over seeds, as ViFi-CLIP and those after it report it."""
    means = {entry.setting: entry for entry in found if entry.metric == 'top1'}
    base, novel = means['base'], means['novel']
    yield Estimate(HM, 'top1', harmonic_mean(base.value, novel.value), None, base.n)


def _common(outcomes: Sequence[Outcome]) -> list[str]:
    """Metrics that all of them have, in the order of the first."""
    return [
        name for name in outcomes[0].metrics if all(name in outcome.metrics for outcome in outcomes)
    ]
