"""Colour jitter for some of the videos."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mmxclip.errors import ConfigError
from mmxclip.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue, by torchvision, with a probability.

    MMAction2's ``ColorJitter`` changes every video, draws the order of its four
    steps once for a whole run, from the global random state, and gives the hue
    in OpenCV's units of two degrees a shift that was meant for 255 of them.

    Required Keys: ``imgs``, RGB uint8 ``(H, W, 3)``.

    Modified Keys: ``imgs``.

    Args:
        prob: of changing a video.
        brightness: factors are drawn from ``[1 - brightness, 1 + brightness]``;
            ``contrast`` and ``saturation`` likewise.
        contrast: see above.
        saturation: see above.
        hue: shifts are drawn from ``[-hue, hue]``, 1 being the whole circle.
        per_frame: draw anew for each frame, as the research code of X-CLIP does:
            its videos flicker. False changes all frames of a clip alike.

    Raises:
        ConfigError: when a probability or a strength is out of range.

    Source: the recipe of arXiv:2208.02816 (X-CLIP): 0.8; 0.4, 0.4, 0.2, 0.1.
    """

    def __init__(
        self,
        prob: float = 0.8,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.2,
        hue: float = 0.1,
        per_frame: bool = False,
    ) -> None:
        from torchvision.transforms import v2

        if not 0 <= prob <= 1:
            raise ConfigError(f'prob={prob} must lie within 0 and 1')
        self.prob = prob
        self.per_frame = per_frame
        try:
            self.jitter = v2.ColorJitter(brightness, contrast, saturation, hue)
        except ValueError as error:
            raise ConfigError(f'RandomColorJitter: {error}') from error

    def transform(self, results: dict) -> dict:
        """Change the frames, or leave them."""
        if random.random() >= self.prob:
            return results
        frames = torch.from_numpy(np.stack(results['imgs'])).permute(0, 3, 1, 2)
        if self.per_frame:
            frames = torch.stack([self.jitter(frame) for frame in frames])
        else:
            frames = self.jitter(frames)
        results['imgs'] = list(frames.permute(0, 2, 3, 1).numpy())
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, per_frame={self.per_frame}, '
            f'jitter={self.jitter})'
        )
