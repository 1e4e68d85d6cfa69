"""What frames and prompts add to the score of a class.

Notation: N videos, T frames, K classes, E joint width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from mmxclip.errors import ConfigError
from mmxclip.models.common.features import VideoFeatures
from mmxclip.models.heads import VideoPromptHead
from mmxclip.models.necks import FrameAverage, MultiFrameIntegrationTransformer


class PromptEffect(NamedTuple):
    """Classes before and after the video-specific prompt, each ``(N, K)``, float32 or wider.

    Attributes:
        cosine_before: between the video and the text of a class.
        cosine_after: the same with the prompt added to the text.
        score_before: probabilities without prompts.
        score_after: those that the model gives.
    """

    cosine_before: Tensor
    cosine_after: Tensor
    score_before: Tensor
    score_after: Tensor


@torch.no_grad()
def prompt_effect(head: VideoPromptHead, features: VideoFeatures, text: Tensor) -> PromptEffect:
    """How the prompts move classes and scores.

    Args:
        head: in evaluation mode.
        features: of N videos, from the neck.
        text: class embeddings, not normalized, ``(K, E)``.
    """
    before = head.compare(VideoFeatures(features.video, None), text)
    after = head.compare(features, text)
    scale = head.logit_scale.to(after.dtype).exp()
    return PromptEffect(before / scale, after / scale, before.softmax(-1), after.softmax(-1))


@torch.no_grad()
def frame_parts(neck: nn.Module, frames: Tensor) -> Tensor:
    """What each frame gives to the video embedding, which is their mean: ``(N, T, E)``.

    For the multi-frame integration transformer it is ``f(h + e)_t + h_t``: what
    comes out at the place of a frame, to which other frames have contributed by
    attention and messages.

    Args:
        neck: of the recognizer, in evaluation mode.
        frames: its input h, ``(N, T, E)``.

    Raises:
        ConfigError: the neck is of another kind, whose output is no such mean.
    """
    if isinstance(neck, FrameAverage):
        return frames
    if not isinstance(neck, MultiFrameIntegrationTransformer) or not len(neck.blocks):
        raise ConfigError(
            f'neck {type(neck).__name__} does not average over frames, so that its output has no '
            'parts by frame; expected MultiFrameIntegrationTransformer or FrameAverage'
        )
    outputs: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Tensor) -> None:
        outputs.append(output)

    handle = neck.blocks[-1].register_forward_hook(keep)
    try:
        neck.integrate(frames)
    finally:
        handle.remove()
    return outputs[0].to(frames.dtype) + frames


@torch.no_grad()
def frame_contributions(
    head: VideoPromptHead, parts: Tensor, patches: Tensor | None, text: Tensor
) -> Tensor:
    """An exact decomposition of the logits: ``(N, T, K)``, whose sum over T they are.

    With v the mean of the parts u_t and c the prompted class, of length 1,

        logit = scale * <v, c> / |v| = sum_t  scale * <u_t, c> / (T |v|)

    The length of v is that of the whole video for each frame. A contribution may
    be negative: that frame speaks against the class. It is no prediction of the
    score without the frame, which would change the others as well.

    Args:
        head: in evaluation mode.
        parts: from :func:`frame_parts`, ``(N, T, E)``.
        patches: features for the prompts, ``(N, T, P, D)``, or None.
        text: class embeddings, not normalized, ``(K, E)``.
    """
    dtype = torch.promote_types(parts.dtype, torch.float32)
    projected = head.video_proj(parts).to(dtype)
    length = projected.mean(dim=1).norm(dim=-1).clamp_min(1e-12)
    classes = text.unsqueeze(0)
    if head.prompt is not None and patches is not None:
        classes = text + head.prompt(text, patches)
    unit = F.normalize(classes.to(dtype), dim=-1).expand(len(parts), -1, -1)
    products = torch.einsum('nte,nke->ntk', projected, unit)
    scale = head.logit_scale.to(dtype).exp()
    return scale * products / (parts.shape[1] * length[:, None, None])
