"""``mmxclip models``: the models that there are configs for."""

from __future__ import annotations

import click

from mmxclip.cli.output import format_option, print_rows


@click.command()
@click.argument('pattern', required=False, default='')
@format_option
def models(pattern: str, fmt: str) -> None:
    """List the models with their size and with what their authors report.

    PATTERN is a part of the names to list, such as b16 or hmdb51. Accuracies are the
    authors', in percent, and not measured with this package. FLOPs are multiply-adds
    of one view. Addresses of the authors' weights are in the other formats.

    \b
    Examples:
      mmxclip models
      mmxclip models zeroshot --format json
    """
    from mmxclip.zoo.listing import list_models

    rows = list_models(pattern)
    if fmt == 'table':  # addresses are too wide for a terminal
        rows = [{**row, 'weights': (row['weights'] or '').rsplit('/', 1)[-1]} for row in rows]
    print_rows(rows, fmt)
