"""``mmxclip predict``: what it prints, what it writes, how it ends."""

import csv
import json
import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from video_files import truncated, write_video

from mmxclip import VideoClassifier
from mmxclip.cli.main import main

LABELS = 'a red circle growing, a blue square moving up, a green triangle'


@pytest.fixture(scope='module')
def model():
    """A classifier that all commands share, since building one takes most of their time."""
    return VideoClassifier('xclip_tiny_motion', device='cpu')


@pytest.fixture
def run(capfd, monkeypatch, model, tmp_path):
    """A function that runs the command in this process: code, output, errors."""
    from mmxclip.inference import video_classifier

    monkeypatch.setenv('MMXCLIP_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(video_classifier, 'build_model', lambda *_: model.model)

    def call(*argv, own=True):
        name = ('--model', 'xclip_tiny_motion') if own else ()
        code = main(['predict', *map(str, argv), *name])
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Three videos in a folder and one below it, and what is no video."""
    root = tmp_path_factory.mktemp('clips')
    (root / 'more').mkdir()
    for name in ('b.mp4', 'a b.mp4', 'c.MOV', 'more/ünï 视频.mkv'):
        write_video(root / name, num_frames=10)
    (root / 'notes.txt').write_text('no video')
    (root / '.hidden.mp4').write_text('no video')
    return root


def names(out):
    return [json.loads(line)['video'] for line in out.splitlines()]


def assert_one_line(err, *texts):
    assert err.startswith('mmxclip: error: ')
    assert err.count('\n') == 1
    for text in texts:
        assert text in err


def test_json(run, folder):
    code, out, err = run(folder / 'b.mp4', '--labels', LABELS, '--top-k', '2', '--format', 'json')
    assert (code, err) == (0, '')
    (video,) = json.loads(out)
    assert set(video) == {'video', 'predictions'}
    assert video['video'] == str(folder / 'b.mp4')
    assert [set(item) for item in video['predictions']] == [{'label', 'score'}] * 2


def test_table(run, folder):
    code, out, _ = run(folder / 'b.mp4', folder / 'c.MOV', '--top-k', '1')
    assert code == 0
    heading, _, *rows = out.splitlines()
    assert heading.split() == ['video', 'rank', 'label', 'score']
    assert [row.split()[0].endswith(('b.mp4', 'c.MOV')) for row in rows] == [True, True]


def test_csv(run, folder):
    code, out, _ = run(folder / 'a b.mp4', '--labels', LABELS, '--format', 'csv')
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert [row['rank'] for row in rows] == ['1', '2', '3']
    assert sum(float(row['score']) for row in rows) == pytest.approx(1, abs=1e-5)


def test_folders_patterns_and_files_each_once(run, folder):
    given = folder, folder / '**' / '*.mkv', folder / 'b.mp4'
    code, out, err = run(*given, '--labels', LABELS, '--format', 'jsonl')
    assert (code, err) == (0, '')
    assert names(out) == [
        str(folder / name) for name in ('a b.mp4', 'b.mp4', 'c.MOV', 'more/ünï 视频.mkv')
    ]


def test_a_name_with_brackets_is_a_file(run, tmp_path):
    path = write_video(tmp_path / '[1].mp4')
    code, out, _ = run(path, '--labels', LABELS, '--format', 'jsonl')
    assert (code, names(out)) == (0, [str(path)])


def test_addresses(run, folder):
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    server = ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    root = f'http://127.0.0.1:{server.server_port}'
    try:
        given = [f'{root}/a%20b.mp4', f'{root}/absent.mp4', f'{root}/notes.txt']
        code, out, err = run(*given, '--labels', LABELS, '--format', 'jsonl')
    finally:
        server.shutdown()
        server.server_close()
    assert (code, names(out)) == (1, given[:1])
    errors = [line for line in err.splitlines() if line.startswith('mmxclip: error: ')]
    assert re.search(r'absent\.mp4 could not be downloaded \(status 404\)', errors[0])
    assert f'{root}/notes.txt' in errors[1]


def test_bad_videos_are_listed_at_the_end(run, folder, tmp_path):
    bad, absent = truncated(tmp_path / 'bad.mp4'), tmp_path / 'absent.mp4'
    target = tmp_path / 'out.jsonl'
    code, out, err = run(
        bad, folder / 'b.mp4', absent, folder / 'c.MOV', '--labels', LABELS, '-o', target
    )
    assert (code, out) == (1, '')
    assert names(target.read_text()) == [str(folder / 'b.mp4'), str(folder / 'c.MOV')]
    first, second = err.splitlines()
    assert f'{bad} ' in first
    assert f'{absent} does not exist' in second


def unreadable(path):
    """A file that its owner must not read; root may, and is given a broken link's loop instead."""
    path.write_bytes(b'x')
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.symlink_to(path.name)


@pytest.mark.parametrize(
    ('name', 'make', 'reason'),
    [
        ('absent.mp4', lambda path: None, 'does not exist'),
        ('empty.mp4', lambda path: path.touch(), 'is empty'),
        ('text.mp4', lambda path: path.write_text('no video'), 'cannot be opened'),
        ('cut.mp4', truncated, 'cannot be opened|is damaged'),
        ('closed.mp4', unreadable, 'cannot be read'),
        ('pipe.mp4', os.mkfifo, 'is no regular file'),
        ('folder.mp4', lambda path: path.mkdir(), 'holds no videos'),
        ('*.nothing', lambda path: None, 'matches no file'),
        ('x' * 300, lambda path: None, 'cannot be read'),
    ],
)
def test_bad_videos(run, tmp_path, name, make, reason):
    make(tmp_path / name)
    code, out, err = run(tmp_path / name, '--labels', LABELS)
    assert (code, out) == (1, '')
    assert_one_line(err, str(tmp_path))
    assert re.search(reason, err)


@pytest.mark.parametrize(
    ('argv', 'texts'),
    [
        (['--labels', ''], ['--labels', 'is empty']),
        (['--labels', 'alone'], ['--labels', "'alone'", 'at least two']),
        (['--labels', 'a,b,A'], ['--labels', "'A' is given twice"]),
        (['--labels', f'a,{"long " * 1000}'], ['--labels', 'long long', 'tokens']),
        (['--labels', 'a,b', '--labels-file', 'x'], ['exclude each other']),
        (['--labels-file', 'absent.txt'], ['--labels-file', 'absent.txt cannot be read']),
        (['--template', 'nothing'], ['--template', 'must hold']),
        (['--device', 'nonsense'], ['--device', "'nonsense' cannot be used (no such kind)"]),
        (['--format', 'parquet'], ['--format parquet', '--output FILE']),
    ],
)
def test_wrong_use(run, folder, argv, texts):
    code, out, err = run(folder / 'b.mp4', *argv)
    assert (code, out) == (2, '')
    assert_one_line(err, *texts)


def test_wrong_model(run, folder):
    code, _, err = run(folder / 'b.mp4', '--model', 'xclip_b16_k40', own=False)
    assert code == 2
    assert_one_line(err, '--model', "'xclip_b16_k40'", 'xclip_b16_k400')


@pytest.mark.parametrize('argv', [[], ['x.mp4', '--top-k', '0'], ['x.mp4', '--dtype', 'int8']])
def test_wrong_arguments(run, argv):
    code, out, err = run(*argv)
    assert (code, out) == (2, '')
    assert 'Error: ' in err


@pytest.mark.parametrize(
    ('content', 'text'),
    [
        (b'', 'classes is empty'),
        (b'\n\n', 'classes is empty'),
        (b'one\n', 'one label'),
        (b'one\n\ntwo\n', 'class name 1 is empty'),
        (b'a\n\xff\n', 'not UTF-8 text (byte 2)'),
    ],
)
def test_wrong_label_files(run, folder, tmp_path, content, text):
    file = tmp_path / 'labels.txt'
    file.write_bytes(content)
    code, _, err = run(folder / 'b.mp4', '--labels-file', file)
    assert code == 2
    assert_one_line(err, str(file), text)


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('labels.txt', 'a red circle, growing\r\na green triangle\r\n\r\n'),
        ('labels', '\ufeffa red circle, growing\na green triangle'),
        ('labels.csv', 'id,name\n0,"a red circle, growing"\n1,a green triangle\n'),
    ],
)
def test_label_files(run, folder, tmp_path, name, content):
    (tmp_path / name).write_bytes(content.encode())
    code, out, _ = run(folder / 'b.mp4', '--labels-file', tmp_path / name, '--format', 'json')
    assert code == 0
    found = {item['label'] for item in json.loads(out)[0]['predictions']}
    assert found == {'a red circle, growing', 'a green triangle'}


