"""One frame from each of T equal segments of a video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from mmcv.transforms import BaseTransform

from mmxclip.errors import ConfigError, DataError
from mmxclip.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SegmentSampleFrames(BaseTransform):
    """Sample a video sparsely, as X-CLIP does in training and in testing.

    F frames, T wanted:

        train        i * a + uniform{0..a-1},  a = floor(F / T)
                     round(i * F / T) mod F    when F < T, half to even
        test, 1 clip floor(i * F / T + F / (2 T)), the segments' centres
        test, c > 1  c draws of the training rule

    The research code draws test clips from the global random state, so that
    its multi-clip accuracy varies from run to run. Here they are drawn from a
    generator of the clip's own, seeded by ``seed``, the clip and F: the same
    video gives the same clips in every run and on every rank.

    MMAction2's ``SampleFrames`` gives the same frames as separate clips of
    length 1; this gives clips of length T, which ``FormatShape('NCTHW')`` needs.

    Required Keys: ``total_frames``, ``start_index`` (0 when absent).

    Added Keys: ``frame_inds`` int32 ``(num_clips * clip_len,)``, ``clip_len``,
    ``frame_interval`` (None), ``num_clips``.

    Args:
        clip_len: frames T of a clip.
        num_clips: clips per video; more than 1 in testing only.
        test_mode: see above.
        seed: of the test clips.
    """

    def __init__(
        self, clip_len: int, num_clips: int = 1, test_mode: bool = False, seed: int = 0
    ) -> None:
        if clip_len < 1 or num_clips < 1:
            raise ConfigError(
                f'clip_len={clip_len} and num_clips={num_clips} must both be at least 1'
            )
        self.clip_len = clip_len
        self.num_clips = num_clips
        self.test_mode = test_mode
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Choose frames.

        Raises:
            DataError: for a video without frames.
        """
        total = int(results['total_frames'])
        if total < 1:
            raise DataError(f'{results.get("filename", "a video")} has no frames')
        if self.test_mode and self.num_clips == 1:
            clips = [self.centres(total)]
        elif self.test_mode:
            clips = [
                self.draw(total, np.random.default_rng((self.seed, clip, total)).integers)
                for clip in range(self.num_clips)
            ]
        else:
            clips = [self.draw(total, np.random.randint) for _ in range(self.num_clips)]
        indices = np.concatenate(clips) + results.get('start_index', 0)
        results['frame_inds'] = indices.astype(np.int32)
        results['clip_len'] = self.clip_len
        results['frame_interval'] = None
        results['num_clips'] = self.num_clips
        return results

    def centres(self, total: int) -> np.ndarray:
        """Frames in the middle of the segments, ``(T,)``."""
        # twice the numbers, so that floor sees whole ones
        return (2 * np.arange(self.clip_len) + 1) * total // (2 * self.clip_len)

    def draw(self, total: int, integers: Callable[..., np.ndarray]) -> np.ndarray:
        """A random frame of each segment, ``(T,)``; ``integers(n, size=T)`` draws."""
        steps = np.arange(self.clip_len)
        length = total // self.clip_len
        if length > 0:
            return steps * length + integers(length, size=self.clip_len)
        return np.round(steps * (total / self.clip_len)).astype(np.int64) % total

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(clip_len={self.clip_len}, num_clips={self.num_clips}, '
            f'test_mode={self.test_mode}, seed={self.seed})'
        )
