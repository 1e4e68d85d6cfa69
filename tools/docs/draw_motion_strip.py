"""Draw test videos with what a trained model says about them.

    python tools/docs/draw_motion_strip.py work_dirs/xclip_tiny_motion/epoch_10.pth

One row is one video of the config's test set: its frames as the model sees
them, the true name, the predicted name and its probability. Drawn are the first
videos of evenly spaced classes, whatever the model makes of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mmengine.config import Config
    from numpy import ndarray

OUT = Path(__file__).resolve().parents[2] / 'docs' / 'images' / 'motion_predictions.png'
INK, FAINT, RIGHT, WRONG, CARD = '#1f2933', '#5b6773', '#2e8b57', '#c0392b', '#fbfbf8'
CELL, GAP, LETTER, MARGIN = 66, 3, 8, 14
"""Widths in pixels: a frame, between frames, a bold letter, around all."""


class Row(NamedTuple):
    """One video: frames ``(T, H, W, 3)`` uint8, two names and the probability of the second."""

    frames: ndarray
    truth: str
    guess: str
    score: float


def find_config(checkpoint: Path) -> Path:
    """Return the config that the run has written beside ``checkpoint``.

    Raises:
        ConfigError: there is none, or more than one.
    """
    from mmxclip.errors import ConfigError

    found = sorted(checkpoint.parent.glob('*.py'))
    if len(found) != 1:
        names = ', '.join(path.name for path in found) or 'none'
        raise ConfigError(
            f'there must be one config beside {str(checkpoint)!r}, found {names}; give --config'
        )
    return found[0]


def spread(length: int, count: int) -> list[int]:
    """Return ``count`` places, the middles of equal parts of ``range(length)``.

    >>> spread(10, 2)
    [2, 7]
    """
    count = min(count, length)
    return [(2 * i + 1) * length // (2 * count) for i in range(count)]


def predict(cfg: Config, checkpoint: Path, count: int) -> list[Row]:
    """Return the first videos of ``count`` classes of the test set, with their predictions."""
    import torch
    from mmaction.apis import init_recognizer
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import DATASETS, init_default_scope

    init_default_scope(cfg.get('default_scope', 'mmaction'))
    model = init_recognizer(cfg, str(checkpoint), device='cpu')
    names = model.cls_head.classes
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    labels = [dataset.get_data_info(index)['label'] for index in range(len(dataset))]
    present = sorted(set(labels))
    rows = []
    for index in [labels.index(present[place]) for place in spread(len(present), count)]:
        item = dataset[index]
        with torch.no_grad():
            sample = model.test_step(pseudo_collate([item]))[0]
        first_view = item['inputs'][0]  # (C, T, H, W)
        rows.append(
            Row(
                first_view.permute(1, 2, 3, 0).numpy(),
                names[int(sample.gt_label)],
                names[int(sample.pred_label)],
                float(sample.pred_score.max()),
            )
        )
    return rows


def draw(rows: list[Row], out: Path) -> None:
    """Write the rows as a picture to ``out``, whole or not at all."""
    import matplotlib
    from matplotlib.figure import Figure

    num_frames = max(len(row.frames) for row in rows)
    left = MARGIN + num_frames * (CELL + GAP) + MARGIN
    longest = max(len(name) for row in rows for name in (row.truth, row.guess))
    width = left + LETTER * (longest + 8) + MARGIN  # 8: mark, spaces and probability
    height = 2 * MARGIN + len(rows) * (CELL + GAP) - GAP
    partial = out.with_name(f'.{out.stem}.partial{out.suffix}')
    with matplotlib.rc_context({'font.family': 'DejaVu Sans', 'font.size': 9.5}):
        fig = Figure(figsize=(width / 100, height / 100), facecolor=CARD)
        for i, row in enumerate(rows):
            bottom = height - MARGIN - (i + 1) * CELL - i * GAP
            for j, frame in enumerate(row.frames):
                x = MARGIN + j * (CELL + GAP)
                ax = fig.add_axes((x / width, bottom / height, CELL / width, CELL / height))
                ax.imshow(frame, interpolation='antialiased')
                ax.axis('off')
            write_names(fig, row, left / width, (bottom + CELL / 2) / height, 11 / height)
        try:
            fig.savefig(partial, dpi=200, metadata={'Software': None})
            os.replace(partial, out)
        finally:
            partial.unlink(missing_ok=True)


def write_names(fig: Any, row: Row, x: float, y: float, step: float) -> None:
    """Write the true name above ``(x, y)`` and the predicted one below."""
    right = row.guess == row.truth
    mark, color = ('✓', RIGHT) if right else ('✗', WRONG)
    fig.text(x, y + step, row.truth, color=INK, va='center')
    guess = f'{mark}  {row.guess}  {row.score:.2f}'
    fig.text(x, y - step, guess, color=color, va='center', weight='bold')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Draw test videos with their predictions.')
    parser.add_argument('checkpoint', type=Path, help='checkpoint, in the work dir of its run')
    parser.add_argument('--config', type=Path, help='config; by default the one beside it')
    parser.add_argument('--videos', type=int, default=8, help='rows to draw, one for a class (8)')
    parser.add_argument('--out', type=Path, default=OUT, help='picture to write')
    args = parser.parse_args(argv)
    if args.videos < 1:
        parser.error(f'--videos {args.videos} must be at least 1')
    if not args.out.parent.is_dir():
        parser.error(f'there is no folder {str(args.out.parent)!r}; give another file with --out')
    return args


def main(argv: list[str] | None = None) -> int:
    """Draw, and return the exit code."""
    args = parse_args(argv)

    from mmxclip.apis import launch, reporting

    def work() -> None:
        launch.require_checkpoint(str(args.checkpoint))
        cfg = launch.load_config(str(args.config or find_config(args.checkpoint)))
        rows = predict(cfg, args.checkpoint, args.videos)
        draw(rows, args.out)
        right = sum(row.guess == row.truth for row in rows)
        print(f'{right} of {len(rows)} right; wrote {args.out}')

    return reporting.run(work)


if __name__ == '__main__':
    sys.exit(main())
