"""Test a checkpoint with a config, in the command style of MMAction2."""

import argparse
import os
import sys

from mmengine.config import DictAction


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


def pickle_path(text: str) -> str:
    """Return ``text`` if it ends as MMEngine wants a dump to end."""
    if not text.endswith(('.pkl', '.pickle')):
        raise argparse.ArgumentTypeError(f'{text!r} must end in .pkl or .pickle')
    return text


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(description='Test a checkpoint with a config.')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('checkpoint', help='path or URL of the checkpoint')
    parser.add_argument('--work-dir', help='folder for logs and metrics')
    parser.add_argument(
        '--dump',
        type=pickle_path,
        metavar='FILE.pkl',
        help='write the prediction for every video to this file',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Assignments,
        metavar='KEY=VALUE',
        help='override settings of the config, such as test_dataloader.batch_size=4; '
        'a list is written key="[a,b]", without spaces',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what started the processes',
    )
    # torch.distributed.launch and srun scripts of different age spell it either way
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main() -> int:
    """Test, and return the exit code."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    try:
        from mmxclip.apis import launch, reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: launch.test(args))


if __name__ == '__main__':
    sys.exit(main())
