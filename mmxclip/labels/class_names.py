"""Class names: where they come from, and what is wrong with them when something is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from mmxclip.errors import ConfigError, DataError

SUFFIXES = ('.txt', '.csv')
LISTS = Path(__file__).parent / 'lists'
LABEL_ORDERS = ('mmaction2', 'xclip')
# One data set, two orders in use: whoever names it must say which.
AMBIGUOUS = {'hmdb51': {order: f'hmdb51_{order}' for order in LABEL_ORDERS}}


def shipped_lists() -> tuple[str, ...]:
    """Names that :func:`load_class_names` knows without a file.

    ``kinetics400``, ``kinetics600`` and ``ucf101`` have the order of MMAction2
    and of X-CLIP's research code alike, ``ssv2`` that of MMAction2 and of the
    data set's own ids. Of HMDB51 there are two orders: in
    ``hmdb51_mmaction2`` kick is 20, kick ball 21, sword 44, sword exercise 45;
    in ``hmdb51_xclip`` each pair is the other way round. Annotations made for
    one are wrong for the other in four classes.
    """
    return tuple(sorted(path.stem for path in LISTS.glob('*.csv')))


def plain_name(name: str) -> str:
    """What is left of a name without case, spaces, underscores and punctuation.

    ``'Apply Eye Makeup'``, ``'apply_eye_makeup'`` and ``'ApplyEyeMakeup'`` are one.
    """
    return re.sub(r'[\W_]+', '', name).casefold()


def check_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as a tuple, in their order, or an error that says which is wrong.

    Args:
        names: one name per class, in the order of the labels.

    Raises:
        ConfigError: when there are none, or one is no string, empty, on two
            lines or given twice (both positions are named). Names that differ
            in case or spaces only are one text to CLIP's tokenizer, and so
            count as given twice.
    """
    if isinstance(names, str):
        raise ConfigError(f'classes={names!r} is one string; expected a list of class names')
    if not names:
        raise ConfigError('classes is empty; give at least one class name')
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if not isinstance(name, str):
            raise ConfigError(
                f'class name {index} is {name!r} of type {type(name).__name__}; expected a string'
            )
        if not name.strip():
            raise ConfigError(f'class name {index} is empty ({name!r}); give every class a name')
        if len(name.strip().splitlines()) > 1:
            raise ConfigError(f'class name {index} is on two lines ({name!r:.80}); give it one')
        text = ' '.join(name.lower().split())  # as the tokenizer reads it
        if text in seen:
            first = names[seen[text]]
            hint = (
                '' if name == first else f' (the first as {first!r}: case and spaces are not read)'
            )
            raise ConfigError(
                f'class name {name!r} is given twice, as classes {seen[text]} and {index}{hint}; '
                'two classes with one text cannot be told apart: rename one of them'
            )
        seen[text] = index
    return tuple(names)


def load_class_names(
    source: str | Path | Sequence[str], label_order: str | None = None
) -> tuple[str, ...]:
    """Class names from a sequence or a file.

    Args:
        source: names; or one of :func:`shipped_lists`, or ``'hmdb51'`` with
            ``label_order``; or a ``.txt`` file with one name a line; or a
            ``.csv`` file with the header ``id,name``, whose ids must count up
            from 0 in the order of the rows. A byte-order mark, Windows line
            ends, quotes and, in a ``.csv``, blank lines do no harm.
        label_order: ``'mmaction2'`` or ``'xclip'``: which order of a data set
            that has two is meant. Where both agree, and for names of one's
            own, it changes nothing.

    Raises:
        ConfigError: for names that :func:`check_class_names` refuses, and when
            the names are those of the order that is not meant.
        DataError: for a file that is absent, not text, or out of order; the row
            is named.
    """
    if label_order not in (None, *LABEL_ORDERS):
        raise ConfigError(
            f'label_order={label_order!r} is not known; expected one of {LABEL_ORDERS}'
        )
    if isinstance(source, (str, Path)):
        names = _load(source, label_order)
    else:
        names = check_class_names(source)
    actual = order_of(names)
    if None not in (label_order, actual) and label_order != actual:
        raise ConfigError(
            f'label_order={label_order!r}, but classes={source!r:.60} are in the order of '
            f'{actual!r}; drop one of the two, whichever the labels were not made with'
        )
    return names


def order_of(names: Sequence[str]) -> str | None:
    """Which of two orders in use these names have; None for names with no such choice."""
    for lists in AMBIGUOUS.values():
        for order, name in lists.items():
            if tuple(names) == _load(name):
                return order
    return None


def _load(source: str | Path, label_order: str | None = None) -> tuple[str, ...]:
    path = Path(source).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        path = _shipped(str(source), label_order)
    names = _read_csv(path) if path.suffix.lower() == '.csv' else _read_txt(path)
    try:
        return check_class_names(names)
    except ConfigError as error:
        raise ConfigError(f'{path}: {error}') from None


def _shipped(name: str, label_order: str | None) -> Path:
    if name in AMBIGUOUS:
        if label_order is None:
            orders = ' or '.join(f'label_order={order!r}' for order in LABEL_ORDERS)
            raise ConfigError(
                f'classes={name!r} has two orders in use; add {orders}, whichever the labels of '
                'the annotation file were made with'
            )
        name = AMBIGUOUS[name][label_order]
    if name not in shipped_lists():
        known = sorted([*AMBIGUOUS, *shipped_lists()])
        raise ConfigError(
            f'classes={name!r} is neither a list of names, nor a file ending in '
            f'{" or ".join(SUFFIXES)}, nor one of {", ".join(known)}'
        )
    return LISTS / f'{name}.csv'


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode('utf-8-sig')
    except OSError as error:
        raise DataError(
            f'class names {path} cannot be read ({error.strerror}); check cls_head.classes'
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f'class names {path} are not UTF-8 text (byte {error.start}); save the file as UTF-8'
        ) from error


def _read_txt(path: Path) -> list[str]:
    return [line.strip() for line in _read(path).rstrip().splitlines()]


def _read_csv(path: Path) -> list[str]:
    reader = csv.reader(io.StringIO(_read(path), newline=''), strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(
            f'{path}: row {reader.line_num} is no comma-separated text ({error}); quote names '
            'that hold commas or quotes, and close each quote'
        ) from error
    if not rows or [cell.strip().lower() for cell in rows[0][1]] != ['id', 'name']:
        raise DataError(
            f'{path}: the first row is {rows[0][1] if rows else "absent"}; expected the header '
            'id,name'
        )
    names: list[str] = []
    for number, row in rows[1:]:
        due = str(len(names))
        if len(row) != 2 or row[0].strip() != due:
            known = row[0].strip().isdecimal() and int(row[0]) < len(names)
            raise DataError(
                f'{path}: row {number} is {",".join(row)!r}'
                f'{", whose id was given before" if known else ""}; expected "{due},<name>": ids '
                'count up from 0 in the order of the rows'
            )
        names.append(row[1].strip())
    return names
