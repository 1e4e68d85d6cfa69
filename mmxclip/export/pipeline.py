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
        DataError: it asks for something else than :data:`ARGUMENTS`, or with values
            that a transform refuses.
    """
    plain = []
    for step in steps:
        _check(step, origin)
        # JSON knows lists only, and Resize takes tuples only
        plain.append({k: tuple(v) if isinstance(v, list) else v for k, v in step.items()})
    try:
        return Preparation(Config({'val_pipeline': plain}), 'one')
    except (TypeError, ValueError, AssertionError) as error:
        raise DataError(
            f'{origin} has a pipeline that cannot be built ({" ".join(str(error).split())[:160]}); '
            'give frames instead of videos, or export it again'
        ) from error


def _check(step: Any, origin: str) -> None:
    """Refuse a step that no export writes."""
    name = step.get('type') if isinstance(step, Mapping) else None
    known = ARGUMENTS.get(name) if isinstance(name, str) else None
    given = {key: value for key, value in step.items() if key != 'type'} if name else {}
    if known is None or not set(given) <= set(known) or not all(map(_is_plain, given.values())):
        raise DataError(
            f'{origin} asks for {str(step)[:120]} in its pipeline, which no export writes; '
            'give frames instead of videos, or export it again'
        )


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
