"""Class names: where they come from, and what is wrong with them when something is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mmxclip.errors import ConfigError, DataError

SUFFIXES = ('.txt', '.csv')
LISTS = Path(__file__).parent / 'lists'
# One data set, two orders in use: whoever names it must say which.
AMBIGUOUS = {'hmdb51': ('hmdb51_mmaction2', 'hmdb51_xclip')}


def shipped_lists() -> tuple[str, ...]:
    """Names that :func:`load_class_names` knows without a file.

    ``kinetics400``, ``kinetics600`` and ``ucf101`` have the order of MMAction2
    and of X-CLIP's research code alike. Of HMDB51 there are two orders: in
    ``hmdb51_mmaction2`` kick is 20, kick ball 21, sword 44, sword exercise 45;
    in ``hmdb51_xclip`` each pair is the other way round. Annotations made for
    one are wrong for the other in four classes.
    """
    return tuple(sorted(path.stem for path in LISTS.glob('*.csv')))


def check_class_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names as a tuple, in their order, or an error that says which is wrong.

    Args:
        names: one name per class, in the order of the labels.

    Raises:
        ConfigError: when there are none, or one is no string, empty or given
            twice (both positions are named).
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
        if name in seen:
            raise ConfigError(
                f'class name {name!r} is given twice, as classes {seen[name]} and {index}; '
                'two classes with one text cannot be told apart: rename one of them'
            )
        seen[name] = index
    return tuple(names)


def load_class_names(source: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Class names from a sequence or a file.

    Args:
        source: names; or one of :func:`shipped_lists`; or a ``.txt`` file with
            one name a line; or a ``.csv`` file with the header ``id,name``,
            whose ids must count up from 0 in the order of the rows. A byte-order
            mark, Windows line ends, quotes and blank lines at the end do no harm.

    Raises:
        ConfigError: for names that :func:`check_class_names` refuses.
        DataError: for a file that is absent, not text, or out of order; the row
            is named.
    """
    if not isinstance(source, (str, Path)):
        return check_class_names(source)
    path = Path(source).expanduser()
    if path.suffix.lower() not in SUFFIXES:
        path = _shipped(str(source))
    names = _read_csv(path) if path.suffix.lower() == '.csv' else _read_txt(path)
    try:
        return check_class_names(names)
    except ConfigError as error:
        raise ConfigError(f'{path}: {error}') from None


def _shipped(name: str) -> Path:
    if name in AMBIGUOUS:
        orders = ' or '.join(map(repr, AMBIGUOUS[name]))
        raise ConfigError(
            f'classes={name!r} has two orders in use; say {orders}, whichever the labels of the '
            'annotation file were made with'
        )
    if name not in shipped_lists():
        raise ConfigError(
            f'classes={name!r} is neither a list of names, nor a file ending in '
            f'{" or ".join(SUFFIXES)}, nor one of {", ".join(shipped_lists())}'
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
    rows = [row for row in csv.reader(io.StringIO(_read(path), newline='')) if row]
    if not rows or [cell.strip().lower() for cell in rows[0]] != ['id', 'name']:
        raise DataError(
            f'{path}: the first row is {rows[0] if rows else "absent"}; expected the header id,name'
        )
    names = []
    for number, row in enumerate(rows[1:]):
        if len(row) != 2 or row[0].strip() != str(number):
            raise DataError(
                f'{path}: row {number + 2} is {",".join(row)!r}; expected "{number},<name>": '
                'ids count up from 0 in the order of the rows'
            )
        names.append(row[1].strip())
    return names
