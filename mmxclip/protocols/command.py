"""What ``tools/protocol.py`` does, from its arguments to the table."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from contextlib import redirect_stdout
from pathlib import Path

from mmxclip.apis import launch
from mmxclip.protocols import tables
from mmxclip.protocols.plan import make_plan
from mmxclip.protocols.report import make_report, published_for
from mmxclip.protocols.results import Outcome
from mmxclip.protocols.runner import Walk, agree, processes


def run(args: Namespace) -> None:
    """Run a protocol, write its tables and print one.

    Args:
        args: what ``tools/protocol.py`` has parsed.

    Raises:
        ConfigError: config, options, folder and machine do not fit together.
        CheckpointError: the checkpoint does not exist.
        DataError: lists of the protocol do not exist.
    """
    cfg = launch.load_config(args.config, args.cfg_options)
    plan = make_plan(cfg, args.config, args.protocol, args.axes, getattr(args, 'test_only', False))
    work_dir = work_dir_of(args, cfg.get('work_dir'))
    walk = Walk(
        *(cfg, plan, args.config, args.checkpoint, work_dir, args.launcher),
        fresh=args.fresh,
        retest=args.retest,
        say=_say,
    )
    walk.check()
    published = published_for(plan, Path(args.config).stem)

    def finish(outcomes: list[Outcome]) -> None:
        report = make_report(cfg, args.config, plan, args.checkpoint, outcomes, published)
        for path in tables.write_all(report, work_dir):
            _say(f'wrote {path}')
        print(tables.FORMATS[args.format](report), end='', flush=True)  # noqa: T201

    with processes(cfg, args.launcher), walk.opened() as found:
        agree(lambda: tables.remove_all(work_dir))
        with redirect_stdout(sys.stderr):  # MMEngine's loggers, so that the table can be piped on
            outcomes = list(walk.outcomes(found))
        agree(lambda: finish(outcomes))


def _say(line: str) -> None:
    """Tell what happens, apart from the table, which may be piped on."""
    print(f'mmxclip: {line}', file=sys.stderr, flush=True)  # noqa: T201


def work_dir_of(args: Namespace, configured: str | None) -> Path:
    """The folder of the command line, else of the config, else one below ``work_dirs``."""
    name = args.protocol + '_test_only' * getattr(args, 'test_only', False)
    default = os.path.join('work_dirs', Path(args.config).stem, name)
    return Path(os.path.abspath(args.work_dir or configured or default))
