from __future__ import annotations

import pytest
import torch

from mmxclip.errors import ConfigError
from mmxclip.models.common import FrameFeatures, VideoFeatures, to_video_features

N, T, P, C, D, HEIGHT, WIDTH = 2, 3, 4, 7, 5, 6, 8
PATCHES = torch.randn(N, T, P, D)
VIDEO = torch.randn(N, C)
FRAMES = torch.randn(N, T, C)
CLIP_MAP = torch.randn(N, C, T, HEIGHT, WIDTH)
FRAME_MAP = torch.randn(N * T, C, HEIGHT, WIDTH)


def spaces(feature_map: torch.Tensor) -> torch.Tensor:
    """``(N, C, T, h, w)`` to patches ``(N, T, h*w, C)``, place by place."""
    patches = torch.empty(N, T, HEIGHT * WIDTH, C)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            patches[:, :, y * WIDTH + x] = feature_map[:, :, :, y, x].transpose(1, 2)
    return patches


@pytest.mark.parametrize(
    'features',
    [VideoFeatures(VIDEO, PATCHES), (VIDEO, PATCHES), [VIDEO, PATCHES]],
    ids=['VideoFeatures', 'tuple', 'list'],
)
def test_video_and_patches_pass(features):
    video, patches = to_video_features(features, C)
    assert video is VIDEO
    assert patches is PATCHES


def test_video_without_patches_passes():
    assert to_video_features(VideoFeatures(VIDEO, None), C) == (VIDEO, None)


@pytest.mark.parametrize(
    'features',
    [FrameFeatures(FRAMES, PATCHES), (FRAMES, PATCHES), [FRAMES, PATCHES]],
    ids=['FrameFeatures', 'tuple', 'list'],
)
def test_frames_are_averaged(features):
    video, patches = to_video_features(features, C)
    torch.testing.assert_close(video, sum(FRAMES[:, t] for t in range(T)) / T)
    assert patches is PATCHES


def test_pooled():
    video, patches = to_video_features(VIDEO, C)
    assert video is VIDEO
    assert patches is None


@pytest.mark.parametrize('wrap', [lambda x: x, lambda x: (x,), lambda x: (x[:, :2], x)])
def test_map_of_a_clip(wrap):
    """Alone, in a tuple, or as the last of several stages."""
    video, patches = to_video_features(wrap(CLIP_MAP), C)
    torch.testing.assert_close(video, CLIP_MAP.flatten(2).mean(dim=2))
    torch.testing.assert_close(patches, spaces(CLIP_MAP))


def test_maps_of_folded_frames():
    video, patches = to_video_features(FRAME_MAP, C, num_segs=T)
    clip_map = torch.stack([FRAME_MAP[n * T : (n + 1) * T].transpose(0, 1) for n in range(N)])
    torch.testing.assert_close(video, clip_map.flatten(2).mean(dim=2))
    torch.testing.assert_close(patches, spaces(clip_map))


@pytest.mark.parametrize('num_segs', [None, 1])
def test_maps_of_one_frame_each(num_segs):
    """What a 2D neck leaves of the frames."""
    video, patches = to_video_features(FRAME_MAP, C, num_segs)
    torch.testing.assert_close(video, FRAME_MAP.mean(dim=(2, 3)))
    assert patches.shape == (N * T, 1, HEIGHT * WIDTH, C)


def test_two_pathways_are_joined():
    """SlowFast: maps of different lengths whose channels only together match."""
    fast = torch.randn(N, 2, 2 * T, HEIGHT, WIDTH)
    video, patches = to_video_features((CLIP_MAP, fast), C + 2)
    torch.testing.assert_close(video[:, :C], CLIP_MAP.flatten(2).mean(dim=2))
    torch.testing.assert_close(video[:, C:], fast.flatten(2).mean(dim=2))
    assert patches is None


def test_last_of_two_pathways_when_it_matches_alone():
    slow = torch.randn(N, 9, T, HEIGHT, WIDTH)
    video, _ = to_video_features((slow, CLIP_MAP), C)
    torch.testing.assert_close(video, CLIP_MAP.flatten(2).mean(dim=2))


@pytest.mark.parametrize('stages', [1, 2])
def test_map_and_class_token(stages):
    """MViT: a list per stage."""
    video, patches = to_video_features(((CLIP_MAP * 2, VIDEO * 2), [CLIP_MAP, VIDEO])[-stages:], C)
    assert video is VIDEO
    torch.testing.assert_close(patches, spaces(CLIP_MAP))


def test_nested_map_alone():
    """MViT without a class token."""
    video, _ = to_video_features(([CLIP_MAP],), C)
    torch.testing.assert_close(video, CLIP_MAP.flatten(2).mean(dim=2))


@pytest.mark.parametrize(
    ('features', 'match'),
    [
        (VIDEO[:, :3], rf'in_channels={C}, but the features have 3 channels .*in_channels=3'),
        ((FRAMES[..., :2], PATCHES), r'features have 2 channels'),
        (FRAMES, r'shape \(2, 3, 7\) do not fit VideoPromptHead; expected \(N, C\)'),
        (torch.zeros(3), r'shape \(3,\) do not fit'),
        ({'video': VIDEO}, r'features in a dict do not fit.*expected a tensor'),
        ((), r'features in an empty tuple do not fit'),
    ],
)
def test_other_forms_are_refused(features, match):
    with pytest.raises(ConfigError, match=match):
        to_video_features(features, C)


def test_frames_that_do_not_divide():
    with pytest.raises(ConfigError, match=r'features of 6 frames .* num_segs=4'):
        to_video_features(FRAME_MAP, C, num_segs=4)
