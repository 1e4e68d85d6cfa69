"""What flows between backbone, neck and head, and how other models' outputs fit in.

Notation: N rows (videos x views), T frames, P patches, C channels of another
model, D backbone width, E joint width, h and w height and width of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mmxclip.errors import ConfigError


class FrameFeatures(NamedTuple):
    """Output of a backbone.

    Attributes:
        frames: an embedding per frame, ``(N, T, E)``.
        patches: patch features of the last block, ``(N, T, P, D)``.
    """

    frames: Tensor
    patches: Tensor


class VideoFeatures(NamedTuple):
    """Output of a neck, input of the head.

    Attributes:
        video: an embedding per view, not normalized, ``(N, E)``.
        patches: context of the prompts, ``(N, T, P, D)``; None where a model
            gives pooled features only.
    """

    video: Tensor
    patches: Tensor | None


def to_video_features(
    x: Tensor | Sequence, in_channels: int, num_segs: int | None = None
) -> VideoFeatures:
    """Read the output of any MMAction2 backbone or neck as video features.

    Args:
        x: one of
            :class:`VideoFeatures` or a pair ``(N, E), (N, T, P, D)``;
            :class:`FrameFeatures` or a pair ``(N, T, E), (N, T, P, D)``
            (frames are averaged);
            ``(N, C)``; ``(N, C, T, h, w)``; ``(N*S, C, h, w)`` with
            ``num_segs=S``; a sequence of such, of which the last is taken, or
            all of them, pooled and joined, when only their summed channels
            match (SlowFast); a nested ``[map, class token]`` (MViT).
        in_channels: channels that the head expects.
        num_segs: frames folded into the batch (stock 2D recognizers).

    Raises:
        ConfigError: when no reading has ``in_channels`` channels.
    """
    if isinstance(x, VideoFeatures):
        return _checked(x, in_channels)
    if isinstance(x, Tensor):
        return _checked(_from_tensor(x, num_segs), in_channels)
    if not isinstance(x, Sequence) or not x:
        raise ConfigError(
            f'features in {"an empty" if isinstance(x, Sequence) else "a"} {type(x).__name__} '
            'do not fit VideoPromptHead; expected a tensor, or a sequence of tensors'
        )
    if _is_pair(x, dims=2):
        return _checked(VideoFeatures(x[0], x[1]), in_channels)
    if isinstance(x, FrameFeatures) or _is_pair(x, dims=3):
        return _checked(VideoFeatures(x[0].mean(dim=1), x[1]), in_channels)
    last = x[-1]
    if isinstance(last, Sequence) and len(last) == 2:  # [map, class token] of MViT
        return _checked(_with_class_token(last, num_segs), in_channels)
    if not isinstance(last, Tensor):
        return to_video_features(last, in_channels, num_segs)
    if last.shape[1] != in_channels and sum(item.shape[1] for item in x) == in_channels:
        videos = [_from_tensor(item, num_segs).video for item in x]
        return VideoFeatures(torch.cat(videos, dim=-1), None)
    return _checked(_from_tensor(last, num_segs), in_channels)


def to_frame_features(x: Tensor | Sequence) -> FrameFeatures | Tensor:
    """Read the output of a video backbone as embeddings per frame, for a neck.

    Args:
        x: :class:`FrameFeatures` or a pair ``(N, T, E), (N, T, P, D)``;
            ``(N, T, E)``, returned as it is; ``(N, C, T, h, w)``, averaged over
            space; a sequence of such maps, of which the last is taken; or a
            nested ``[map, class token]`` (MViT), of which the map is.

    Raises:
        ConfigError: for features that have lost their frames.
    """
    if isinstance(x, Sequence) and _is_pair(x, dims=3):
        return FrameFeatures(*x)
    if isinstance(x, Sequence) and x:
        x = x[-1]
        if isinstance(x, Sequence) and x:  # [map, class token] of MViT
            x = x[0]
    if isinstance(x, Tensor) and x.dim() == 3:
        return x
    if isinstance(x, Tensor) and x.dim() == 5:
        frames = x.mean(dim=(3, 4)).transpose(1, 2)  # (N, T, C)
        return FrameFeatures(frames, _places(x))
    shape = f' of shape {tuple(x.shape)}' if isinstance(x, Tensor) else f' in a {type(x).__name__}'
    raise ConfigError(
        f'features{shape} do not fit a neck over frames; expected (N, T, E) or a map '
        '(N, C, T, h, w): set neck=None for a backbone that has averaged over time'
    )


def _is_pair(x: Sequence, dims: int) -> bool:
    """Whether ``x`` is a tensor of ``dims`` dimensions followed by patch features."""
    return (
        len(x) == 2
        and all(isinstance(item, Tensor) for item in x)
        and x[0].dim() == dims
        and x[1].dim() == 4
    )


def _from_tensor(x: Tensor, num_segs: int | None) -> VideoFeatures:
    if x.dim() == 2:  # (N, C)
        return VideoFeatures(x, None)
    if x.dim() == 5:  # (N, C, T, h, w)
        return VideoFeatures(x.mean(dim=(2, 3, 4)), _places(x))
    if x.dim() == 4:  # (N*S, C, h, w)
        segments = num_segs or 1
        if len(x) % segments:
            raise ConfigError(
                f'features of {len(x)} frames do not divide into videos of num_segs={segments}; '
                'num_segs is the number of frames that a 2D recognizer folded into the batch'
            )
        patches = x.flatten(2).transpose(1, 2)  # (N*S, h*w, C)
        patches = patches.reshape(-1, segments, *patches.shape[1:])  # (N, S, h*w, C)
        return VideoFeatures(patches.mean(dim=(1, 2)), patches)
    raise ConfigError(
        f'features of shape {tuple(x.shape)} do not fit VideoPromptHead; '
        'expected (N, C), (N, C, T, h, w) or (N*S, C, h, w) with num_segs=S'
    )


def _places(x: Tensor) -> Tensor:
    """A map of a clip as patch features; ``(N, C, T, h, w) -> (N, T, h*w, C)``."""
    return x.flatten(3).permute(0, 2, 3, 1)


def _with_class_token(pair: Sequence[Tensor], num_segs: int | None) -> VideoFeatures:
    feature_map, class_token = pair
    return VideoFeatures(class_token, _from_tensor(feature_map, num_segs).patches)


def _checked(features: VideoFeatures, in_channels: int) -> VideoFeatures:
    channels = features.video.shape[-1]
    if channels != in_channels:
        raise ConfigError(
            f'the head was built with in_channels={in_channels}, but the features have '
            f'{channels} channels (shape {tuple(features.video.shape)}); '
            f'set cls_head.in_channels={channels}'
        )
    return features
