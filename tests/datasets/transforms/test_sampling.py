"""Sparse sampling: worked examples of the specification and properties."""

from __future__ import annotations

import numpy as np
import pytest

from mmxclip.datasets.transforms.sampling import SegmentSampleFrames
from mmxclip.errors import ConfigError, DataError


def sample(total: int, **kwargs) -> np.ndarray:
    results = SegmentSampleFrames(**kwargs)({'total_frames': total})
    return results['frame_inds']


def test_centres():
    expected = [18, 56, 93, 131, 168, 206, 243, 281]
    assert sample(300, clip_len=8, test_mode=True).tolist() == expected


@pytest.mark.parametrize('clip_len', [1, 8, 16, 32])
def test_centres_equal_the_plain_formula(clip_len):
    for total in range(1, 400):
        step = total / clip_len
        plain = [int(step * i + step / 2) for i in range(clip_len)]
        assert sample(total, clip_len=clip_len, test_mode=True).tolist() == plain


def test_short_video_wraps_as_in_the_research_code():
    assert sample(4, clip_len=8).tolist() == [0, 0, 1, 2, 2, 2, 3, 0]


@pytest.mark.parametrize('total', [8, 9, 63, 300])
def test_training_takes_one_frame_of_each_segment(total):
    length = total // 8
    draws = np.stack([sample(total, clip_len=8) for _ in range(200)])
    assert (draws // length == np.arange(8)).all()
    assert set((draws % length).ravel()) == set(range(length))


@pytest.mark.parametrize('total', [1, 3, 8, 100])
def test_added_keys_and_range(total):
    given = {'total_frames': total, 'start_index': 1}
    results = SegmentSampleFrames(8, num_clips=4, test_mode=True)(dict(given))
    assert set(results) - set(given) == {'frame_inds', 'clip_len', 'frame_interval', 'num_clips'}
    assert results['frame_inds'].shape == (32,)
    assert results['frame_inds'].dtype == np.int32
    assert results['frame_inds'].min() >= 1
    assert results['frame_inds'].max() <= total


def test_test_clips_differ_and_repeat_without_touching_the_random_state():
    before = np.random.get_state()[1].copy()
    first = sample(300, clip_len=8, num_clips=4, test_mode=True).reshape(4, 8)
    again = sample(300, clip_len=8, num_clips=4, test_mode=True).reshape(4, 8)
    assert (np.random.get_state()[1] == before).all()
    assert (first == again).all()
    assert len({tuple(clip) for clip in first}) == 4
    other = sample(300, clip_len=8, num_clips=4, test_mode=True, seed=1)
    assert (other != first.ravel()).any()


def test_errors():
    with pytest.raises(ConfigError, match='clip_len=0 and num_clips=1'):
        SegmentSampleFrames(0)
    with pytest.raises(DataError, match=r'empty\.mp4 has no frames'):
        SegmentSampleFrames(8)({'total_frames': 0, 'filename': 'empty.mp4'})
