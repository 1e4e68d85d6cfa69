"""Captioned stills of the shapes that move in the videos."""

from __future__ import annotations

from itertools import product

import numpy as np

from mmxclip.datasets.motion.rendering import render
from mmxclip.datasets.motion.scenes import (
    BACKGROUND_RANGE,
    BRIGHTNESS_RANGE,
    COLOURS,
    POSITION_RANGE,
    RADIUS_RANGE,
    SHAPES,
    Scene,
)

SIZES = ('small', 'medium', 'big')
PLACES = (
    ('at the top left', 'at the top', 'at the top right'),
    ('on the left', 'in the middle', 'on the right'),
    ('at the bottom left', 'at the bottom', 'at the bottom right'),
)
"""Row by row, from the top."""

CAPTIONS = tuple(
    f'a {size} {colour} {shape} {place}'
    for size, colour, shape, row in product(SIZES, COLOURS, SHAPES, PLACES)
    for place in row
)


def draw_still(rng: np.random.Generator, img_size: int) -> tuple[np.ndarray, int]:
    """Draw a still at random.

    Args:
        rng: decides all of it.
        img_size: height and width S in pixels.

    Returns:
        RGB ``(S, S, 3)``, uint8, and the index of its caption in :data:`CAPTIONS`.
    """
    colour = int(rng.integers(len(COLOURS)))
    shape = int(rng.integers(len(SHAPES)))
    x, y = rng.uniform(*POSITION_RANGE, size=2)
    radius = rng.uniform(*RADIUS_RANGE)
    scene = Scene(
        shape=SHAPES[shape],
        rgb=np.array(list(COLOURS.values())[colour]) * rng.uniform(*BRIGHTNESS_RANGE),
        x=np.array([x]),
        y=np.array([y]),
        radius=np.array([radius]),
        angle=rng.uniform(0, 360, size=1),
        background=rng.uniform(*BACKGROUND_RANGE, size=(2, 2)),
    )
    parts = (
        (_third(radius, RADIUS_RANGE), len(SIZES)),
        (colour, len(COLOURS)),
        (shape, len(SHAPES)),
        (_third(y, POSITION_RANGE), len(PLACES)),
        (_third(x, POSITION_RANGE), len(PLACES[0])),
    )
    caption = 0
    for index, number in parts:
        caption = caption * number + index
    return render(scene, img_size)[0], caption


def _third(value: float, bounds: tuple[float, float]) -> int:
    """In which third of a range a value lies."""
    share = (value - bounds[0]) / (bounds[1] - bounds[0])
    return min(int(share * 3), 2)
