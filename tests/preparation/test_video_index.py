"""Videos found by name, wherever they lie."""

from __future__ import annotations

import pytest

from mmxclip.errors import DataError
from mmxclip.preparation.video_index import VideoIndex


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_paths(tmp_path):
    touch(tmp_path / 'flat.mp4')
    touch(tmp_path / 'air drumming' / 'a_000001_000011.MKV')
    touch(tmp_path / 'deep' / 'deeper' / 'with.dots.avi')
    for other in ('list.txt', 'half.mp4.part', 'noending'):
        touch(tmp_path / other)
    index = VideoIndex(tmp_path)
    assert index.find('flat', 'x') == 'flat.mp4'
    assert index.find('a_000001_000011', 'x') == 'air drumming/a_000001_000011.MKV'
    assert index.find('with.dots', 'x') == 'deep/deeper/with.dots.avi'
    assert [index.find(name, 'x') for name in ('list', 'half', 'noending', 'FLAT')] == [None] * 4


def test_of_equal_names_that_of_the_class_is_taken(tmp_path):
    for folder in ('a', 'brush_hair', 'c'):
        touch(tmp_path / folder / 'clip.avi')
    index = VideoIndex(tmp_path)
    assert index.find('clip', 'brush hair') == 'brush_hair/clip.avi'
    assert index.find('clip', 'eat') == 'a/clip.avi'


def test_links_are_followed_once(tmp_path):
    touch(tmp_path / 'elsewhere' / 'clip.mp4')
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos' / 'linked').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'elsewhere' / 'around').symlink_to(tmp_path / 'videos')
    assert VideoIndex(tmp_path / 'videos').find('clip', 'x') == 'linked/clip.mp4'


def test_empty_folder(tmp_path):
    touch(tmp_path / 'kick.rar')
    with pytest.raises(DataError, match=r'holds no videos \(files that end in \.3gp, \.avi'):
        VideoIndex(tmp_path)
