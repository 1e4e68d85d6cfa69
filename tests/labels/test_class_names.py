"""Class names from lists and files, and each way of getting them wrong."""

from __future__ import annotations

import pytest

from mmxclip.errors import ConfigError, DataError
from mmxclip.labels.class_names import check_class_names, load_class_names, plain_name


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ([], 'classes is empty'),
        ('jump', 'one string; expected a list'),
        (['run', 7], 'class name 1 is 7 of type int'),
        (['run', '  '], 'class name 1 is empty'),
        (['run', 'jump', 'run'], "'run' is given twice, as classes 0 and 2"),
        (['Run fast', 'run  Fast '], r"as classes 0 and 1 \(the first as 'Run fast': case and sp"),
        (['run\njump', 'hop'], r"class name 0 is on two lines \('run\\njump'\)"),
    ],
)
def test_refused_names(names, message):
    with pytest.raises(ConfigError, match=message):
        check_class_names(names)


def test_order_is_kept():
    assert check_class_names(['run', 'a jump', 'Δ']) == ('run', 'a jump', 'Δ')


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('plain.txt', b'run\na jump, high\n'),
        ('dos.txt', b'\xef\xbb\xbfrun\r\na jump, high\r\n\r\n'),
        ('quoted.csv', b'id,name\n0,run\n1,"a jump, high"\n'),
        ('gaps.csv', b'id,name\n\n0,run\n\n , \n1,"a jump, high"\n'),
        ('dos.CSV', b'\xef\xbb\xbfid,name\r\n0,run\r\n1,"a jump, high"\r\n\r\n'),
    ],
)
def test_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert load_class_names(tmp_path / name) == ('run', 'a jump, high')


@pytest.mark.parametrize(
    ('name', 'content', 'error', 'message'),
    [
        ('a.csv', b'run,0\n', DataError, r"first row is \['run', '0'\]; expected the header"),
        ('b.csv', b'', DataError, 'first row is absent'),
        ('c.csv', b'id,name\n0,run\n2,jump\n', DataError, "row 3 is '2,jump'; expected \"1,"),
        ('d.csv', b'id,name\n0,run\n1,kick,ball\n', DataError, "row 3 is '1,kick,ball'"),
        (
            'h.csv',
            b'id,name\n0,run\n\n0,jump\n',
            DataError,
            "row 4 is '0,jump', whose id was given be",
        ),
        ('i.csv', b'id,name\n0,"run\n1,jump\n', DataError, 'row 3 is no comma-separated text'),
        ('j.csv', b'id,name\n0,"run\n1,"jump"\n', DataError, 'row 3 is no comma-separated text'),
        ('k.csv', b'id,name\n0,"run\nhop"\n', ConfigError, 'class name 0 is on two lines'),
        ('l.csv', b'id;name\n0;run\n', DataError, r"first row is \['id;name'\]"),
        ('m.csv', 'id,name\n0,run\n'.encode('utf-16'), DataError, r'not UTF-8 text \(byte 0'),
        ('e.txt', b'run\n\njump\n', ConfigError, r'e\.txt: class name 1 is empty'),
        ('f.txt', b'run\nrun\n', ConfigError, r'f\.txt: class name .run. is given twice'),
        ('g.txt', b'run\n\xff\xfe\n', DataError, 'not UTF-8 text'),
    ],
)
def test_bad_files(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        load_class_names(str(tmp_path / name))


def test_absent_file(tmp_path):
    with pytest.raises(DataError, match=r'gone\.txt cannot be read \(No such file'):
        load_class_names(tmp_path / 'gone.txt')


def test_unknown_kind_of_source():
    with pytest.raises(
        ConfigError, match=r'neither a list of names, nor a file .* of hmdb51, hmdb51_mm'
    ):
        load_class_names('kinetics')


def test_plain_names():
    names = 'Apply Eye Makeup', 'apply_eye_makeup', 'ApplyEyeMakeup', 'apply-eye (makeup)'
    assert {plain_name(name) for name in names} == {'applyeyemakeup'}
