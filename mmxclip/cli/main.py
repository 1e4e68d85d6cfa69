"""The ``mmxclip`` command: its sub-commands are imported when they are called."""

from __future__ import annotations

import os
import sys
from importlib import import_module

import click

from mmxclip.apis import reporting
from mmxclip.version import __version__

COMMANDS = {
    'export': 'mmxclip.cli.export:export',
    'doctor': 'mmxclip.cli.doctor:doctor',
    'labels': 'mmxclip.cli.labels:labels',
    'models': 'mmxclip.cli.models:models',
    'predict': 'mmxclip.cli.predict:predict',
}
"""Where each command is defined, ``module:function``; help lists them by name."""


class LazyGroup(click.Group):
    """Commands by the place that they are defined in."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is no such one."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(':')
        return getattr(import_module(module), name)


@click.group(
    cls=LazyGroup,
    context_settings={'help_option_names': ['-h', '--help'], 'max_content_width': 100},
    epilog='Tab completion: eval "$(_MMXCLIP_COMPLETE=bash_source mmxclip)", or zsh_source, '
    'fish_source. Errors are one line; MMXCLIP_TRACEBACK=1 shows where they come from.',
)
@click.version_option(__version__, prog_name='mmxclip', message='%(prog)s %(version)s')
def cli() -> None:
    """Name what happens in videos, with any words."""


def main(argv: list[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: arguments; None for those of the process.

    Returns:
        0 after success, 1 after failed work, 2 for wrong use, 130 when interrupted.
    """
    code = 0

    def call() -> None:
        nonlocal code
        try:
            code = cli.main(argv, prog_name='mmxclip', standalone_mode=False) or 0
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            code = 2
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        except click.Abort as error:
            raise KeyboardInterrupt from error

    try:
        failed = reporting.run(call)
        sys.stdout.flush()
    except BrokenPipeError:  # as of `mmxclip labels kinetics400 | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return failed or code


if __name__ == '__main__':
    sys.exit(main())
