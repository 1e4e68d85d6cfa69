"""Annotation files of others: found, read as text, and refused with the row that is wrong."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mmxclip.errors import DataError


def read_text(path: Path) -> str:
    """Text of a file without a byte-order mark.

    Raises:
        DataError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode('utf-8-sig')
    except OSError as error:
        raise DataError(
            f'annotation {path} cannot be read ({error.strerror}); check --annotations'
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f'annotation {path} is not UTF-8 text (byte {error.start}); take the file as its '
            'owners distribute it, or save it as UTF-8'
        ) from error


def read_rows(path: Path) -> list[tuple[int, str]]:
    """Rows that are not blank, stripped, with their numbers counted from 1.

    Raises:
        DataError: the file cannot be read, or has no rows.
    """
    lines = enumerate(read_text(path).splitlines(), start=1)
    rows = [(number, line.strip()) for number, line in lines if line.strip()]
    if not rows:
        raise DataError(f'annotation {path} is empty; take it anew from where it is distributed')
    return rows


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Cells of ``columns`` by name, row by row, with the numbers of the rows.

    Quotes, blank lines, a byte-order mark, further columns and any order of the
    columns do no harm.

    Raises:
        DataError: a column is absent, or a row has fewer cells than the header.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=''), strict=True)
    header: list[str] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip().lower() for cell in cells]
                _require(columns, header, path)
                continue
            if len(cells) < len(header):
                raise DataError(
                    f'{path}: row {reader.line_num} is {",".join(cells)!r}, {len(cells)} of '
                    f'{len(header)} cells; expected {",".join(header)}'
                )
            row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
            yield reader.line_num, {column: row[column] for column in columns}
    except csv.Error as error:
        raise DataError(
            f'{path}: row {reader.line_num} cannot be read as csv ({error}); mend its quotes'
        ) from error
    if not header:
        raise DataError(f'{path} is empty; expected the header {",".join(columns)} and rows')


def _require(columns: Sequence[str], header: list[str], path: Path) -> None:
    absent = [column for column in columns if column not in header]
    if absent:
        raise DataError(
            f'{path}: the first row is {",".join(header)!r}, without {", ".join(absent)}; '
            f'expected a header with {",".join(columns)}: is this the file of another dataset?'
        )


def read_json(path: Path, kind: type) -> Any:
    """What a JSON file holds, an object or a list as ``kind`` says.

    Raises:
        DataError: the file is no JSON, or holds something else.
    """
    text = read_text(path)
    try:
        held = json.loads(text)
    except ValueError as error:
        raise DataError(f'{path} cannot be read as JSON ({error}); download it again') from error
    if not isinstance(held, kind) or not held:
        wanted = 'an object' if kind is dict else 'a list'
        raise DataError(
            f'{path} holds {"nothing" if not held else f"a {type(held).__name__}"}; expected '
            f'{wanted} with entries: is this another file of the dataset?'
        )
    return held


def find_file(roots: Iterable[Path], names: Sequence[str], wanted: str) -> Path:
    """The first of ``names``, which may be patterns, in the first of ``roots`` that has one.

    Args:
        roots: folders, the likeliest first.
        names: paths below them.
        wanted: what is looked for, in words, for the error.

    Raises:
        DataError: there is none.
    """
    roots = list(roots)
    found = look_for(roots, names)
    if found is None:
        raise DataError(
            f'{wanted} not found in {roots[0]}{" or near it" if len(roots) > 1 else ""}; expected '
            f'{names[0]}: give the folder that holds it by --annotations'
        )
    return found


def look_for(roots: Iterable[Path], names: Sequence[str]) -> Path | None:
    """As :func:`find_file`, with None where there is none."""
    for root in roots:
        for name in names:
            for path in sorted(root.glob(name)):
                if path.is_file():
                    return path
    return None


def search_roots(videos: Path, annotations: Path | None, subfolders: Sequence[str]) -> list[Path]:
    """Folders in which annotation files may lie.

    Args:
        videos: folder of the videos; the files may lie in it or beside it.
        annotations: folder that the user has named; then no other is looked in.
        subfolders: names that the owners' archives unpack to.

    Raises:
        DataError: a folder that the user has named is none.
    """
    for folder, option in ((videos, '--videos'), (annotations, '--annotations')):
        if folder is not None and not folder.is_dir():
            raise DataError(f'{option} {folder} is no folder; give the path of one')
    tops = [annotations] if annotations is not None else [videos, videos.absolute().parent]
    return [top / sub if sub else top for top in tops for sub in ('', *subfolders)]
