"""The module that is exported: frames to logits and probabilities, without the text tower.

Notation: N clips, T frames, H and W pixels, K classes, E joint width.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mmxclip.models.common.features import to_video_features

INPUTS = ('frames', 'text_features')
OUTPUTS = ('logits', 'probabilities')


class Graph(nn.Module):
    """A recognizer with one view per clip, all of whose inputs are tensors.

    Parameters are shared with the recognizer, which is not changed.

    Args:
        model: a recognizer with a :class:`VideoPromptHead`, in evaluation mode.
        text_features: embeddings of the classes, not normalized, ``(K, E)``; None
            where they are an input.
        preprocessing: whether frames come as pixels, and are normalized here.

    Shape:
        frames ``(N, T, H, W, 3)``, uint8, RGB, with preprocessing; else
        ``(N, 3, T, H, W)``, float32, normalized. text_features ``(K, E)``, float32.
        Outputs: logits and probabilities, ``(N, K)``, float32.
    """

    model: Any  # its parts are called, which nn.Module's own annotations do not know of
    mean: Tensor
    std: Tensor
    text_features: Tensor | None

    def __init__(
        self, model: nn.Module, text_features: Tensor | None, preprocessing: bool = True
    ) -> None:
        super().__init__()
        preprocessor: Any = model.data_preprocessor
        self.swap_channels = preprocessing and preprocessor.to_rgb
        self.preprocessing = preprocessing
        self.model = _without_text_tower(model)
        mean, std = normalization(model)
        self.register_buffer('mean', torch.tensor(mean).reshape(3, 1, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).reshape(3, 1, 1, 1), persistent=False)
        if text_features is not None:
            text_features = text_features.detach().float().cpu().clone()
        self.register_buffer('text_features', text_features)
        self.training = False

    def train(self, mode: bool = True) -> Graph:
        """Stay as it is: a graph is for inference, and its parts belong to the recognizer."""
        return self

    def forward(self, frames: Tensor, text_features: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Score clips; see the class for shapes."""
        clips = self.normalize(frames) if self.preprocessing else frames
        head = self.model.cls_head
        x, kwargs = self.model.extract_feat(clips.unsqueeze(1))  # (N, 1, 3, T, H, W)
        features = to_video_features(x, head.in_channels, kwargs.get('num_segs'))
        text = self.text_features if text_features is None else text_features
        logits = head.compare(features, text)
        return logits, logits.softmax(dim=-1)

    def normalize(self, frames: Tensor) -> Tensor:
        """Pixels ``(N, T, H, W, 3)`` to what the model takes, ``(N, 3, T, H, W)``."""
        clips = frames.permute(0, 4, 1, 2, 3).to(torch.float32)
        if self.swap_channels:
            clips = clips.flip(1)
        return (clips - self.mean) / self.std


def normalization(model: nn.Module) -> tuple[list[float], list[float]]:
    """Mean and deviation of the channels, in pixels 0 to 255; 0 and 1 where there is none."""
    preprocessor: Any = model.data_preprocessor
    if not preprocessor._enable_normalize:
        return [0.0] * 3, [1.0] * 3
    mean, std = preprocessor.mean, preprocessor.std
    return mean.flatten().expand(3).tolist(), std.flatten().expand(3).tolist()


def _without_text_tower(model: nn.Module) -> nn.Module:
    """The same recognizer without parts that a scored clip does not pass."""
    slim = _copy_without(model, 'data_preprocessor')
    slim._modules['cls_head'] = _copy_without(model.cls_head, 'text_encoder')
    return slim


def _copy_without(module: Any, name: str) -> nn.Module:
    """A copy that shares its parts, of which one is left out."""
    clone = copy.copy(module)
    clone._modules = {key: part for key, part in module._modules.items() if key != name}
    return clone
