"""Annotation files of others: what is borne, what is refused and by which row."""

from __future__ import annotations

import pytest

from mmxclip.errors import DataError
from mmxclip.preparation.reading import find_file, read_csv, read_json, read_rows, search_roots

COLUMNS = ('label', 'id')


@pytest.mark.parametrize(
    'text',
    [
        'label,id\nzumba,a\nyoga,b\n',
        '\ufefflabel,id\r\nzumba,a\r\nyoga,b\r\n',
        '\n\nlabel,id\n\n"zumba","a"\n , \nyoga,b\n\n',
        'Split,ID , Label\ntrain,a,zumba\nval, b ,yoga\n',
        '"label","id","more, and more"\nzumba,a,"x\ny"\nyoga,b,"""",further\n',
    ],
)
def test_forms_of_csv(tmp_path, text):
    file = tmp_path / 'a.csv'
    file.write_bytes(text.encode())
    rows = [row for _, row in read_csv(file, COLUMNS)]
    assert rows == [{'label': 'zumba', 'id': 'a'}, {'label': 'yoga', 'id': 'b'}]


def test_rows_are_numbered_as_an_editor_shows_them(tmp_path):
    file = tmp_path / 'a.csv'
    file.write_text('\nlabel,id\n\nzumba,a\n"yo\nga",b\nlast,c\n')
    assert [number for number, _ in read_csv(file, COLUMNS)] == [4, 6, 7]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', r'a\.csv is empty; expected the header label,id and rows'),
        ('\n \n', r'a\.csv is empty; expected the header label,id'),
        ('label,youtube\nx,y\n', r"the first row is 'label,youtube', without id; expected .* with"),
        ('zumba,a\n', r"the first row is 'zumba,a', without label, id"),
        ('label,id\nx,y\nz\n', r"a\.csv: row 3 is 'z', 1 of 2 cells; expected label,id"),
        ('label,id\nx,"y\n', r'a\.csv: row 2 cannot be read as csv \(unexpected end of data\)'),
    ],
)
def test_wrong_csv(tmp_path, text, message):
    file = tmp_path / 'a.csv'
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        list(read_csv(file, COLUMNS))


@pytest.mark.parametrize(
    ('held', 'message'),
    [
        (None, r'annotation .*a\.txt cannot be read \(No such file or directory\); check'),
        (b'PK\x03\x04\xff', r'annotation .*a\.txt is not UTF-8 text \(byte 4\)'),
        (b'\xef\xbb\xbf \n', r'annotation .*a\.txt is empty'),
    ],
)
def test_wrong_rows(tmp_path, held, message):
    file = tmp_path / 'a.txt'
    if held is not None:
        file.write_bytes(held)
    with pytest.raises(DataError, match=message):
        read_rows(file)


def test_rows_without_blank_lines(tmp_path):
    file = tmp_path / 'a.txt'
    file.write_bytes(b'\xef\xbb\xbfa 1\r\n\r\n  b 2 \n')
    assert read_rows(file) == [(1, 'a 1'), (3, 'b 2')]


@pytest.mark.parametrize(
    ('text', 'kind', 'message'),
    [
        ('{"a": ', dict, r'a\.json cannot be read as JSON \(.*\); download it again'),
        ('[1]', dict, r'a\.json holds a list; expected an object with entries'),
        ('{"a": 1}', list, r'a\.json holds a dict; expected a list with entries'),
        ('[]', list, r'a\.json holds nothing; expected a list'),
    ],
)
def test_wrong_json(tmp_path, text, kind, message):
    file = tmp_path / 'a.json'
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_json(file, kind)


def test_files_are_looked_for_in_the_usual_places(tmp_path):
    videos = tmp_path / 'downloads' / 'videos'
    (tmp_path / 'downloads' / 'splits').mkdir(parents=True)
    videos.mkdir()
    file = tmp_path / 'downloads' / 'splits' / 'one.txt'
    file.touch()
    assert find_file(search_roots(videos, None, ['splits']), ['*.txt'], 'lists') == file
    beside = videos / 'two.txt'
    beside.touch()  # nearer to the videos
    assert find_file(search_roots(videos, None, ['splits']), ['*.txt'], 'lists') == beside
    (tmp_path / 'own').mkdir()
    with pytest.raises(DataError, match=r'lists not found in .*own or near it; expected \*\.txt:'):
        find_file(search_roots(videos, tmp_path / 'own', ['splits']), ['*.txt'], 'lists')


@pytest.mark.parametrize(
    ('videos', 'annotations', 'message'),
    [
        ('absent', None, r'--videos .*absent is no folder'),
        ('.', 'absent', r'--annotations .*absent is no folder'),
    ],
)
def test_named_folders_must_exist(tmp_path, videos, annotations, message):
    with pytest.raises(DataError, match=message):
        search_roots(tmp_path / videos, annotations and tmp_path / annotations, [])