def test_labels_may_be_repeated(run, folder):
    argv = ['--labels', 'a circle,a square', '--labels', 'a triangle', '--format', 'csv']
    _, out, _ = run(folder / 'b.mp4', *argv)
    assert {row['label'] for row in csv.DictReader(out.splitlines())} == {
        'a circle',
        'a square',
        'a triangle',
    }


def test_labels_in_other_scripts_are_scored_with_a_warning(run, folder):
    code, out, err = run(folder / 'b.mp4', '--labels', '弹吉他, 跑步', '--format', 'csv')
    assert code == 0
    assert '弹吉他' in out
    assert err.startswith("mmxclip: warning: '弹吉他' is not in Latin letters")
    assert err.count('\n') == 1


@pytest.mark.parametrize(
    ('target', 'text'),
    [
        ('absent/out.csv', 'No such file or directory'),
        ('.', 'is a folder'),
        ('/dev/full', 'No space left on device'),
        ('x' * 300, 'File name too long'),
    ],
)
def test_outputs_that_cannot_be_written(run, folder, tmp_path, monkeypatch, target, text):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(folder / 'b.mp4', '--labels', LABELS, '--output', target)
    assert (code, out) == (1, '')
    assert_one_line(err, target[:100], text)
    assert {path.name for path in tmp_path.iterdir()} <= {'cache'}


