"""Convert a checkpoint between formats, exactly, and say what it holds."""

import argparse
import sys


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; nothing heavy is imported before it is understood."""
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint between formats, exactly, and say what it holds.'
    )
    parser.add_argument('src', help="a weights file, or a folder as Hugging Face's")
    parser.add_argument(
        'dst',
        help='.pth or .safetensors; with --target hf also a new folder, which gets config.json',
    )
    parser.add_argument(
        '--source',
        choices=['auto', 'official', 'hf', 'openai', 'open_clip', 'mmxclip'],
        default='auto',
        help='format of SRC; auto tells it from the keys',
    )
    parser.add_argument(
        '--target', choices=['mmxclip', 'official', 'hf'], default='mmxclip', help='format of DST'
    )
    parser.add_argument(
        '--keep-heads',
        action='store_true',
        help='keep the numbers of attention heads that the config.json in SRC tells, also where '
        "they are not the authors' one per 64 channels",
    )
    parser.add_argument(
        '--position-ids',
        action=argparse.BooleanOptionalAction,
        help='with --target hf: write, or leave out, the buffers that transformers saved until '
        '4.31; by default as the weights had them when they came from there',
    )
    return parser.parse_args(argv)


def convert(args: argparse.Namespace) -> None:
    """Convert, and print what was found and written."""
    from mmxclip.checkpoints import files

    weights = files.read(args.src, args.source, keep_heads=args.keep_heads)
    written = files.write(weights, args.dst, args.target, args.position_ids)
    for line in files.describe(weights):
        print(line)
    print(f'{args.dst}: {len(written)} tensors as {args.target}')


def main() -> int:
    """Convert, and return the exit code."""
    args = parse_args()
    try:
        from mmxclip.apis import reporting
    except ImportError as error:
        if error.name != 'mmcv':
            raise
        sys.exit(f'mmxclip: error: {error}')
    return reporting.run(lambda: convert(args))


if __name__ == '__main__':
    sys.exit(main())
