"""Train the tiny image-text model that the configs of the motion task start from."""

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path, help='weights file to write, .safetensors')
    parser.add_argument('--steps', type=int, help='optimizer steps')
    parser.add_argument('--batch-size', type=int, help='captioned stills per step')
    parser.add_argument('--lr', type=float, help='highest learning rate')
    parser.add_argument('--num-stills', type=int, help='stills drawn in advance')
    parser.add_argument('--seed', type=int, help='of stills, weights and batches')
    parser.add_argument('--threads', type=int, default=1, help='of PyTorch (default: 1)')
    return parser.parse_args(argv)


def main() -> int:
    """Train, save and say how good it is; return the exit code."""
    args = parse_args()

    from mmxclip.apis import reporting

    return reporting.run(lambda: train(args))


def train(args: argparse.Namespace) -> None:
    """Do what the command line says."""
    import torch

    from mmxclip.apis import tiny_clip

    torch.set_num_threads(args.threads)
    tiny_clip.check_writable(args.out)
    given = {
        field.name: getattr(args, field.name)
        for field in fields(tiny_clip.TinyCLIP)
        if getattr(args, field.name, None) is not None
    }
    recipe = tiny_clip.TinyCLIP(**given)
    model, vocabulary = tiny_clip.train(recipe, report=lambda line: print(line, flush=True))
    score = tiny_clip.accuracy(model, vocabulary, recipe, number=2000)
    command = shlex.join(['python', 'tools/train_tiny_clip.py', *sys.argv[1:]])
    tiny_clip.save(args.out, model, vocabulary, recipe, command=command, accuracy=f'{score:.4f}')
    print(f'mmxclip: caption accuracy on new stills {score:.4f}; wrote {args.out}')


if __name__ == '__main__':
    sys.exit(main())
