"""Videos of a validation with what the model says about them, as one picture each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmaction.structures import ActionDataSample
from mmaction.visualization import ActionVisualizer
from mmengine.dist import master_only

from mmxclip.errors import ConfigError
from mmxclip.inference.writing import WholeFile
from mmxclip.registry import VISUALIZERS
from mmxclip.visualization.figures import new_figure, plain, save_figure

RIGHT, WRONG, OTHER = '#2e8b57', '#c0392b', '#9aa5b1'


@VISUALIZERS.register_module()
class PredictionVisualizer(ActionVisualizer):
    """Draws frames, true name and likeliest names of a video as a contact sheet.

    MMAction2's ``ActionVisualizer`` asks samples for ``gt_labels`` and
    ``pred_labels``, which they have not been called for long, and so draws
    frames without labels, one file each.

    Args:
        top_k: names with bars.
        max_frames: frames shown, evenly chosen where there are more.
        name: of the instance, as in MMEngine.
        vis_backends: configs of MMEngine's backends: files, TensorBoard, WandB.
        save_dir: their folder; a Runner gives its own.
        kwargs: of ``ActionVisualizer``.

    Raises:
        ConfigError: ``top_k`` or ``max_frames`` is below 1.
    """

    def __init__(
        self,
        top_k: int = 5,
        max_frames: int = 16,
        name: str = 'visualizer',
        vis_backends: list[dict] | None = None,
        save_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        if top_k < 1 or max_frames < 1:
            raise ConfigError(f'top_k={top_k} and max_frames={max_frames} must be at least 1')
        super().__init__(name, vis_backends, save_dir, **kwargs)
        self.top_k = top_k
        self.max_frames = max_frames

    @master_only
    def add_datasample(
        self,
        name: str,
        video: np.ndarray | Sequence[np.ndarray] | str,
        data_sample: ActionDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        out_path: str | None = None,
        step: int = 0,
        **kwargs: Any,
    ) -> np.ndarray:
        """Draw a video and hand the picture to all backends, in the first process only.

        Args:
            name: of the picture in the backends.
            video: RGB frames ``(T, H, W, 3)`` uint8, or what ``ActionVisualizer`` loads.
            data_sample: with ``gt_label`` and ``pred_score``, as far as there are any.
            draw_gt: whether the true name is shown.
            draw_pred: whether predicted names are shown.
            out_path: write a file ending in .png, .svg or .pdf, and leave the backends out.
            step: of the run.
            kwargs: other arguments of ``ActionVisualizer``, which are about films
                and windows; not used.

        Returns:
            The picture, RGB ``(H, W, 3)`` uint8.
        """
        frames = np.stack(self._load_video(video))
        if isinstance(video, str):
            frames = frames[..., ::-1]  # loading gives BGR
        sample = data_sample if data_sample is not None else ActionDataSample()
        figure = self._figure(name, frames, sample, draw_gt, draw_pred)
        if out_path is not None:
            with WholeFile(out_path) as file:
                save_figure(figure, file)
        figure.canvas.draw()
        picture = np.array(figure.canvas.buffer_rgba())[..., :3]
        if out_path is None:
            self.add_image(name, np.ascontiguousarray(picture), step)
        return picture

    def _figure(
        self, name: str, frames: np.ndarray, sample: Any, draw_gt: bool, draw_pred: bool
    ) -> Any:
        sheet = contact_sheet(frames, self.max_frames)
        truth = _labels(sample) if draw_gt else []
        best = _likeliest(sample, self.top_k) if draw_pred else []
        height = 8 * sheet.shape[0] / sheet.shape[1]
        bars = 0.3 * len(best) + 0.5 if best else 0.01
        figure = new_figure(8, height + bars + 0.6)
        top, low = figure.subplots(2, 1, gridspec_kw={'height_ratios': [height, bars]})
        top.imshow(sheet)
        top.set_axis_off()
        low.set_axis_off()
        hit = bool(best) and best[0][0] in truth
        colour = 'black' if not (truth and best) else RIGHT if hit else WRONG
        file = Path(str(sample.get('filename') or name)).name
        title = [_short(file)] + ['true: ' + ', '.join(map(self._name, truth))] * bool(truth)
        top.set_title(plain('\n'.join(title)), loc='left', fontsize=10, color=colour)
        if best:
            self._bars(low, best, truth)
        return figure

    def _bars(self, axes: Any, best: list[tuple[int, float]], truth: list[int]) -> None:
        """Bars of scores, the likeliest on top, the true one coloured."""
        axes.set_axis_on()
        scores = [score for _, score in best]
        names = [plain(_short(self._name(label))) for label, _ in best]
        rest = WRONG if truth else OTHER
        first = best[0][0]
        colours = [
            RIGHT if label in truth else rest if label == first else OTHER for label, _ in best
        ]
        places = list(range(len(best)))
        axes.barh(places, scores, color=colours)
        axes.set_yticks(places, names, fontsize=9)
        axes.invert_yaxis()
        axes.set_xlim(min(0.0, *scores), max(1.0, *scores) * 1.08)
        axes.set_xticks([])
        for side in ('top', 'right', 'bottom'):
            axes.spines[side].set_visible(False)
        for place, score in zip(places, scores, strict=True):
            axes.text(max(score, 0), place, f' {score:.3f}', va='center', fontsize=9)

    def _name(self, label: int) -> str:
        """Name of a class; its number where the data set has no names."""
        classes = (self.dataset_meta or {}).get('classes') or ()
        return str(classes[label]) if 0 <= label < len(classes) else f'class {label}'


def contact_sheet(frames: np.ndarray, max_frames: int, gap: int = 4) -> np.ndarray:
    """Frames in rows, in the order of time, white between them.

    Args:
        frames: ``(T, H, W, 3)`` uint8.
        max_frames: evenly chosen where there are more.
        gap: in pixels.
    """
    count = min(len(frames), max_frames)
    frames = frames[[int((i + 0.5) * len(frames) / count) for i in range(count)]]
    columns = min(count, 8) if count > 4 else max(count, 2)
    rows = math.ceil(count / columns)
    height, width = frames.shape[1:3]
    size = (rows * (height + gap) - gap, columns * (width + gap) - gap, 3)
    sheet = np.full(size, 255, np.uint8)
    for index, frame in enumerate(frames):
        y, x = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[y : y + height, x : x + width] = frame
    return sheet


def _labels(sample: Any) -> list[int]:
    """True classes: of one label, or of soft ones those above zero."""
    if 'gt_label' not in sample:
        return []
    label = sample.gt_label.flatten()
    if label.is_floating_point():
        return label.nonzero().flatten().tolist()
    return label.tolist()


def _likeliest(sample: Any, top_k: int) -> list[tuple[int, float]]:
    """Classes with their scores, likeliest first."""
    if 'pred_score' not in sample:
        return []
    scores = sample.pred_score.float()
    values, labels = scores.topk(min(top_k, len(scores)))
    return list(zip(labels.tolist(), values.tolist(), strict=True))


def _short(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f'{text[: length - 1]}…'
