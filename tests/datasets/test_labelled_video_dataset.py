"""Annotation lists: what is read, and what is refused with its row."""

from __future__ import annotations

import pytest
from mmaction.registry import DATASETS

from mmxclip.errors import ConfigError, DataError


def build(folder, text, **kwargs):
    """A dataset over files ``a.mp4``, ``b c.mp4`` and ``ünï.webm`` in ``folder``."""
    for name in ('a.mp4', 'b c.mp4', 'ünï.webm'):
        (folder / name).touch()
    if text is not None:
        (folder / 'list.txt').write_bytes(text.encode() if isinstance(text, str) else text)
    config = dict(
        type='LabelledVideoDataset',
        ann_file='list.txt',
        data_root=str(folder),
        data_prefix=dict(video=''),
        pipeline=[],
    )
    return DATASETS.build(config | kwargs)


@pytest.mark.parametrize(
    ('text', 'kwargs'),
    [
        ('a.mp4 0\nb c.mp4 1\nünï.webm 2\n', {}),
        ('\ufeffa.mp4 0\r\n\r\nb c.mp4   1\r\nünï.webm\t2', {}),
        ('a.mp4,0\nb c.mp4, 1\nünï.webm,2\n', dict(delimiter=',')),
        ('a 0\nb c 1\nünï.webm 2\n', dict(num_classes=3)),
    ],
)
def test_rows(tmp_path, text, kwargs):
    data = build(tmp_path, text, **kwargs)
    rows = [data.get_data_info(index) for index in range(len(data))]
    names = [str(tmp_path / name) for name in ('a.mp4', 'b c.mp4', 'ünï.webm')]
    assert [(row['filename'], row['label']) for row in rows] == list(
        zip(names, range(3), strict=True)
    )


def test_classes(tmp_path):
    (tmp_path / 'names.txt').write_text('run\njump\n')
    data = build(tmp_path, 'a.mp4 1', classes=str(tmp_path / 'names.txt'))
    assert data.metainfo['classes'] == ('run', 'jump')
    with pytest.raises(ConfigError, match='num_classes=3, but classes holds 2 names'):
        build(tmp_path, 'a.mp4 1', classes=['run', 'jump'], num_classes=3)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, r'ann_file .*list\.txt cannot be read \(No such file'),
        ('', r'list\.txt lists no videos'),
        (' \n\n', 'lists no videos'),
        (b'a.mp4 0\n\xff 1', r'not UTF-8 text \(byte 8\)'),
        ('a.mp4 0\n\na.mp4', "1 row cannot be used: row 3: 'a.mp4' has no label"),
        ('a.mp4 zero', "row 1: label 'zero' is no whole number"),
        ('a.mp4 1_0', "row 1: label '1_0' is no whole number"),
        ('a.mp4 1.0', "row 1: label '1.0' is no whole number"),
        ('folder.mp4 1', r'row 1: .*folder\.mp4 is no file'),
        ('a.mp4 2', 'row 1: label 2 is out of range; expected 0 to 1'),
        ('a.mp4 -1', 'row 1: label -1 is out of range'),
        ('a.mp4 0\ngone.mp4 1', r'row 2: .*gone\.mp4 is no file'),
        ('gone.mp4 1\na.mp4 x\n' + 'a.mp4 9\n' * 6, '8 rows .*row 1: .*row 2: .*; and 3 more'),
    ],
)
def test_refused(tmp_path, text, message):
    (tmp_path / 'folder.mp4').mkdir()
    with pytest.raises(DataError, match=message) as caught:
        build(tmp_path, text, num_classes=2)
    assert '\n' not in str(caught.value)


@pytest.fixture
def warnings(monkeypatch):
    """What is logged, as a list."""
    logged = []
    monkeypatch.setattr(
        'mmxclip.datasets.labelled_video_dataset.print_log',
        lambda message, **_: logged.append(message),
    )
    return logged


def test_what_is_allowed_but_rarely_meant(tmp_path, warnings):
    rows = 'a.mp4 0\nb c.mp4 0\n\na.mp4 2\nb c.mp4 0'
    assert len(build(tmp_path, rows, classes=['run', 'jump', 'hop'])) == 4
    folder = f'{tmp_path}/'
    assert [line.replace(folder, '') for line in warnings] == [
        'list.txt: 2 videos are listed more than once: a.mp4 (rows 1, 4, with different labels); '
        'b c.mp4 (rows 2, 5)',
        "list.txt: 1 of 3 classes have no video: 'jump'",
    ]


