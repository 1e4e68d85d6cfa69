"""Figures of matplotlib, drawn without a display and written wholly or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from mmxclip.errors import ConfigError
from mmxclip.inference.writing import WholeFile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ('.png', '.svg', '.pdf')


def check_ending(path: str | Path) -> str:
    """The kind of picture that ``path`` names, without the dot.

    Raises:
        ConfigError: it is none of ``ENDINGS``.
    """
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(f'picture {str(path)!r} ends in none of {", ".join(ENDINGS)}')
    return ending[1:]


def new_figure(width: float, height: float) -> Figure:
    """An empty figure in inches, apart from pyplot: nothing global, no window.

    Args:
        width: in inches.
        height: in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, file: WholeFile) -> None:
    """Draw, and write to an entered ``file`` as its ending says.

    Args:
        figure: what to draw.
        file: within its context.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=check_ending(file.path), dpi=150)
    file.write(buffer.getvalue())


def plain(text: str) -> str:
    """``text`` with its dollar signs shown as such, not read as formulas."""
    return text.replace('$', r'\$')
