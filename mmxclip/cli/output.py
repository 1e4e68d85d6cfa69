"""How results are printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from mmxclip.apis.tables import render

FORMATS = ('table', 'json', 'jsonl', 'csv')


def format_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``--format``, passed to it as ``fmt``."""
    option = click.option(
        '--format',
        'fmt',
        type=click.Choice(FORMATS),
        default='table',
        show_default=True,
        help='how to print the result',
    )
    return option(function)


def print_rows(rows: Sequence[Mapping[str, Any]], fmt: str) -> None:
    """Print rows with the same keys on standard output.

    Args:
        rows: values by heading.
        fmt: one of ``FORMATS``.
    """
    click.echo(render(rows, fmt))
