"""Plot what runs have logged: losses, learning rates, accuracies."""

import argparse
import sys


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(
        description='Plot what runs have logged, one panel a key, one line a run.'
    )
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='work dir of a run (its last one counts), or a vis_data/scalars.json',
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        default=[],
        metavar='KEY',
        help='such as loss acc/top1 or "acc/*"; default: all but times and memory',
    )
    parser.add_argument('--names', nargs='+', metavar='NAME', help='of the runs, in their order')
    parser.add_argument(
        '-o', '--output', required=True, metavar='FILE', help='ending in .png, .svg or .pdf'
    )
    args = parser.parse_args(argv)
    names = args.names or args.runs
    if len(names) != len(args.runs) or len(set(names)) != len(names):
        parser.error(f'{len(args.runs)} runs need as many different --names')
    args.names = names
    return args


def plot(args: argparse.Namespace) -> None:
    """Read, draw and write."""
    from mmxclip.inference.writing import WholeFile
    from mmxclip.visualization.curves import choose_keys, draw_curves, find_scalars, read_curves
    from mmxclip.visualization.figures import check_ending, save_figure

    check_ending(args.output)
    files = zip(args.names, args.runs, strict=True)
    runs = {name: read_curves(find_scalars(run)) for name, run in files}
    keys = choose_keys(args.keys, runs)
    with WholeFile(args.output) as file:
        save_figure(draw_curves(runs, keys), file)


def main() -> int:
    """Plot, and return the exit code."""
    args = parse_args()
    try:
        from mmxclip.apis import reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: plot(args))


if __name__ == '__main__':
    sys.exit(main())
