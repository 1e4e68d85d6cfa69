"""Colour jitter: how often, how strong, and whether frames of a clip change alike."""

import numpy as np
import pytest
import torch
from mmaction.registry import TRANSFORMS
from torchvision.transforms.v2 import functional as F  # noqa: N812

from mmxclip.errors import ConfigError


@pytest.fixture
def frame():
    return np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def jitter(**kwargs):
    return TRANSFORMS.build(dict(type='RandomColorJitter', **kwargs))


def test_frames_of_a_clip_change_alike(frame):
    out = jitter(prob=1.0)(dict(imgs=[frame.copy() for _ in range(4)]))['imgs']
    assert all(np.array_equal(out[0], other) for other in out[1:])
    assert not np.array_equal(out[0], frame)


def test_per_frame_draws_anew_for_each(frame):
    out = jitter(prob=1.0, per_frame=True)(dict(imgs=[frame.copy() for _ in range(4)]))['imgs']
    assert len({image.tobytes() for image in out}) == 4


def test_shape_and_type_are_kept(frame):
    out = jitter(prob=1.0)(dict(imgs=[frame] * 3))['imgs']
    assert [(image.shape, image.dtype) for image in out] == [((12, 10, 3), np.uint8)] * 3


def test_the_share_of_changed_videos_is_the_probability(frame):
    step = jitter(prob=0.8)
    changed = sum(
        not np.array_equal(step(dict(imgs=[frame]))['imgs'][0], frame) for _ in range(500)
    )
    assert 0.74 < changed / 500 < 0.86  # three standard deviations


def test_a_video_that_is_not_chosen_is_left_as_it_is(frame):
    imgs = [frame]
    assert jitter(prob=0.0)(dict(imgs=imgs))['imgs'] is imgs


@pytest.mark.parametrize('hue', [0.05, 0.1])
def test_hue_is_a_share_of_the_circle(frame, hue):
    """One of the shifts within the range gives the picture; none beyond it does."""
    torch.manual_seed(3)
    out = jitter(prob=1.0, brightness=0, contrast=0, saturation=0, hue=hue)(dict(imgs=[frame]))
    found = torch.from_numpy(out['imgs'][0]).permute(2, 0, 1).float()
    source = torch.from_numpy(frame).permute(2, 0, 1)
    shifts = torch.linspace(-0.5, 0.5, 401).tolist()
    errors = [(F.adjust_hue(source, s).float() - found).abs().mean().item() for s in shifts]
    best = shifts[int(np.argmin(errors))]
    assert abs(best) <= hue + 0.005
    assert min(errors) < 2


def test_the_same_seed_gives_the_same(frame):
    import random

    outs = []
    for _ in range(2):
        torch.manual_seed(5)
        random.seed(5)
        outs.append(jitter(prob=0.8, per_frame=True)(dict(imgs=[frame] * 2))['imgs'])
    assert all(np.array_equal(a, b) for a, b in zip(*outs, strict=True))


def test_wrong_arguments_are_refused():
    with pytest.raises(ConfigError, match=r'prob=1.5 must lie within 0 and 1'):
        jitter(prob=1.5)
    with pytest.raises(ConfigError, match=r'RandomColorJitter: .*hue'):
        jitter(hue=0.7)


def test_it_says_what_it_does():
    assert 'prob=0.8, per_frame=True' in repr(jitter(per_frame=True))
