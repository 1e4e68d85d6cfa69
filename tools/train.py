"""Train a model from a config, in the command style of MMAction2."""

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


def seed(text: str) -> int:
    """Return ``text`` as a number that numpy takes as a seed."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 0 to {2**32 - 1}')
    return int(text)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(description='Train a model from a config.')
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--work-dir', help='folder for checkpoints and logs')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint, or without one from the latest in the work dir',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='mixed precision: float16 on an accelerator, bfloat16 on the CPU',
    )
    parser.add_argument('--no-validate', action='store_true', help='train without validation')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the real over the base batch size of the config',
    )
    parser.add_argument('--seed', type=seed, help='random seed; wins over the one in the config')
    parser.add_argument(
        '--diff-rank-seed', action='store_true', help='give every process a seed of its own'
    )
    parser.add_argument(
        '--deterministic', action='store_true', help='use deterministic algorithms only'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Assignments,
        metavar='KEY=VALUE',
        help='override settings of the config, such as optim_wrapper.optimizer.lr=1e-4; '
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
    """Train, and return the exit code."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    try:
        from mmxclip.apis import launch, reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: launch.train(args))


if __name__ == '__main__':
    sys.exit(main())
