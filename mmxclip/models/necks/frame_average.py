"""The baseline: a video is the mean of its frames."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmxclip.models.common.features import FrameFeatures, VideoFeatures, to_frame_features
from mmxclip.registry import MODELS


@MODELS.register_module()
class FrameAverage(BaseModule):
    """Average frame embeddings, without parameters (arXiv:2208.02816, table 6, CLIP-Mean).

    Shape:
        ``frames (N, T, E), patches (N, T, P, D)`` to ``video (N, E)`` and the
        patches unchanged; or a tensor ``(N, T, E)`` to ``(N, E)``; or any form
        of :func:`mmxclip.models.common.features.to_frame_features`.
    """

    def forward(
        self, x: FrameFeatures | Tensor, data_samples: list | None = None
    ) -> tuple[VideoFeatures | Tensor, dict]:
        """Average over time; the second output, auxiliary losses, is empty."""
        x = to_frame_features(x)
        if isinstance(x, Tensor):
            return x.mean(dim=1), {}
        return VideoFeatures(x.frames.mean(dim=1), x.patches), {}
