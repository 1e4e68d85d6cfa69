"""Lists of some of the classes, with labels that count among those."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mmxclip.preparation.structure import Row


def relabelled(rows: Iterable[Row], labels: Sequence[int]) -> list[Row]:
    """Rows of the classes ``labels``, labelled by their places in it."""
    places = {label: place for place, label in enumerate(labels)}
    return [Row(row.name, places[row.label], row.path) for row in rows if row.label in places]
