"""``mmxclip labels``: the class names that the package ships."""

from __future__ import annotations

import click

from mmxclip.cli.output import format_option, print_rows
from mmxclip.labels.class_names import LABEL_ORDERS, load_class_names, shipped_lists


@click.command()
@click.argument('name', required=False)
@click.option(
    '--label-order',
    type=click.Choice(LABEL_ORDERS),
    help='which of the two orders of HMDB51',
)
@format_option
def labels(name: str | None, label_order: str | None, fmt: str) -> None:
    """Print the class names of a data set, in the order of their labels.

    NAME is one of the lists that are shipped, or a .txt or .csv file. Without it,
    the lists are named.

    \b
    Examples:
      mmxclip labels
      mmxclip labels kinetics400 | head
      mmxclip labels hmdb51 --label-order mmaction2 --format csv > hmdb51.csv
    """
    if name is None:
        print_rows(
            [{'name': item, 'classes': len(load_class_names(item))} for item in shipped_lists()],
            fmt,
        )
        return
    names = load_class_names(name, label_order)
    print_rows([{'id': index, 'name': text} for index, text in enumerate(names)], fmt)