def test_a_full_disk_leaves_what_was_there(run, folder, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, 'No space left on device')

    target = tmp_path / 'out.csv'
    target.write_text('before')
    monkeypatch.setattr(os, 'fsync', full)
    code, _, err = run(folder / 'b.mp4', '--labels', LABELS, '-o', target)
    assert code == 1
    assert_one_line(err, str(target), 'No space left on device')
    assert target.read_text() == 'before'
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ['out.csv']


def test_an_output_is_replaced_and_open_to_others(run, folder, tmp_path):
    target = tmp_path / 'out.json'
    target.write_text('before')
    code, out, _ = run(folder / 'b.mp4', '--labels', LABELS, '-o', target)
    assert (code, out) == (0, '')
    assert len(json.loads(target.read_text())) == 1
    assert target.stat().st_mode & 0o044


def test_parquet(run, folder, tmp_path):
    pandas = pytest.importorskip('pandas')
    target = tmp_path / 'out.parquet'
    code, _, err = run(folder / 'b.mp4', '--labels', LABELS, '-o', target)
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        assert code == 1
        assert_one_line(err, 'pyarrow', 'mmxclip[tables]')
        return
    assert code == 0
    assert list(pandas.read_parquet(target).columns) == ['video', 'rank', 'label', 'score']


def test_progress_is_shown_on_a_terminal_alone(run, folder, monkeypatch):
    from mmxclip.cli import predict

    argv = [folder, '--labels', LABELS, '--format', 'jsonl']
    _, plain, err = run(*argv)
    assert err == ''
    monkeypatch.setattr(predict.sys.stderr, 'isatty', lambda: True, raising=False)
    monkeypatch.setenv('FORCE_COLOR', '1')
    _, out, err = run(*argv)
    assert out == plain
    assert 'videos' in err


def test_a_missing_checkpoint(tmp_path, folder, capfd):
    argv = ['predict', str(folder / 'b.mp4'), '--model', 'xclip_tiny_motion']
    code = main([*argv, '--checkpoint', str(tmp_path / 'absent.pth')])
    out, err = capfd.readouterr()
    assert (code, out) == (1, '')
    assert_one_line(err, 'absent.pth')
