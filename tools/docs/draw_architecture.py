"""Draw the architecture of X-CLIP for the README.

    python tools/docs/draw_architecture.py                # docs/images/architecture.svg
    python tools/docs/draw_architecture.py --out x.png    # any format that matplotlib writes

The same matplotlib writes the same bytes: the SVG carries no date, its ids are
salted with a constant, and text is drawn as outlines of a font that ships with
matplotlib. The card is opaque, so that it reads on light and dark pages alike.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle

OUT = Path(__file__).resolve().parents[2] / 'docs' / 'images' / 'architecture.svg'
SIZE = (1240, 690)
"""Width and height of the drawing in its own units, 100 to the inch."""

INK, FAINT, CARD = '#1f2933', '#5b6773', '#fbfbf8'
BLUE, GREEN, ORANGE, VIOLET = '#2f6db3', '#2e8b57', '#d9772b', '#7a4fb0'
TINT = {BLUE: '#e6eff9', GREEN: '#e4f3ea', ORANGE: '#fdeede', VIOLET: '#f0e9f8', INK: '#f1f2ef'}
SETTINGS = {
    'svg.hashsalt': 'mmxclip',
    'svg.fonttype': 'path',
    'font.family': 'DejaVu Sans',
    'mathtext.fontset': 'dejavusans',
}


def box(
    ax: Axes, x: float, y: float, w: float, h: float, color: str, fill: str | None = None
) -> None:
    """Add a rounded box with its lower left corner at ``(x, y)``."""
    style = 'round,pad=0,rounding_size=10'
    ax.add_patch(
        FancyBboxPatch((x, y), w, h, style, fc=fill or TINT[color], ec=color, lw=1.6, zorder=1)
    )


def write(ax: Axes, x: float, y: float, text: str, size: float = 10, **kwargs: Any) -> None:
    """Add text, centred unless told otherwise."""
    options = dict(ha='center', va='center', color=INK, fontsize=size, zorder=5)
    ax.text(x, y, text, **(options | kwargs))


def arrow(ax: Axes, *points: tuple[float, float], color: str = INK, lw: float = 1.7) -> None:
    """Add an arrow along ``points``; all but its last leg are plain lines."""
    for start, end in itertools.pairwise(points[:-1]):
        ax.plot(*zip(start, end, strict=True), color=color, lw=lw, zorder=3)
    ax.add_patch(
        FancyArrowPatch(
            points[-2], points[-1], arrowstyle='-|>', mutation_scale=13,
            shrinkA=0, shrinkB=0, color=color, lw=lw, zorder=3,
        )
    )  # fmt: skip


def draw_video(ax: Axes) -> None:
    """Draw the frames of the input: a disc on its way to the right."""
    for i in range(4):
        x, y = 30 + 20 * i, 488 - 20 * i
        ax.add_patch(Rectangle((x, y), 78, 78, fc='#26323d', ec='white', lw=1.4, zorder=2 + i))
        ax.add_patch(
            Circle((x + 15 + 15 * i, y + 50 - 4 * i), 10, fc='#e5484d', lw=0, zorder=2.5 + i)
        )
    write(ax, 98, 400, 'video', 12, weight='bold')
    write(ax, 98, 380, '(N, M, C, T, H, W)', 9.5, color=FAINT)
    write(ax, 98, 362, 'M views of T frames;', 9, color=FAINT)
    write(ax, 98, 346, 'from here on, N is N x M', 9, color=FAINT)


def draw_tokens(ax: Axes, x: float, top: float, label: str) -> None:
    """Draw one frame as a column: message, class token, patches."""
    cell = dict(ec='white', lw=1, zorder=4)
    ax.add_patch(Circle((x, top), 12, fc=ORANGE, **cell))
    write(ax, x, top, 'm', 9, color='white', weight='bold', zorder=6)
    ax.add_patch(Rectangle((x - 13, top - 54), 26, 26, fc=BLUE, **cell))
    write(ax, x, top - 41, 'cls', 8, color='white', weight='bold', zorder=6)
    for row in range(3):
        ax.add_patch(Rectangle((x - 13, top - 84 - 28 * row), 26, 26, fc='#a9c6e8', **cell))
    arrow(ax, (x, top - 27), (x, top - 12.5), color=ORANGE)
    write(ax, x, top - 156, label, 9, color=FAINT)


def draw_backbone(ax: Axes) -> None:
    """Draw one layer of the cross-frame transformer."""
    x, y, w, h = 200, 330, 412, 330
    box(ax, x, y, w, h, BLUE)
    write(ax, x + w / 2, y + h - 20, 'CrossFrameViT', 13, weight='bold', color=BLUE)
    write(ax, x + w / 2, y + h - 39, 'one of L layers; the rest is the image model', 9, color=FAINT)
    top = y + h - 92
    columns = [x + 50 + 58 * i for i in range(4)]
    ax.add_patch(
        FancyBboxPatch(
            (columns[0] - 24, top - 18), columns[-1] - columns[0] + 48, 36,
            'round,pad=0,rounding_size=16', fc=TINT[ORANGE], ec=ORANGE, lw=1.3, ls='--', zorder=2,
        )
    )  # fmt: skip
    names = ['t = 1', '2', '...', 'T']
    for column, name in zip(columns, names, strict=True):
        ax.add_patch(
            FancyBboxPatch(
                (column - 19, top - 146), 38, 124, 'round,pad=0,rounding_size=8',
                fc='white', ec=BLUE, lw=1.1, zorder=2,
            )
        )  # fmt: skip
        draw_tokens(ax, column, top, name)
    for left, right in itertools.pairwise(columns):
        ax.add_patch(
            FancyArrowPatch(
                (left + 13, top), (right - 13, top), arrowstyle='<|-|>', mutation_scale=8,
                shrinkA=1, shrinkB=1, color=ORANGE, lw=1.3, zorder=4,
            )
        )  # fmt: skip
    side = columns[-1] + 34
    left = dict(ha='left')
    steps = [
        ('CFA', 'messages, across\nthe frames', ORANGE),
        ('IFA', 'tokens and message,\nwithin a frame', BLUE),
        ('FFN', 'tokens only; the\nmessage is dropped', BLUE),
    ]
    for i, (name, text, color) in enumerate(steps):
        write(ax, side, top + 8 - 58 * i, name, 10.5, weight='bold', color=color, **left)
        write(ax, side, top - 2 - 58 * i, text, 8.5, va='top', **left)
    write(ax, x + w / 2, y + 50, r'$m_t = W z_{t,0} + b$', 10.5)
    write(ax, x + w / 2, y + 24, r'$\hat m = m + \mathrm{CFA}(\mathrm{LN}(m))$', 10.5)


def draw_neck(ax: Axes) -> None:
    """Draw the multi-frame integration."""
    x, y, w, h = 734, 506, 318, 154
    box(ax, x, y, w, h, GREEN)
    title = 'MultiFrameIntegrationTransformer'
    write(ax, x + w / 2, y + h - 24, title, 11, weight='bold', color=GREEN)
    write(ax, x + w / 2, y + 94, r'$v = \mathrm{mean}_t\,(\,f(h + e) + h\,)$', 12.5)
    write(ax, x + w / 2, y + 62, 'f: transformer over the frames', 9, color=FAINT)
    write(ax, x + w / 2, y + 44, 'e: learned positions in time', 9, color=FAINT)
    write(ax, x + w / 2, y + 18, 'or, without parameters: FrameAverage', 9, color=FAINT)


def draw_head(ax: Axes) -> None:
    """Draw text, prompts and similarity, all of which the head holds."""
    box(ax, 200, 18, 1016, 282, INK)
    write(ax, 218, 279, 'VideoPromptHead', 13, weight='bold', ha='left')

    box(ax, 236, 66, 196, 116, VIOLET)
    write(ax, 334, 158, 'CLIPTextEncoder', 11.5, weight='bold', color=VIOLET)
    write(ax, 334, 126, 'frozen: encoded once, kept', 9, color=FAINT)
    write(ax, 334, 108, 'until names, template or', 9, color=FAINT)
    write(ax, 334, 90, 'weights change', 9, color=FAINT)

    box(ax, 570, 66, 288, 200, ORANGE)
    write(ax, 714, 246, 'VideoSpecificPrompt', 11.5, weight='bold', color=ORANGE)
    write(ax, 714, 216, r'$z = \mathrm{mean}_t\,(\mathrm{LN}(\mathrm{patches}))\,W$', 11)
    write(ax, 714, 186, r'$x = c$,  then two times', 10)
    write(ax, 714, 156, r'$x \leftarrow x + \mathrm{attend}(\mathrm{LN}(x), \mathrm{LN}(z))$', 10.5)
    write(ax, 714, 132, r'$x \leftarrow x + \mathrm{MLP}(\mathrm{LN}(x))$', 10.5)
    write(ax, 714, 98, r'$\hat c = c + \alpha \odot x$', 12.5)

    box(ax, 992, 66, 206, 200, GREEN, fill='white')
    write(ax, 1095, 246, 'similarity', 11.5, weight='bold', color=GREEN)
    write(ax, 1095, 176, r'$e^{s}\,\cos(v_n,\ \hat c_{nk})$', 14)
    write(ax, 1095, 132, 's: logit_scale', 9, color=FAINT)
    write(ax, 1095, 112, 'views averaged by the head', 9, color=FAINT)


def draw_flow(ax: Axes) -> None:
    """Draw what runs between the parts, with its shape."""
    arrow(ax, (172, 470), (200, 470))
    arrow(ax, (612, 583), (734, 583), color=BLUE)
    write(ax, 671, 598, 'frames h', 9.5, weight='bold', color=BLUE)
    write(ax, 671, 568, '(N, T, E)', 9, color=FAINT)
    arrow(ax, (612, 430), (734, 430), (734, 266), color=BLUE)
    write(ax, 671, 445, 'patches', 9.5, weight='bold', color=BLUE)
    write(ax, 671, 415, '(N, T, P, D)', 9, color=FAINT)
    arrow(ax, (1052, 583), (1100, 583), (1100, 266), color=GREEN)
    write(ax, 1112, 440, 'video v', 9.5, weight='bold', color=GREEN, ha='left')
    write(ax, 1112, 422, '(N, E)', 9, color=FAINT, ha='left')
    arrow(ax, (432, 124), (570, 124), color=VIOLET)
    write(ax, 501, 139, 'classes c', 9.5, weight='bold', color=VIOLET)
    write(ax, 501, 109, '(K, E)', 9, color=FAINT)
    arrow(ax, (858, 124), (992, 124), color=ORANGE)
    write(ax, 925, 139, r'prompted $\hat c$', 9.5, weight='bold', color=ORANGE)
    write(ax, 925, 109, '(N, K, E)', 9, color=FAINT)
    arrow(ax, (184, 124), (236, 124), color=VIOLET)
    for i, name in enumerate(['a red circle moving left', 'a blue square turning', '...']):
        write(ax, 20, 146 - 20 * i, name, 9, ha='left', color=VIOLET)
    write(ax, 20, 176, 'class names, K', 11, weight='bold', ha='left')
    arrow(ax, (1100, 66), (1100, 36), color=GREEN)
    write(ax, 1088, 44, 'logits (N, K)', 9.5, weight='bold', color=GREEN, ha='right')


def figure() -> Figure:
    """Return the whole picture."""
    width, height = SIZE
    fig = Figure(figsize=(width / 100, height / 100))
    fig.patch.set_alpha(0)
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(0, height))
    ax.axis('off')
    ax.add_patch(
        FancyBboxPatch(
            (4, 4), width - 8, height - 8, 'round,pad=0,rounding_size=16',
            fc=CARD, ec='#c9ced3', lw=1, zorder=0,
        )
    )  # fmt: skip
    draw_video(ax)
    draw_backbone(ax)
    draw_neck(ax)
    draw_head(ax)
    draw_flow(ax)
    return fig


def draw(out: Path) -> None:
    """Write the picture to ``out``, whole or not at all; the suffix is the format."""
    partial = out.with_name(f'.{out.stem}.partial{out.suffix}')
    metadata = (
        {'Date': None, 'Creator': f'matplotlib {matplotlib.__version__}'}
        if out.suffix == '.svg'
        else None
    )
    with matplotlib.rc_context(SETTINGS):
        fig = figure()
        try:
            fig.savefig(partial, metadata=metadata, dpi=100)
            os.replace(partial, out)
        finally:
            partial.unlink(missing_ok=True)


def main(argv: list[str] | None = None) -> None:
    """Draw, and say where."""
    parser = argparse.ArgumentParser(description='Draw the architecture of X-CLIP.')
    parser.add_argument('--out', type=Path, default=OUT, help='file to write: .svg, .png, .pdf')
    args = parser.parse_args(argv)
    if not args.out.parent.is_dir():
        parser.error(f'there is no folder {str(args.out.parent)!r}; give another file with --out')
    draw(args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
