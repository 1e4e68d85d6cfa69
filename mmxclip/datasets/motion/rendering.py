"""From scenes to frames."""

from __future__ import annotations

import cv2
import numpy as np

from mmxclip.datasets.motion.scenes import Scene

SUPERSAMPLING = 4
CORNERS = {'square': 4, 'triangle': 3}
CIRCLE_CORNERS = 40
SUBPIXEL_BITS = 4


def render(scene: Scene, img_size: int) -> np.ndarray:
    """Draw all frames of a scene.

    Args:
        scene: of T frames.
        img_size: height and width S in pixels.

    Returns:
        RGB ``(T, S, S, 3)``, uint8.
    """
    background = _gradient(scene.background, img_size)[..., None]  # (S, S, 1)
    frames = []
    for x, y, radius, angle in zip(scene.x, scene.y, scene.radius, scene.angle, strict=True):
        corners = outline(scene.shape, angle) * radius + (x, y)
        mask = _coverage(corners, img_size)[..., None]
        frames.append(background * (1 - mask) + scene.rgb * mask)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def outline(shape: str, angle: float) -> np.ndarray:
    """Corners of a shape within the unit circle, ``(corners, 2)``, x to the right and y down.

    Args:
        shape: one of :data:`mmxclip.datasets.motion.scenes.SHAPES`.
        angle: degrees, clockwise as seen.
    """
    count = CORNERS.get(shape, CIRCLE_CORNERS)
    turns = np.deg2rad(angle) + 2 * np.pi * np.arange(count) / count
    return np.stack([np.cos(turns), np.sin(turns)], axis=1)


def _coverage(corners: np.ndarray, img_size: int) -> np.ndarray:
    """Share of each pixel that lies within the corners, 0 to 1, ``(S, S)``."""
    size = img_size * SUPERSAMPLING
    mask = np.zeros((size, size), np.uint8)
    # OpenCV counts from the centre of the first pixel
    points = np.rint((corners * size - 0.5) * 2**SUBPIXEL_BITS).astype(np.int32)
    cv2.fillPoly(mask, [points], 255, shift=SUBPIXEL_BITS)
    small = cv2.resize(mask, (img_size, img_size), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64) / 255


def _gradient(corners: np.ndarray, img_size: int) -> np.ndarray:
    """Greys between those of the four corners, ``(S, S)``."""
    along = np.linspace(0, 1, img_size)
    rows = corners[0] + along[:, None] * (corners[1] - corners[0])  # (S, 2)
    return rows[:, :1] + along * (rows[:, 1:] - rows[:, :1])
