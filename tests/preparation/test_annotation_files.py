"""Lists and class files: read back by the dataset, whole or absent."""

from __future__ import annotations

import os
import stat

import pytest

from mmxclip.datasets.labelled_video_dataset import LabelledVideoDataset
from mmxclip.errors import DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation import annotations
from mmxclip.preparation.annotations import (
    require_folder,
    write_classes,
    write_list,
    write_whole,
)


def test_list_is_read_back(tmp_path):
    rows = [('air drumming/a b.mp4', 1), ('ü!#&.avi', 0)]
    write_list(tmp_path / 'list.txt', rows)
    dataset = LabelledVideoDataset(
        str(tmp_path / 'list.txt'), [], classes=['a', 'b'], check_files=False
    )
    assert [(row['filename'], row['label']) for row in dataset.load_data_list()] == rows


def test_classes_are_read_back(tmp_path):
    names = ('a, and b', 'with "quotes"', "person's")
    write_classes(tmp_path / 'classes.csv', names)
    assert load_class_names(tmp_path / 'classes.csv') == names


def test_old_file_stays_when_writing_fails(tmp_path, monkeypatch):
    file = tmp_path / 'list.txt'
    file.write_text('old')

    def fail(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(annotations.os, 'replace', fail)
    with pytest.raises(DataError, match=r'list\.txt cannot be written \(No space left on device\)'):
        write_whole(file, 'new')
    assert file.read_text() == 'old'
    assert os.listdir(tmp_path) == ['list.txt']


def test_others_may_read_it(tmp_path):
    mask = os.umask(0o022)
    try:
        write_whole(tmp_path / 'list.txt', 'x')
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / 'list.txt').stat().st_mode) == 0o644


@pytest.mark.parametrize('path', ['file', 'file/below'])
def test_folder_that_cannot_be(tmp_path, path):
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r'--out .*file.* is not writable \(.*\); give another'):
        require_folder(tmp_path / path, '--out')


def test_folder_is_made_and_left_empty(tmp_path):
    require_folder(tmp_path / 'a' / 'b', '--out')
    assert os.listdir(tmp_path / 'a' / 'b') == []
