"""From a video file to frames, as plain data that a file can carry.

Transforms are built by name, and MMEngine imports whatever a dotted name says.
So a file may name only those below, with arguments that are values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmengine.config import Config

from mmxclip.errors import DataError
from mmxclip.inference.pipelines import Preparation, own_steps

ARGUMENTS: dict[str, tuple[str, ...]] = {
    'RobustDecordInit': (),
    'RobustDecordDecode': (),
    'SegmentSampleFrames': ('clip_len', 'num_clips', 'test_mode'),
    'SampleFrames': ('clip_len', 'frame_interval', 'num_clips', 'test_mode'),
    'UniformSample': ('clip_len', 'num_clips', 'test_mode'),
    'Resize': ('scale', 'keep_ratio', 'interpolation'),
    'CenterCrop': ('crop_size',),
    'FormatShape': ('input_format',),
    'PackActionInputs': (),
}
"""Transforms that a file may name, each with the arguments that it may give."""


def plain_steps(cfg: Config) -> tuple[dict[str, Any], ...] | None:
    """Steps of a config for one view; None when they are others than the plain ones."""
    steps = []
    for step in own_steps(cfg, 'one'):
        kind = step['type']
        name = kind.rpartition('.')[2] if isinstance(kind, str) else kind.__name__
        if 'Init' in name or 'Decode' in name:
            name = 'RobustDecordInit' if 'Init' in name else 'RobustDecordDecode'
        if name not in ARGUMENTS:
            return None
        kept = {key: value for key, value in step.items() if key in ARGUMENTS[name]}
        if len(kept) + 1 != len(step) and ARGUMENTS[name]:
            return None  # an argument that changes what comes out
        if not all(_is_plain(value) for value in kept.values()):
            return None
        steps.append({'type': name, **kept})
    return tuple(steps)


def preparation(steps: Iterable[Mapping[str, Any]], origin: str) -> Preparation:
    """What reads videos for a file that was loaded.

    Args:
        steps: from its metadata.
        origin: the file, named in errors.

    Raises:
        DataError: it asks for something else than :data:`ARGUMENTS`.
    """
    for step in steps:
        name = step.get('type') if isinstance(step, Mapping) else None
        given = set(step) - {'type'} if isinstance(step, Mapping) else set()
        if (
            not isinstance(name, str)
            or name not in ARGUMENTS
            or not given <= set(ARGUMENTS[name])
            or not all(_is_plain(step[key]) for key in given)
        ):
            raise DataError(
                f'{origin} asks for {str(step)[:120]} in its pipeline, which no export writes; '
                'give frames instead of videos, or export it again'
            )
    return Preparation(Config({'val_pipeline': [dict(step) for step in steps]}), 'one')


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
