"""Videos of moving shapes, which the dataset writes by itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.datasets import VideoDataset
from mmengine.utils.progressbar_rich import track_progress_rich

from mmxclip.datasets.motion.rendering import render
from mmxclip.datasets.motion.scenes import SEEN_KINDS, UNSEEN_KINDS, Kind, draw_scene
from mmxclip.datasets.motion.storing import ensure
from mmxclip.datasets.motion.writing import require_pyav, write_video
from mmxclip.errors import ConfigError
from mmxclip.registry import DATASETS

RECIPE = 2
"""Raised whenever the same parameters come to give other videos."""

ANNOTATIONS = 'annotations.csv'
KINDS: dict[str, tuple[Kind, ...]] = {
    'train': SEEN_KINDS,
    'val': SEEN_KINDS,
    'unseen': UNSEEN_KINDS,
}
NUM_VIDEOS = {'train': 3840, 'val': 512, 'unseen': 256}


@dataclass(frozen=True)
class Recipe:
    """All that decides what the videos of a split are.

    Args:
        split: ``'train'``, ``'val'`` or ``'unseen'``.
        num_videos: how many; the first ones do not depend on it.
        seed: a whole number from 0.
        num_frames: per video.
        img_size: height and width in pixels, a multiple of 32.
        fps: frames per second.
        version: of the code that draws.
    """

    split: str
    num_videos: int
    seed: int
    num_frames: int
    img_size: int
    fps: int
    version: int = RECIPE

    def __post_init__(self) -> None:
        if self.split not in KINDS:
            raise ConfigError(f'split={self.split!r} is not known; expected one of {list(KINDS)}')
        for name, least in (('num_videos', 1), ('seed', 0), ('num_frames', 2), ('fps', 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f'{name}={value!r} must be a whole number from {least}')
        # decord 0.6 fails on frames that are 16, 24 or 48 pixels wide
        if not isinstance(self.img_size, int) or self.img_size < 32 or self.img_size % 32:
            raise ConfigError(f'img_size={self.img_size!r} must be a multiple of 32')

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What the labels 0 to K-1 stand for."""
        return KINDS[self.split]

    @property
    def folder_name(self) -> str:
        """Another one for any other parameters or classes."""
        names = [kind.name for kind in self.kinds]
        text = json.dumps([asdict(self), names], sort_keys=True)
        return f'{self.split}-{hashlib.sha256(text.encode()).hexdigest()[:10]}'

    def frames(self, index: int) -> np.ndarray:
        """The video of a given number, before compression: RGB ``(T, S, S, 3)``, uint8."""
        rng = np.random.default_rng([self.seed, list(KINDS).index(self.split), index])
        kind = self.kinds[index % len(self.kinds)]
        return render(draw_scene(kind, self.num_frames, rng), self.img_size)

    def write(self, folder: Path) -> None:
        """Write all videos and their annotations, showing progress."""
        require_pyav()
        names = [f'{index:05d}.mp4' for index in range(self.num_videos)]

        def write_one(index: int) -> None:
            write_video(folder / names[index], self.frames(index), self.fps)

        track_progress_rich(
            write_one,
            [(index,) for index in range(self.num_videos)],
            description=f'writing {self.num_videos} videos of moving shapes ({self.split})',
        )
        rows = [f'{name},{index % len(self.kinds)}\n' for index, name in enumerate(names)]
        (folder / ANNOTATIONS).write_text(''.join(rows), encoding='utf-8')


@DATASETS.register_module()
class MotionDataset(VideoDataset):
    """Videos of coloured shapes that move, grow, shrink or turn.

    Classes are sentences such as ``'a red circle moving left'``. No single
    frame tells the motion; see :mod:`mmxclip.datasets.motion.scenes`. The
    H.264 files are written at the first use, below ``data_root`` in a folder
    per split and set of parameters, and read again by ``pipeline`` like those
    of any other dataset. What they show depends on the parameters alone.

    Args:
        pipeline: transforms, beginning with one that opens a video.
        split: ``'train'`` and ``'val'`` have the same classes; ``'unseen'`` has
            combinations of colour, shape and motion that those two lack.
        data_root: folder for the files.
        num_videos: None for 3840, 512 and 256. Classes take turns, so that any
            number is balanced.
        seed: other seeds give other videos.
        num_frames: frames per video.
        img_size: height and width of a frame in pixels, a multiple of 32.
        fps: frames per second.
        kwargs: ``test_mode``, ``indices`` and the like of MMAction2's datasets.

    Raises:
        ConfigError: for values out of range, or when the files have to be
            written and PyAV is not installed.
        DataError: when ``data_root`` cannot be written.
    """

    def __init__(
        self,
        pipeline: list,
        split: str = 'train',
        data_root: str = 'data/motion',
        num_videos: int | None = None,
        seed: int = 0,
        num_frames: int = 16,
        img_size: int = 64,
        fps: int = 8,
        **kwargs: Any,
    ) -> None:
        number = NUM_VIDEOS.get(split, 1) if num_videos is None else num_videos
        recipe = Recipe(split, number, seed, num_frames, img_size, fps)
        folder = ensure(
            Path(data_root).expanduser() / recipe.folder_name, recipe.write, asdict(recipe)
        )
        metainfo = {'classes': tuple(kind.name for kind in recipe.kinds)}
        super().__init__(
            ann_file=str(folder / ANNOTATIONS),
            pipeline=pipeline,
            data_prefix=dict(video=str(folder)),
            delimiter=',',
            metainfo=metainfo | dict(kwargs.pop('metainfo', None) or {}),
            **kwargs,
        )
