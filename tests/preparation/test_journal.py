"""Verdicts outlive the process, and go stale with the file."""

from __future__ import annotations

import os

import pytest

from mmxclip.errors import DataError
from mmxclip.preparation.journal import Journal, fingerprints


def test_what_was_written_is_known_again(tmp_path):
    with Journal(tmp_path / 'a.jsonl').open() as journal:
        journal.write('x y.avi', 'places', (3, 4), reason=None)
        journal.write('ü.avi', 'places', (5, 6), reason='bad')
        journal.write('x y.avi', 'places', (3, 9), reason='worse')
    again = Journal(tmp_path / 'a.jsonl')
    assert again.known('ü.avi', 'places', (5, 6))['reason'] == 'bad'
    assert again.known('x y.avi', 'places', (3, 9))['reason'] == 'worse'
    assert again.known('x y.avi', 'places', (3, 4)) is None  # the last line counts
    assert again.known('x y.avi', 'full', (3, 9)) is None
    assert again.known('z.avi', 'places', (3, 9)) is None


@pytest.mark.parametrize('end', ['{"path": "b.avi", "ki', '{"path": "b.avi"}', '[1]\n', '\x00\n'])
def test_torn_line_is_passed_over(tmp_path, end):
    file = tmp_path / 'a.jsonl'
    with Journal(file).open() as journal:
        journal.write('a.avi', 'places', (1, 2), reason=None)
    file.write_text(file.read_text() + end)
    with Journal(file).open() as journal:
        journal.write('c.avi', 'places', (3, 4), reason=None)
    again = Journal(file)
    assert again.known('a.avi', 'places', (1, 2)) is not None
    assert again.known('c.avi', 'places', (3, 4)) is not None


def test_facts_change_with_the_file(tmp_path):
    file = tmp_path / 'a.avi'
    file.write_text('one')
    os.utime(file, ns=(5, 7))
    first, absent = fingerprints([file, tmp_path / 'none.avi'])
    assert first == (3, 7)
    assert isinstance(absent, FileNotFoundError)


def test_path_that_is_no_file(tmp_path):
    with pytest.raises(DataError, match=r'cannot be read \(Is a directory\); move it away'):
        Journal(tmp_path)


def test_path_that_cannot_be_written(tmp_path):
    journal = Journal(tmp_path / 'absent' / 'a.jsonl')
    with (
        pytest.raises(DataError, match=r'a\.jsonl cannot be written \(No such file or directory\)'),
        journal.open(),
    ):
        pass
