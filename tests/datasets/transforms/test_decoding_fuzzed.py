"""Seeded damage of all sorts: each file gives pictures or one error, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
from video_files import mutated, write_video

from mmxclip.datasets.transforms.decoding import RobustDecordDecode, RobustDecordInit
from mmxclip.errors import DataError

SOURCES = {
    'h264.mp4': dict(),
    'faststart.mp4': dict(faststart=True),
    'h264.mkv': dict(),
    'mpeg4.avi': dict(codec='mpeg4'),
}


def outcome(path, check_frames: int) -> tuple[str, bytes]:
    """Whether it is readable, and the pictures or the message."""
    step = RobustDecordInit(on_error='raise', timeout=20, check_frames=check_frames)
    try:
        results = step({'filename': str(path)})
        results['frame_inds'] = np.arange(8) % results['total_frames']
        images = RobustDecordDecode()(results)['imgs']
    except DataError as error:
        return 'refused', str(error).replace(str(path), '').encode()
    assert len(images) == 8
    assert all(image.dtype == np.uint8 and image.shape == images[0].shape for image in images)
    return 'read', np.stack(images).tobytes()


@pytest.mark.parametrize('name', SOURCES)
def test_mutated_files(tmp_path, name):
    source = write_video(tmp_path / name, **SOURCES[name])
    outcomes = []
    for seed in range(32):
        path = mutated(source, tmp_path / f'{seed}-{name}', seed)
        first = outcome(path, check_frames=1000)
        second = outcome(path, check_frames=1000)
        assert second[0] == first[0], f'seed {seed} differs between two runs'
        if first[0] == 'read':
            assert second[1] == first[1]
        else:
            assert b'\n' not in first[1]
        outcomes.append(first[0])
    assert outcome(source, check_frames=1000)[0] == 'read'
    # neither is everything refused, nor is everything let through
    assert 5 <= outcomes.count('refused') < len(outcomes)


def test_a_text_that_grows_into_a_video(tmp_path):
    """Nothing is remembered of a file that was refused."""
    path = tmp_path / 'late.mp4'
    path.write_text('not yet')
    assert outcome(path, check_frames=1000)[0] == 'refused'
    write_video(path)
    assert outcome(path, check_frames=1000)[0] == 'read'
