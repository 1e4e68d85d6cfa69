"""Few-shot lists that others have published, mapped to the videos on disk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmxclip.errors import DataError
from mmxclip.preparation.names import plain
from mmxclip.preparation.reading import read_rows
from mmxclip.preparation.structure import Listing, Row


@dataclass(frozen=True)
class PublishedShots:
    """A published list.

    Args:
        shots: videos per class.
        names: of the videos, in its order.
    """

    shots: int
    names: tuple[str, ...]


def read_shots(
    file: Path, training: Listing, orders: Sequence[Sequence[str]], classes: Sequence[str]
) -> PublishedShots:
    """Read rows of ``path label`` and check them against the annotation.

    Labels are checked by the names that they stand for in one of ``orders``:
    published lists of HMDB51 count in one or the other.

    Args:
        file: the list; folders in its paths do not matter.
        training: all videos that may be in it.
        orders: orders of the class names that the labels may count in.
        classes: names in the order of the labels of ``training``.

    Raises:
        DataError: a row is malformed, names a video of another list or twice,
            labels do not fit any order, or classes have unequal numbers.
    """
    annotated = {entry.name: plain(classes[entry.label]) for entry in training.entries}
    rows: dict[str, tuple[int, int]] = {}
    for number, row in read_rows(file):
        name, label = _parse(row, f'{file}: row {number}', len(classes))
        if name not in annotated:
            raise DataError(
                f'{file}: row {number}: {name} is none of the training videos of '
                f'{training.origin}; expected a list made from that split'
            )
        if name in rows:
            raise DataError(
                f'{file}: row {number}: {name} is listed before, in row {rows[name][0]}; a '
                'few-shot list has each video once'
            )
        rows[name] = (number, label)
    _check_labels(file, rows, annotated, orders)
    counts = Counter(annotated[name] for name in rows)
    (_, most), (rarest, fewest) = counts.most_common()[0], counts.most_common()[-1]
    if most != fewest:
        raise DataError(
            f'{file}: class {rarest!r} has {fewest} videos and others have {most}; a few-shot '
            'list has the same number of each class'
        )
    absent = set(annotated.values()) - set(counts)
    if absent:
        raise DataError(
            f'{file}: {len(absent)} of {len(classes)} classes have no video, first '
            f'{min(absent)!r}; is the list cut short?'
        )
    return PublishedShots(most, tuple(rows))


def _parse(row: str, place: str, num_classes: int) -> tuple[str, int]:
    cells = row.rsplit(None, 1)
    if len(cells) != 2 or not cells[1].isdecimal() or int(cells[1]) >= num_classes:
        raise DataError(
            f'{place} is {row!r}; expected "path label" with a label from 0 to {num_classes - 1}'
        )
    return PurePosixPath(cells[0]).stem, int(cells[1])


def _check_labels(
    file: Path,
    rows: dict[str, tuple[int, int]],
    annotated: dict[str, str],
    orders: Sequence[Sequence[str]],
) -> None:
    """Refuse labels that are wrong in every order, by the first wrong row of the nearest one."""
    wrong = []
    for order in orders:
        faults = [
            (number, name, order[label])
            for name, (number, label) in rows.items()
            if plain(order[label]) != annotated[name]
        ]
        if not faults:
            return
        wrong.append(faults)
    number, name, said = min(wrong, key=len)[0]
    raise DataError(
        f'{file}: row {number}: the label of {name} stands for {said!r}, and the video is of '
        f'{annotated[name]!r}; the list counts its classes in an order that is not known here'
    )


def select(published: PublishedShots, rows: Sequence[Row]) -> list[Row]:
    """Rows of the published videos that are on disk, in the order of the list."""
    by_name = {row.name: row for row in rows}
    return [by_name[name] for name in published.names if name in by_name]
