"""Random choices that are the same on every machine and for every order of the rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from mmxclip.preparation.structure import Row


def rank(seed: int, name: str) -> bytes:
    """A random place of ``name`` in the order of ``seed``.

    A hash, not a generator: it does not depend on which other names there are.
    So a video that one machine lacks is replaced by one other, and all other
    choices stay.
    """
    return hashlib.sha256(f'{seed}\0{name}'.encode()).digest()


def draw_shots(rows: Iterable[Row], shots: int, seed: int) -> list[Row]:
    """Up to ``shots`` videos of each class, by name.

    Lists of one seed are nested: that of fewer shots is part of that of more.

    Args:
        rows: to choose from.
        shots: videos per class.
        seed: of the choice.

    Returns:
        Rows by label, then in the order in which they were drawn.
    """
    by_label: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row.label].append(row)
    return [
        row
        for label in sorted(by_label)
        for row in sorted(by_label[label], key=lambda row: rank(seed, row.name))[:shots]
    ]
