"""Curves of training and validation from the scalars that MMEngine logs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmxclip.errors import ConfigError, DataError
from mmxclip.visualization.figures import new_figure, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOT_CURVES = ('step', 'iter', 'epoch')
Curve = tuple[list[float], list[float]]
"""Steps and values."""


def find_scalars(path: str | Path) -> Path:
    """The file of scalars that ``path`` names.

    Args:
        path: the file, or a folder above it: a work dir, of which the last run counts.

    Raises:
        DataError: there is none.
    """
    place = Path(path).expanduser()
    if not place.is_dir():
        return place  # reading reports an absent file
    for pattern in ('scalars.json', 'vis_data/scalars.json', '*/vis_data/scalars.json'):
        found = sorted(place.glob(pattern))  # runs are named by their time
        if found:
            return found[-1]
    raise DataError(f'folder {path} holds no vis_data/scalars.json; give the work dir of a run')


def read_curves(path: str | Path) -> dict[str, Curve]:
    """Curves by key, from a ``scalars.json``: one JSON object a line.

    Of a run that still writes, a last line that is cut off is left out. Where a
    run was resumed and steps come twice, the later value counts.

    Args:
        path: the file.

    Raises:
        DataError: it is absent or no such file.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines(keepends=True)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not UTF-8 text'
        raise DataError(f'scalars {path} cannot be read ({reason}); check the path') from error
    curves: dict[str, dict[float, float]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _parse(line)
        if row is None:
            if number == len(lines) and not line.endswith('\n'):
                break
            raise DataError(
                f'scalars {path}: line {number} is no JSON object with a step; expected the '
                'vis_data/scalars.json of a run'
            )
        for key, value in row.items():
            if key not in NOT_CURVES and _is_number(value):
                curves.setdefault(key, {})[row['step']] = float(value)
    if not curves:
        raise DataError(f'scalars {path} hold no numbers yet; wait for the first lines of the run')
    return {key: _sorted(curve) for key, curve in curves.items()}


def choose_keys(patterns: Sequence[str], runs: Mapping[str, Mapping[str, Curve]]) -> list[str]:
    """Keys of the runs that are asked for, in the order of the patterns.

    Args:
        patterns: keys, or patterns such as ``acc/*``; none for all keys but times.
        runs: curves by key, by name of the run.

    Raises:
        ConfigError: a pattern fits no key of any run.
    """
    known = list(dict.fromkeys(key for curves in runs.values() for key in curves))
    if not patterns:
        return [key for key in known if not key.endswith('time') and key != 'memory'] or known
    chosen: dict[str, None] = {}
    for pattern in patterns:
        fits = [key for key in known if key == pattern or fnmatchcase(key, pattern)]
        if not fits:
            raise ConfigError(f'no run has logged {pattern!r}; logged are {", ".join(known)}')
        chosen |= dict.fromkeys(fits)
    return list(chosen)


def draw_curves(runs: Mapping[str, Mapping[str, Curve]], keys: Sequence[str]) -> Figure:
    """One panel a key, one line a run.

    Args:
        runs: curves by key, by name of the run.
        keys: at least one.
    """
    columns = min(len(keys), math.ceil(math.sqrt(len(keys))), 4)
    rows = math.ceil(len(keys) / columns)
    figure = new_figure(5 * columns, 3.2 * rows + 0.3)
    for index, key in enumerate(keys, 1):
        axes = figure.add_subplot(rows, columns, index)
        for number, (name, curves) in enumerate(runs.items()):
            if key in curves:
                steps, values = curves[key]
                marker = 'o' if len(steps) <= 30 else None
                colour = f'C{number % 10}'  # a run keeps its colour where others lack the key
                axes.plot(steps, values, color=colour, marker=marker, ms=3, lw=1.2)
                axes.lines[-1].set_label(plain(name))
        axes.set_title(plain(key), fontsize=10)
        axes.set_xlabel('step')
        axes.grid(alpha=0.3)
        if len(runs) > 1:
            axes.legend(fontsize=8)
    return figure


def _parse(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and _is_number(row.get('step')) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sorted(curve: dict[float, float]) -> Curve:
    steps = sorted(curve)
    return steps, [curve[step] for step in steps]
