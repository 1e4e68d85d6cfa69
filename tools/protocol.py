"""Run an evaluation protocol: a config over splits, seeds or numbers of videos, to a table."""

import argparse
import os
import sys

from mmengine.config import DictAction

PROTOCOLS = {
    'zeroshot': 'test a checkpoint on each split of classes that it has not seen',
    'fewshot': 'train on a few videos of each class, by number and seed, and test',
    'base2novel': 'train on half of the classes, by seed, and test on both halves',
    'supervised': 'train once and test with the views of the config',
}


class Assignments(DictAction):
    """MMEngine's ``key=value`` pairs, but what cannot be read is reported as wrong use."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        """Store the pairs as a dict."""
        wrong = [value for value in values if '=' not in value.lstrip('=')]
        if wrong:
            raise argparse.ArgumentError(self, f'{wrong[0]!r} is not of the form key=value')
        try:
            super().__call__(parser, namespace, values, option_string)
        except AssertionError as error:  # unbalanced brackets
            raise argparse.ArgumentError(self, str(error)) from error


class Values(argparse.Action):
    """Pairs of an axis and some of its values, ``shots=2,4``, as a dict of lists of text."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        """Store the pairs as a dict."""
        found: dict[str, list[str]] = dict(getattr(namespace, self.dest) or {})
        for pair in values:
            axis, equals, text = pair.partition('=')
            chosen = text.split(',')
            if not axis or not equals or not all(chosen):
                raise argparse.ArgumentError(self, f'{pair!r} is not of the form axis=value,value')
            if axis in found:
                raise argparse.ArgumentError(self, f'{axis!r} is given twice')
            found[axis] = chosen
        setattr(namespace, self.dest, found)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(
        description='Run an evaluation protocol, and write its table beside what is published. '
        'Started again, it goes on where it was stopped.'
    )
    commands = parser.add_subparsers(dest='protocol', required=True, metavar='PROTOCOL')
    for name, text in PROTOCOLS.items():
        command = commands.add_parser(name, help=text, description=f'{text.capitalize()}.')
        _add_arguments(command, trains=name != 'zeroshot')
        if name == 'supervised':
            command.add_argument(
                '--test-only', action='store_true', help='test the checkpoint without training'
            )
    return parser.parse_args(argv)


def _add_arguments(command: argparse.ArgumentParser, trains: bool) -> None:
    """Add what all protocols take."""
    command.add_argument('config', help='path of a config with a protocol of this name')
    command.add_argument(
        'checkpoint',
        help='weights to start from, of any format; none for those that the config names'
        if trains
        else 'weights to test, of any format',
    )
    command.add_argument('--work-dir', help='folder for the runs and the tables')
    command.add_argument(
        '--axes',
        nargs='+',
        action=Values,
        metavar='AXIS=VALUE,VALUE',
        help='run these values of an axis only, such as shots=2,4 seed=0',
    )
    command.add_argument(
        '--format',
        choices=['text', 'md', 'csv', 'json'],
        default='text',
        help='how to print the table; all but text are written to the work dir anyway',
    )
    again = command.add_mutually_exclusive_group()
    again.add_argument(
        '--fresh', action='store_true', help='delete runs that are in the work dir and start over'
    )
    again.add_argument(
        '--retest', action='store_true', help='keep what was trained there and test it again'
    )
    command.add_argument(
        '--cfg-options',
        nargs='+',
        action=Assignments,
        metavar='KEY=VALUE',
        help='override settings of the config, such as test_dataloader.batch_size=4; '
        'a list is written key="[a,b]", without spaces',
    )
    command.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes',
    )
    # torch.distributed.launch and srun scripts of different age spell it either way
    command.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS
    )


def main() -> int:
    """Run the protocol, and return the exit code."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    try:
        from mmxclip.apis import reporting
        from mmxclip.protocols import command
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: command.run(args))


if __name__ == '__main__':
    sys.exit(main())
