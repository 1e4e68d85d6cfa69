"""``mmxclip doctor``: what is missing before a run starts."""

from __future__ import annotations

import click

from mmxclip.cli.logs import only_warnings_to_stderr
from mmxclip.cli.output import format_option, print_rows


@click.command()
@click.argument('config', required=False)
@click.option('--checkpoint', help='weights to hold against the model')
@click.option('--quick', is_flag=True, help='decode one video of each split instead of eight')
@format_option
def doctor(config: str | None, checkpoint: str | None, quick: bool, fmt: str) -> None:
    """Say what is missing before a run starts, and how to get it.

    CONFIG is the name of a shipped config or a path; without it, the machine alone is
    checked. The exit code is 1 when something would end the run, and 0 when there are
    warnings only.

    \b
    Examples:
      mmxclip doctor
      mmxclip doctor xclip_b16_k400
      mmxclip doctor configs/xclip_tiny_motion.py --format json
    """
    if checkpoint is not None and config is None:
        raise click.UsageError('--checkpoint needs a CONFIG to hold it against')
    from mmxclip.doctor import examine
    from mmxclip.doctor.finding import PROBLEM

    with only_warnings_to_stderr():
        rows = [finding.to_dict() for finding in examine(config, checkpoint, quick)]
    print_rows(rows, fmt)
    if any(row['level'] == PROBLEM for row in rows):
        raise click.exceptions.Exit(1)
