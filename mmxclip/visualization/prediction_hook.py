"""Some videos of every validation, drawn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor

from mmxclip.errors import ConfigError
from mmxclip.registry import HOOKS
from mmxclip.visualization.prediction_visualizer import PredictionVisualizer


@HOOKS.register_module()
class PredictionVisualizationHook(Hook):
    """Draw videos by the run's :class:`PredictionVisualizer`, in validation and testing.

    MMAction2's ``VisualizationHook`` passes an argument that no visualizer takes,
    and knows inputs without views only. The first process draws videos of its
    own share. A video has the same name in every validation, so that TensorBoard
    shows how its prediction changes.

    Args:
        interval: every so many videos of the first process.
        max_videos: at most so many in one validation.
        enable: False draws nothing.

    Raises:
        ConfigError: a number is below 1; at the start of a run, another visualizer.
    """

    def __init__(self, interval: int = 50, max_videos: int = 8, enable: bool = True) -> None:
        if interval < 1 or max_videos < 1:
            raise ConfigError(f'interval={interval} and max_videos={max_videos} must be at least 1')
        self.interval = interval
        self.max_videos = max_videos
        self.enable = enable
        self._seen = 0
        self._drawn = 0

    def before_run(self, runner: Runner) -> None:
        """Refuse a visualizer that draws no predictions, before anything is computed."""
        if self.enable and not isinstance(runner.visualizer, PredictionVisualizer):
            raise ConfigError(
                f'the visualizer is a {type(runner.visualizer).__name__}, which draws no '
                "predictions; set visualizer=dict(type='PredictionVisualizer', vis_backends=[...])"
            )

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin to count."""
        self._seen = self._drawn = 0

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin to count."""
        self._seen = self._drawn = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw what is due, under the epoch, or the iteration where a run counts in those."""
        by_iter = isinstance(runner._train_loop, IterBasedTrainLoop)
        self._draw(runner, data_batch, outputs, 'val', runner.iter if by_iter else runner.epoch)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draw what is due."""
        self._draw(runner, data_batch, outputs, 'test', 0)

    def _draw(
        self, runner: Runner, data_batch: Any, outputs: Sequence[Any], split: str, step: int
    ) -> None:
        if not self.enable or not is_main_process():
            return
        for pixels, sample in zip(data_batch['inputs'], outputs, strict=True):
            number, self._seen = self._seen, self._seen + 1
            if number % self.interval or self._drawn >= self.max_videos:
                continue
            self._drawn += 1
            stem = Path(str(sample.get('filename') or sample.get('frame_dir') or '')).stem
            stem = re.sub(r'[^\w.-]', '_', stem)[:50]  # a name may become that of a file
            name = f'{split}_{number:05d}_{stem}'.rstrip('_')
            runner.visualizer.add_datasample(name, first_view(pixels), sample, step=step)


def first_view(pixels: Tensor) -> np.ndarray:
    """Frames ``(T, H, W, 3)`` uint8 of the first of M views.

    Args:
        pixels: ``(M, C, T, H, W)`` of values 0 to 255, or ``(T, C, H, W)`` of 2D
            recognizers.
    """
    frames = pixels[0].transpose(0, 1) if pixels.dim() == 5 else pixels
    return frames.permute(0, 2, 3, 1).clamp(0, 255).byte().cpu().numpy()
