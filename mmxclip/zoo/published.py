"""What others have published: accuracies, FLOPs and weights, each with its source.

Nothing here was measured with this package.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class PublishedResult:
    """One number of a table in a paper.

    Attributes:
        method: as the table calls it.
        config: of this package for the same model and protocol, or None.
        protocol: ``zeroshot``, ``fewshot``, ``base2novel`` or ``supervised``.
        benchmark: ``kinetics400``, ``kinetics600``, ``hmdb51``, ``ucf101`` or ``ssv2``.
        setting: the column: ``'4x3 views'`` (clips x crops), ``'mean of splits'``,
            the number of shots, or ``'base'``, ``'novel'`` and ``'hm'``, their
            harmonic mean.
        metric: ``top1`` or ``top5``.
        value: in percent.
        std: over splits, where it is given.
        source: the table.
    """

    method: str
    config: str | None
    protocol: str
    benchmark: str
    setting: str
    metric: str
    value: float
    std: float | None
    source: str


@dataclass(frozen=True)
class PublishedModel:
    """What the authors of X-CLIP have published of a model.

    Attributes:
        config: of this package.
        gflops: of one view, as published: multiply-adds, without the text tower.
        weights: address of a file in their format, or None.
        page: address of a page to fetch the file from by hand, or None.
    """

    config: str
    gflops: float
    weights: str | None
    page: str | None


@cache
def all_results() -> tuple[PublishedResult, ...]:
    """Every published number, in the order of the tables."""
    return tuple(
        PublishedResult(
            method=row['method'],
            config=row['config'] or None,
            protocol=row['protocol'],
            benchmark=row['benchmark'],
            setting=row['setting'],
            metric=row['metric'],
            value=float(row['value']),
            std=float(row['std']) if row['std'] else None,
            source=row['source'],
        )
        for row in _rows('published.csv')
    )


def published(protocol: str, benchmark: str) -> tuple[PublishedResult, ...]:
    """Published numbers of a protocol on a benchmark; none when nothing is known.

    Args:
        protocol: see :class:`PublishedResult`.
        benchmark: likewise.
    """
    return tuple(
        result
        for result in all_results()
        if (result.protocol, result.benchmark) == (protocol, benchmark)
    )


def results_of(config: str) -> tuple[PublishedResult, ...]:
    """Published numbers of the model that a config describes.

    Args:
        config: its name, such as ``xclip_b16_k400``.
    """
    return tuple(result for result in all_results() if result.config == config)


@cache
def published_models() -> dict[str, PublishedModel]:
    """Models that the authors have published, by config."""
    return {
        row['config']: PublishedModel(
            row['config'], float(row['gflops']), row['weights'] or None, row['page'] or None
        )
        for row in _rows('models.csv')
    }


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))
