"""Which classes a model takes for which."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmxclip.errors import ConfigError
from mmxclip.visualization.figures import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mmxclip.visualization.dumped import Dumped

NAMED = 60
"""With more classes the names of a picture would cover each other, and are left out."""


def count_confusions(dumped: Dumped) -> np.ndarray:
    """Videos by true class (rows) and predicted class (columns), ``(K, K)`` int64."""
    size = dumped.num_classes
    return np.bincount(dumped.truth * size + dumped.guess, minlength=size**2).reshape(size, size)


def name_classes(classes: Sequence[str] | None, num_classes: int) -> list[str]:
    """Names of the classes; their numbers where there are none.

    Raises:
        ConfigError: there are more or fewer names than classes.
    """
    if classes is None:
        return [str(number) for number in range(num_classes)]
    if len(classes) != num_classes:
        raise ConfigError(
            f'{len(classes)} class names for predictions of {num_classes} classes; give the '
            'list that the test has used'
        )
    return list(classes)


def confused_pairs(counts: np.ndarray, names: Sequence[str], top: int) -> list[dict[str, Any]]:
    """The ``top`` errors by number of videos, then by share of the true class.

    Args:
        counts: ``(K, K)``.
        names: K names.
        top: at most so many rows.
    """
    totals = counts.sum(1)
    pairs = [(i, j) for i, j in np.argwhere(counts) if i != j]
    pairs.sort(key=lambda pair: (-counts[pair], -counts[pair] / totals[pair[0]], pair))
    return [
        {
            'true': names[i],
            'predicted': names[j],
            'videos': int(counts[i, j]),
            'of': int(totals[i]),
            'percent': 100 * float(counts[i, j] / totals[i]),
        }
        for i, j in pairs[:top]
    ]


def to_csv(counts: np.ndarray, names: Sequence[str]) -> str:
    """The counts with names: a row a true class, a column a predicted class."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(['true \\ predicted', *names])
    writer.writerows([name, *map(int, row)] for name, row in zip(names, counts, strict=True))
    return file.getvalue()


def draw_confusions(counts: np.ndarray, names: Sequence[str]) -> Figure:
    """The matrix as a picture, each row as shares of its class's videos.

    Args:
        counts: ``(K, K)``.
        names: K names, shown for up to ``NAMED`` classes.
    """
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    named = len(names) <= NAMED
    side = min(max(0.28 * len(names), 4), 14) if named else 10
    figure = new_figure(side + (2.8 if named else 1.4), side + (2 if named else 0.6))
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1, interpolation='nearest')
    figure.colorbar(picture, ax=axes, label='share of the true class', shrink=0.8)
    if named:
        labels = [plain(name if len(name) <= 30 else f'{name[:29]}…') for name in names]
        axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), labels, fontsize=7)
    axes.set_xlabel('predicted')
    axes.set_ylabel('true')
    accuracy = np.trace(counts) / counts.sum()
    axes.set_title(f'top-1 {100 * accuracy:.2f} % of {int(counts.sum()):,} videos', fontsize=10)
    return figure
