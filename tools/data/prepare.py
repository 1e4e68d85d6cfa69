"""Make annotation lists of a dataset as its owners distribute it, and check its videos."""

import argparse
import os
import sys
from pathlib import Path


def whole_number(text: str) -> int:
    """Return ``text`` as a number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number')
    return int(text)


def positive(text: str) -> int:
    """Return ``text`` as a number from 1."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def make_parser() -> argparse.ArgumentParser:
    """The command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(
        description='Make annotation lists of a dataset as its owners distribute it, and check '
        'its videos. No video is moved or changed.'
    )
    parser.add_argument(
        'dataset', choices=['kinetics400', 'kinetics600', 'hmdb51', 'ucf101', 'ssv2']
    )
    parser.add_argument(
        '--videos',
        type=Path,
        required=True,
        metavar='DIR',
        help='the unpacked videos; of Kinetics the folder that holds train, val and test',
    )
    parser.add_argument(
        '--out', type=Path, required=True, metavar='DIR', help='folder for lists and report'
    )
    parser.add_argument(
        '--annotations',
        type=Path,
        metavar='DIR',
        help="the owners' split files; by default looked for in and beside the videos",
    )
    parser.add_argument(
        '--label-order',
        choices=['mmaction2', 'xclip'],
        help='hmdb51: the order that labels count in; default mmaction2',
    )
    checking = parser.add_mutually_exclusive_group()
    checking.add_argument(
        '--check',
        choices=['places', 'full'],
        default='places',
        help='decode five frames of each video, or all; default places',
    )
    checking.add_argument(
        '--no-check', action='store_true', help='only look whether the videos are there'
    )
    parser.add_argument(
        '--workers',
        type=positive,
        default=os.cpu_count() or 1,
        metavar='N',
        help='processes that check and re-encode; default one for each core',
    )
    parser.add_argument(
        '--timeout',
        type=positive,
        default=120,
        metavar='SECONDS',
        help='after which a decoder, or 10 times this an encoder, is stopped; default 120',
    )
    parser.add_argument(
        '--reencode',
        dest='short_side',
        type=int,
        choices=[256, 340],
        help='make copies of this short side that are quick to seek in, and list those',
    )
    parser.add_argument(
        '--reencoded-dir', dest='copies', type=Path, metavar='DIR', help='folder for the copies'
    )
    parser.add_argument(
        '--shots',
        type=positive,
        nargs='+',
        default=[2, 4, 8, 16],
        metavar='K',
        help='videos per class of few-shot lists; default 2 4 8 16',
    )
    parser.add_argument(
        '--seeds',
        type=whole_number,
        nargs='+',
        default=[0, 1, 2],
        metavar='S',
        help='of few-shot, base-to-novel and zero-shot lists; default 0 1 2',
    )
    parser.add_argument(
        '--few-shot-list',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='hmdb51, ucf101: published lists, rows of "path label", to map to these videos',
    )
    parser.add_argument(
        '--zeroshot-list',
        type=Path,
        nargs='+',
        default=[],
        metavar='FILE',
        help='kinetics600: class lists of published splits, in place of drawn ones',
    )
    return parser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line, and refuse options that do not belong together."""
    parser = make_parser()
    args = parser.parse_args(argv)
    if args.label_order and args.dataset != 'hmdb51':
        parser.error(f'--label-order is for hmdb51, not for {args.dataset}')
    if args.few_shot_list and args.dataset not in ('hmdb51', 'ucf101'):
        parser.error(f'--few-shot-list is for hmdb51 and ucf101, not for {args.dataset}')
    if args.zeroshot_list and args.dataset != 'kinetics600':
        parser.error(f'--zeroshot-list is for kinetics600, not for {args.dataset}')
    if (args.short_side is None) != (args.copies is None):
        parser.error('--reencode and --reencoded-dir belong together')
    return args


def run(args: argparse.Namespace) -> None:
    """Prepare as the command line says."""
    from mmxclip.preparation.prepare import Options, prepare
    from mmxclip.preparation.writing import SubsetOptions

    published = [
        [file.expanduser() for file in files] for files in (args.few_shot_list, args.zeroshot_list)
    ]
    options = Options(
        dataset=args.dataset,
        videos=args.videos.expanduser(),
        out=args.out.expanduser(),
        annotations=args.annotations and args.annotations.expanduser(),
        label_order=args.label_order or 'mmaction2',
        check=None if args.no_check else args.check,
        workers=args.workers,
        timeout=args.timeout,
        short_side=args.short_side,
        copies=args.copies and args.copies.expanduser(),
        subsets=SubsetOptions(args.shots, args.seeds, *published),
    )
    prepare(options, lambda line: print(line, flush=True))


def main() -> int:
    """Prepare, and return the exit code."""
    args = parse_args()
    try:
        from mmxclip.apis import reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: run(args))


if __name__ == '__main__':
    sys.exit(main())
