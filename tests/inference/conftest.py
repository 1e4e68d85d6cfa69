"""One classifier of the tiny model, and a few small videos, for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from video_files import write_video

from mmxclip import VideoClassifier


@pytest.fixture(autouse=True, scope='session')
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMXCLIP_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='session')
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Paths of five videos, all different."""
    folder: Path = tmp_path_factory.mktemp('videos')
    return [str(write_video(folder / f'{n}.mp4', num_frames=9 + 3 * n)) for n in range(5)]


@pytest.fixture(scope='session')
def classifier() -> VideoClassifier:
    """With the weights that the package ships."""
    return VideoClassifier('xclip_tiny_motion', device='cpu', batch_size=2)
