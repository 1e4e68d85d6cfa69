"""Moving shapes: what there is, how it is drawn, and how it is written to video files."""

from mmxclip.datasets.motion.scenes import (
    COLOURS,
    MOTIONS,
    SEEN_CLASSES,
    SHAPES,
    UNSEEN_CLASSES,
    Scene,
    draw_scene,
)

__all__ = [
    'COLOURS',
    'MOTIONS',
    'SEEN_CLASSES',
    'SHAPES',
    'UNSEEN_CLASSES',
    'Scene',
    'draw_scene',
]
