"""What moves, where and how: the vocabulary of moving shapes and their trajectories.

A class is a colour, a shape and a motion. The motion is in the order of the
frames alone:

* A frame drawn at random from a clip has the same distribution for every
  motion. A coordinate that rests takes its value from a walk of the very kind
  that the moving coordinate makes, stopped at a random frame.
* Motions come in pairs of which one is the other played backwards, so their
  sets of frames have the same distribution too: left and right, up and down,
  growing and shrinking. A model that does not know the order of the frames
  cannot tell the two apart.

Turning has no opposite here; it differs in that nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

COLOURS: dict[str, tuple[int, int, int]] = {
    'red': (225, 45, 40),
    'green': (45, 185, 60),
    'blue': (50, 90, 235),
    'yellow': (235, 215, 50),
}
"""RGB, 0 to 255."""

SHAPES = ('circle', 'square', 'triangle')

MOTIONS = (
    'moving left',
    'moving right',
    'moving up',
    'moving down',
    'growing',
    'shrinking',
    'turning',
)

AXES = (('moving left', 'moving right'), ('moving up', 'moving down'), ('growing', 'shrinking'))
"""Opposite motions; the frames of one are those of the other, in reverse."""

POSITION_RANGE = (0.2, 0.8)
POSITION_TRAVEL = (0.3, 0.6)
RADIUS_RANGE = (0.14, 0.3)
RADIUS_TRAVEL = (0.08, 0.14)
TURN_RANGE = (90.0, 180.0)
BACKGROUND_RANGE = (0.0, 90.0)
BRIGHTNESS_RANGE = (0.85, 1.05)


@dataclass(frozen=True)
class Kind:
    """What a clip shows.

    Args:
        colour: key of :data:`COLOURS`.
        shape: one of :data:`SHAPES`.
        motion: one of :data:`MOTIONS`.
    """

    colour: str
    shape: str
    motion: str

    @property
    def name(self) -> str:
        """The class name, e.g. ``'a red circle moving left'``."""
        return f'a {self.colour} {self.shape} {self.motion}'


def _is_held_out(colour: int, shape: int, motion: str) -> bool:
    """Whether a combination, by places in the lists above, is kept from training.

    One shape of each colour is met in training with one axis of motion (and
    turning) only; the opposite motions of the two other axes are held out
    together. Among the names held out, colour and shape thus leave four that
    differ in the motion, and a model that does not know the order of the frames
    cannot get beyond one half. Each pair of two is still met in training.
    """
    if (colour + shape) % len(SHAPES):
        return False
    held = (AXES[colour % len(AXES)], AXES[(colour + 1) % len(AXES)])
    return any(motion in axis for axis in held)


def _kinds(seen: bool) -> tuple[Kind, ...]:
    """Combinations that occur in training, or those that do not."""
    return tuple(
        Kind(colour, shape, motion)
        for i, colour in enumerate(COLOURS)
        for j, shape in enumerate(SHAPES)
        for motion in MOTIONS
        if _is_held_out(i, j, motion) != seen
        and (shape, motion) != ('circle', 'turning')  # nobody could see it
    )


SEEN_KINDS = _kinds(seen=True)
UNSEEN_KINDS = _kinds(seen=False)
SEEN_CLASSES = tuple(kind.name for kind in SEEN_KINDS)
UNSEEN_CLASSES = tuple(kind.name for kind in UNSEEN_KINDS)


@dataclass(frozen=True)
class Scene:
    """A shape over time, T frames, and what is behind it. Lengths are in sides of the image.

    Args:
        shape: one of :data:`SHAPES`.
        rgb: colour of the shape, 0 to 255.
        x: of the centre, from the left, ``(T,)``.
        y: of the centre, from the top, ``(T,)``.
        radius: of the circle around the shape, ``(T,)``.
        angle: degrees, clockwise, ``(T,)``.
        background: greys of the four corners, 0 to 255, ``(2, 2)``.
    """

    shape: str
    rgb: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    angle: np.ndarray
    background: np.ndarray

    def __len__(self) -> int:
        return len(self.x)


def draw_scene(kind: Kind, num_frames: int, rng: np.random.Generator) -> Scene:
    """Draw a scene at random.

    Args:
        kind: what it shows.
        num_frames: T, at least 2.
        rng: decides all the rest.
    """
    tracks = {
        'x': _walk(POSITION_RANGE, POSITION_TRAVEL, num_frames, rng),
        'y': _walk(POSITION_RANGE, POSITION_TRAVEL, num_frames, rng),
        'radius': _walk(RADIUS_RANGE, RADIUS_TRAVEL, num_frames, rng),
        'angle': _turn(num_frames, rng),
    }
    moving, backwards = {
        'moving left': ('x', True),
        'moving right': ('x', False),
        'moving up': ('y', True),
        'moving down': ('y', False),
        'growing': ('radius', False),
        'shrinking': ('radius', True),
        'turning': ('angle', bool(rng.integers(2))),
    }[kind.motion]
    for name, track in tracks.items():
        if name != moving:
            tracks[name] = np.full(num_frames, track[rng.integers(num_frames)])
        elif backwards:
            tracks[name] = track[::-1].copy()
    return Scene(
        shape=kind.shape,
        rgb=np.array(COLOURS[kind.colour]) * rng.uniform(*BRIGHTNESS_RANGE),
        background=rng.uniform(*BACKGROUND_RANGE, size=(2, 2)),
        **tracks,
    )


def _walk(
    bounds: Sequence[float], travel: Sequence[float], num_frames: int, rng: np.random.Generator
) -> np.ndarray:
    """Rise evenly by an amount within ``travel``, from a start that keeps to ``bounds``."""
    distance = rng.uniform(travel[0], travel[1])
    start = rng.uniform(bounds[0], bounds[1] - distance)
    return start + distance * np.linspace(0, 1, num_frames)


def _turn(num_frames: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(0, 360) + rng.uniform(*TURN_RANGE) * np.linspace(0, 1, num_frames)
