"""Wrong use that shows only when the values are looked at."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from mmxclip.apis.reporting import text_of
from mmxclip.errors import MMXCLIPError


class WrongUse(click.ClickException):
    """Ends a command with one line and exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the line."""
        print(f'mmxclip: error: {self.message}', file=sys.stderr)  # noqa: T201


@contextlib.contextmanager
def wrong_use(option: str) -> Iterator[None]:
    """Turn errors of the package, which an option has caused, into :class:`WrongUse`."""
    try:
        yield
    except MMXCLIPError as error:
        raise WrongUse(f'{option}: {text_of(error)}') from error
