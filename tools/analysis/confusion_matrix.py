"""Show which classes a model takes for which."""

import argparse
import sys


def positive(text: str) -> int:
    """Return ``text`` as a number of rows."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number from 1')
    return int(text)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(
        usage='%(prog)s [options] (FILE.pkl | CONFIG CHECKPOINT)',
        description='Print the most confused pairs of classes, from predictions that '
        'tools/test.py --dump has written, or from a test that is run now.',
    )
    parser.add_argument('inputs', nargs='+', metavar='FILE.pkl | CONFIG CHECKPOINT')
    parser.add_argument(
        '--classes',
        metavar='NAME|FILE',
        help='names of the classes: a shipped list (mmxclip labels) or a file; default: those of '
        'CONFIG, else numbers',
    )
    parser.add_argument('--label-order', choices=['mmaction2', 'xclip'], help='of hmdb51')
    parser.add_argument('--top', type=positive, default=10, help='pairs to print (default: 10)')
    parser.add_argument(
        '--format', choices=['table', 'markdown', 'csv', 'json', 'jsonl'], default='table'
    )
    parser.add_argument('-o', '--output', metavar='FILE', help='the matrix as .png, .svg or .pdf')
    parser.add_argument('--csv', metavar='FILE', help='the matrix as numbers of videos')
    args = parser.parse_args(argv)
    if len(args.inputs) > 2:
        parser.error('give one FILE.pkl, or CONFIG and CHECKPOINT')
    if len(args.inputs) == 1 and not args.inputs[0].endswith(('.pkl', '.pickle')):
        parser.error(f'{args.inputs[0]!r} does not end in .pkl; a CONFIG needs a CHECKPOINT')
    return args


def show(args: argparse.Namespace) -> None:
    """Count, print, and write what was asked for."""
    import contextlib

    from mmxclip.apis.tables import render
    from mmxclip.inference.writing import WholeFile
    from mmxclip.labels.class_names import load_class_names
    from mmxclip.visualization.confusion import (
        confused_pairs,
        count_confusions,
        draw_confusions,
        name_classes,
        to_csv,
    )
    from mmxclip.visualization.dumped import read_dump
    from mmxclip.visualization.figures import check_ending, save_figure

    if args.output:
        check_ending(args.output)
    classes = load_class_names(args.classes, args.label_order) if args.classes else None
    with contextlib.ExitStack() as stack:
        picture = stack.enter_context(WholeFile(args.output)) if args.output else None
        sheet = stack.enter_context(WholeFile(args.csv)) if args.csv else None
        if len(args.inputs) == 2:
            dumped, own = test(*args.inputs)
            classes = classes or own
        else:
            dumped = read_dump(args.inputs[0])
        names = name_classes(classes, dumped.num_classes)
        counts = count_confusions(dumped)
        if picture is not None:
            save_figure(draw_confusions(counts, names), picture)
        if sheet is not None:
            sheet.write(to_csv(counts, names).encode())
    rows = confused_pairs(counts, names, args.top)
    print(render(rows, args.format) if rows or args.format != 'table' else 'no video is confused')


def test(config: str, checkpoint: str) -> tuple:
    """Test as tools/test.py does, aside; its predictions and the names in the config."""
    import contextlib
    import tempfile
    from pathlib import Path

    from mmxclip.apis import launch
    from mmxclip.labels.class_names import load_class_names
    from mmxclip.visualization.dumped import read_dump

    with tempfile.TemporaryDirectory() as folder:
        dump = str(Path(folder) / 'predictions.pkl')
        run = argparse.Namespace(
            config=config, checkpoint=checkpoint, dump=dump, work_dir=folder, launcher='none'
        )
        run.cfg_options = None
        with contextlib.redirect_stdout(sys.stderr):  # the table alone goes to standard output
            launch.test(run)
        dumped = read_dump(dump)
    head = launch.load_config(config).model.get('cls_head') or {}
    classes = head.get('classes')
    return dumped, classes and load_class_names(classes, head.get('label_order'))


def main() -> int:
    """Count, and return the exit code."""
    args = parse_args()
    try:
        from mmxclip.apis import reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: show(args))


if __name__ == '__main__':
    sys.exit(main())