def test_nothing_is_said_about_an_orderly_list(tmp_path, warnings):
    build(tmp_path, 'a.mp4 0\nb c.mp4 1', classes=['run', 'jump'])
    assert warnings == []


def test_a_shipped_list_of_names(tmp_path):
    data = build(tmp_path, 'a.mp4 100', classes='ucf101')
    assert data.metainfo['classes'][100] == 'YoYo'
    with pytest.raises(DataError, match='label 101 is out of range; expected 0 to 100'):
        build(tmp_path, 'a.mp4 101', classes='ucf101')


def test_files_need_not_be_there_when_not_checked(tmp_path):
    assert len(build(tmp_path, 'gone.mp4 0', check_files=False)) == 1


def test_several_labels_per_video_are_for_another_dataset(tmp_path):
    with pytest.raises(ConfigError, match='reads one label per video'):
        build(tmp_path, 'a.mp4 0 1', multi_class=True, num_classes=2)


def refused_rows(tmp_path, rows, **kwargs):
    """The message about a list that is not accepted."""
    with pytest.raises(DataError, match='rows have the label of another class') as caught:
        build(tmp_path, rows, check_files=False, **kwargs)
    assert '\n' not in str(caught.value)
    return str(caught.value)


HMDB_ROWS = 'brush_hair/a.avi 0\nkick_ball/a.avi 20\nkick/a.avi 21\nwave/a.avi 50\n'


def test_labels_of_the_other_order_are_refused(tmp_path):
    message = refused_rows(tmp_path, HMDB_ROWS, classes='hmdb51', label_order='mmaction2')
    assert '2 of 4 rows' in message
    assert "row 2: kick_ball/a.avi has label 20, 'kick', and 'kick ball' is 21" in message
    assert "with label_order='xclip' all rows agree" in message
    data = build(tmp_path, HMDB_ROWS, check_files=False, classes='hmdb51', label_order='xclip')
    assert data.metainfo['classes'][20] == 'kick ball'
    other = build(tmp_path, HMDB_ROWS, check_files=False, classes=data.metainfo['classes'])
    assert other.metainfo['classes'] == data.metainfo['classes']


@pytest.mark.parametrize(
    ('classes', 'rows'),
    [
        ('kinetics400', 'air_drumming/x.mp4 1\nabseiling/x.mp4 2\n'),
        ('ucf101', 'v_ApplyEyeMakeup_g01_c01.avi 1\n'),
        (['run', 'long jump'], 'day/run/x.mp4 0\nnight/LongJump/x.mp4 0\n'),
        ('hmdb51_xclip', 'kick/x.mp4 3\n'),
    ],
)
def test_labels_of_another_list_are_refused(tmp_path, classes, rows):
    message = refused_rows(tmp_path, rows, classes=classes)
    assert 'check_class_folders=False' in message
    assert len(build(tmp_path, rows, classes=classes, check_files=False, check_class_folders=False))


@pytest.mark.parametrize(
    'rows',
    [
        'run/x.mp4 0\nday/x.mp4 1\nnight/x.mp4 0\n',  # other folders
        'jump/run/x.mp4 0\nrun/jump/x.mp4 1\n',  # the last one counts
        'x.mp4 0\nrun.mp4 1\n',
    ],
)
def test_folders_that_are_no_classes_do_not_matter(tmp_path, rows):
    assert len(build(tmp_path, rows, classes=['run', 'jump'], check_files=False))


def test_the_folder_of_the_videos_is_no_class(tmp_path):
    prefix = dict(video='run')
    rows = 'a.mp4 1\n'
    assert len(
        build(tmp_path, rows, classes=['run', 'jump'], check_files=False, data_prefix=prefix)
    )


def test_lists_and_label_files_of_the_research_code(tmp_path):
    """Rows ``a.mp4 0`` and a csv of ids and names with Windows line ends."""
    (tmp_path / 'labels.csv').write_bytes(b'id,name\r\n0,brush hair\r\n1,cartwheel\r\n')
    data = build(tmp_path, 'a.mp4 0\nb c.mp4 1\n', classes=str(tmp_path / 'labels.csv'))
    assert data.metainfo['classes'] == ('brush hair', 'cartwheel')
    assert [data.get_data_info(i)['label'] for i in range(2)] == [0, 1]
