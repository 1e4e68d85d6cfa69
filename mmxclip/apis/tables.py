"""Rows of facts as a table for people or for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

FORMATS = ('table', 'markdown', 'csv', 'json', 'jsonl')


def render(rows: Sequence[Mapping[str, Any]], fmt: str = 'table') -> str:
    """Rows with the same keys as text, without a line end.

    Args:
        rows: values by heading. None is an empty cell, a whole number gets
            thousands separators in tables, other numbers two decimals.
        fmt: one of ``FORMATS``; ``csv`` and ``json`` keep all digits.
    """
    if fmt == 'json':
        return json.dumps([dict(row) for row in rows], indent=2, ensure_ascii=False)
    if fmt == 'jsonl':
        return '\n'.join(json.dumps(dict(row), ensure_ascii=False) for row in rows)
    headings = list(rows[0]) if rows else []
    if fmt == 'csv':
        file = io.StringIO()
        writer = csv.DictWriter(file, headings, lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue().rstrip('\n')
    return draw(headings, [[cell(row[key]) for key in headings] for row in rows], fmt)


def draw(headings: Sequence[str], rows: Sequence[Sequence[str]], fmt: str = 'table') -> str:
    """A table of texts.

    Args:
        headings: one a column.
        rows: cells.
        fmt: ``table`` or ``markdown``.
    """
    markdown = fmt == 'markdown'
    table = Table(box=box.MARKDOWN if markdown else box.SIMPLE_HEAD, show_edge=markdown)
    for index, heading in enumerate(headings):
        numeric = bool(rows) and all(_is_number(row[index]) for row in rows)
        table.add_column(heading, justify='right' if numeric else 'left', no_wrap=True)
    for row in rows:
        # Text: what a user has named must not be read as markup
        table.add_row(*(Text(text.replace('|', '\\|') if markdown else text) for text in row))
    file = io.StringIO()
    Console(file=file, width=10_000, color_system=None, legacy_windows=False).print(table)
    # rich draws empty lines where its boxes have no edge
    lines = (line.rstrip() for line in file.getvalue().splitlines())
    return '\n'.join(line for line in lines if line)


def cell(value: Any) -> str:
    """A value as it stands in a table."""
    if value is None:
        return ''
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if isinstance(value, int):
        return f'{value:,}'
    return f'{value:.2f}' if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    return not text or text.replace(',', '').replace('.', '', 1).lstrip('-').isdigit()
