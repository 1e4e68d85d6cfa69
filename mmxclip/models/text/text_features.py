"""Text features that are computed once and never stale."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mmxclip.models.text.clip_text_encoder import CLIPTextEncoder


class TextFeatureCache:
    """Holds the features of one vocabulary.

    The key is the texts and the state of the encoder's weights: which tensors
    they are, how often each was written (PyTorch's version counters, which
    optimizers and checkpoint loading move), their device and dtype. Whatever
    changes any of these makes the next call compute anew. The cache is a plain
    object, neither parameter nor buffer: it never enters a checkpoint.
    """

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._features: Tensor | None = None

    def clear(self) -> None:
        """Forget the features."""
        self._key = self._features = None

    def get(self, encoder: CLIPTextEncoder, texts: tuple[str, ...]) -> Tensor:
        """Features ``(K, E)`` of ``texts``, without gradients."""
        weights = weights_key(encoder)
        key = None if weights is None else (texts, weights)
        if self._features is None or key is None or self._key != key:
            # A tensor made in inference mode could not be used in training.
            with torch.inference_mode(False), torch.no_grad():
                self._features = encoder.encode(texts)
            self._key = key
        return self._features

    def __deepcopy__(self, memo: dict) -> TextFeatureCache:
        """A copied model has other tensors, so the copy starts empty."""
        return TextFeatureCache()


def weights_key(encoder: CLIPTextEncoder) -> tuple | None:
    """State of the weights; None where it cannot be told.

    A model built in inference mode has tensors that do not count their writes.
    """
    if any(parameter.is_inference() for parameter in encoder.parameters()):
        return None
    return tuple(
        (id(parameter), parameter._version, parameter.device, parameter.dtype)
        for parameter in encoder.parameters()
    )
