"""Print parameters and multiply-adds of models, beside what is published."""

import argparse
import sys


def positive(text: str) -> int:
    """Return ``text`` as a number of classes."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1')
    return int(text)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(
        description='Print parameters and multiply-adds (in 1e9) of one view, class embeddings at '
        'hand, as papers count FLOPs. Nothing is run and no memory is taken.'
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='path of a config')
    parser.add_argument(
        '--num-classes',
        type=positive,
        help="count for so many classes instead of the config's, whose list need not exist then",
    )
    parser.add_argument(
        '--format', choices=['table', 'markdown', 'csv', 'json', 'jsonl'], default='table'
    )
    return parser.parse_args(argv)


def count(args: argparse.Namespace) -> None:
    """Count, and print the table."""
    from mmengine.registry import init_default_scope

    from mmxclip.apis.launch import load_config
    from mmxclip.apis.tables import render
    from mmxclip.zoo.report import cost_row

    rows = []
    for path in args.configs:
        cfg = load_config(path)
        init_default_scope(cfg.get('default_scope', 'mmaction'))
        rows.append(cost_row(path, cfg, args.num_classes))
    print(render(rows, args.format))


def main() -> int:
    """Count, and return the exit code."""
    args = parse_args()
    try:
        from mmxclip.apis import reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: count(args))


if __name__ == '__main__':
    sys.exit(main())
