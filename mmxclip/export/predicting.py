"""Videos to labels by an exported file, decoding beside computing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from mmxclip.errors import ConfigError, MMXCLIPError
from mmxclip.export.session import ExportedModel
from mmxclip.inference.feeding import Feeder
from mmxclip.inference.results import LabelScore, VideoFailure, VideoPrediction
from mmxclip.inference.videos import Video

AHEAD = 4
"""Clips that may wait in memory."""


def stream(
    model: ExportedModel, videos: Iterable[Video], top_k: int = 5
) -> Iterator[VideoPrediction | VideoFailure]:
    """Classify videos one after the other, as ``VideoClassifier.stream`` does.

    Args:
        model: a file with its classes within.
        videos: paths, ``https://`` addresses or frames.
        top_k: labels per video, likeliest first.

    Raises:
        ConfigError: the file takes embeddings of names, or only frames.
    """
    if model.classes is None:
        raise ConfigError(
            f'{model.origin} takes the embeddings of class names as an input; predict needs a '
            'file that was exported without --text-input'
        )
    return _stream(model, Feeder(model.preparation), videos, min(top_k, len(model.classes)))


def _stream(
    model: ExportedModel, feeder: Feeder, videos: Iterable[Video], top_k: int
) -> Iterator[VideoPrediction | VideoFailure]:
    names = model.classes or ()
    try:
        for title, outcome in feeder(videos, ahead=AHEAD):
            if isinstance(outcome, MMXCLIPError):
                yield VideoFailure(title, outcome)
                continue
            _, rows = model.scores(outcome.permute(0, 2, 3, 4, 1))  # (1, T, H, W, 3)
            scores, indices = torch.from_numpy(rows[0]).topk(top_k)
            pairs = zip(indices.tolist(), scores.tolist(), strict=True)
            yield VideoPrediction(
                title, [LabelScore(names[index], score) for index, score in pairs]
            )
    finally:
        feeder.close()
