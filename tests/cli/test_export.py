"""``mmxclip export`` and ``mmxclip predict --onnx``: what they print and how they end."""

from __future__ import annotations

import json
import re

import pytest
from video_files import write_video

from mmxclip.cli.main import main
from mmxclip.export.session import ExportedModel

LABELS = ('a red circle growing', 'a blue square', 'a triangle')


@pytest.fixture
def run(capfd, monkeypatch, tmp_path_factory):
    """A function that runs a command line in this process: code, output, errors."""
    monkeypatch.setenv('MMXCLIP_CACHE', str(tmp_path_factory.getbasetemp() / 'cache'))

    def call(*argv):
        code = main(list(map(str, argv)))
        return code, *capfd.readouterr()

    return call


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """For files that several tests use."""
    return tmp_path_factory.mktemp('exported')


@pytest.fixture
def onnx_file(run, folder):
    """The tiny model with three labels, made once."""
    path = folder / 'tiny.onnx'
    if not path.exists():
        labels = ', '.join(LABELS[:2])
        code, out, err = run(
            'export', 'xclip_tiny_motion', '--labels', labels, '--labels', LABELS[2], '-o', path
        )
        assert code == 0, err
        assert re.search(r'onnx, \d\.\d MB\n  frames uint8 \(N, 8, 64, 64, 3\)\n  3 classes', out)
        assert re.search(r'differs from PyTorch by \d\.\de-0\d of the largest logit', out)
        assert [line.split(':')[1] for line in err.splitlines()] == [' warning']  # untrained
    return path


def test_predict(run, onnx_file, tmp_path):
    good = write_video(tmp_path / 'good.mp4', num_frames=12)
    (tmp_path / 'bad.mp4').write_text('no video')
    code, out, err = run(
        'predict', good, tmp_path / 'bad.mp4', '--onnx', onnx_file, '--format', 'json', '--top-k', 2
    )
    assert code == 1
    assert re.fullmatch(r'mmxclip: error: .*bad\.mp4.*\n', err)
    (row,) = json.loads(out)
    scores = ExportedModel.load(onnx_file)(ExportedModel.load(onnx_file).prepare(str(good)))
    best = sorted(scores, key=scores.get, reverse=True)[:2]
    assert [item['label'] for item in row['predictions']] == best
    assert [item['score'] for item in row['predictions']] == pytest.approx(
        [scores[name] for name in best], abs=1e-5
    )


@pytest.mark.parametrize(
    'option', [('--labels', 'a, b'), ('--model', 'xclip_b16_k400'), ('--device', 'cpu')]
)
def test_predict_with_what_has_no_effect(run, onnx_file, option):
    code, out, err = run('predict', 'x.mp4', '--onnx', onnx_file, *option)
    assert (code, out) == (2, '')
    assert err == f'mmxclip: error: {option[0]} has no effect beside --onnx; drop one of the two\n'


def test_predict_with_a_file_of_others(run, tmp_path):
    video = write_video(tmp_path / 'x.mp4', num_frames=3)
    code, out, err = run('predict', video, '--onnx', video)
    assert (code, out) == (1, '')
    assert re.fullmatch(r'mmxclip: error: .*x\.mp4 is no ONNX model that can be run .*\n', err)


def test_text_input_in_torchscript(run, tmp_path):
    path = tmp_path / 'tiny.pt'
    code, out, _ = run(
        'export', 'xclip_tiny_motion', '--text-input', '--format', 'torchscript', '-o', path
    )
    assert code == 0
    assert 'frames uint8 (N, 8, 64, 64, 3), text_features (K, 64)\n  K classes\n' in out
    video = write_video(tmp_path / 'x.mp4', num_frames=3)
    code, _, err = run('predict', video, '--onnx', path)
    assert code == 1
    assert 'is a program (torchscript) and would be run' in err


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--labels', 'a, b', '--text-input'], '--labels, --labels-file and --text-input exclude'),
        (['--labels', 'alone'], "--labels: labels=['alone'] is one label"),
        (['--labels-file', 'none.txt'], '--labels-file: labels none.txt cannot be read'),
        (['--format', 'exported', '--opset', '18'], '--opset is of ONNX and --format is exported'),
    ],
)
def test_wrong_use(run, tmp_path, argv, message):
    code, out, err = run('export', 'xclip_tiny_motion', '-o', tmp_path / 'x', *argv)
    assert (code, out) == (2, '')
    assert err.startswith(f'mmxclip: error: {message}')
    assert err.count('\n') == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('argv', [['--format', 'tflite'], ['--opset', '9'], []])
def test_wrong_values(run, argv):
    place = ['-o', 'x'] if argv else []
    code, _, err = run('export', 'xclip_tiny_motion', *argv, *place)
    assert code == 2
    assert 'Error: ' in err


def test_no_such_config(run, tmp_path):
    code, _, err = run('export', 'xclip_b61_k400', '-o', tmp_path / 'x.onnx')
    assert code == 2
    assert 'neither a file nor the name of a shipped config' in err


@pytest.mark.parametrize(
    ('checkpoint', 'place', 'message'),
    [
        ('absent.pth', 'x.onnx', 'checkpoint absent.pth does not exist'),
        ('absent.pth', 'none/x.onnx', 'folder .*none of x.onnx does not exist; make it first'),
    ],
)
def test_failed_work(run, tmp_path, checkpoint, place, message):
    code, out, err = run(
        'export', 'xclip_tiny_motion', '--checkpoint', checkpoint, '-o', tmp_path / place
    )
    assert (code, out) == (1, '')
    assert re.fullmatch(f'mmxclip: error: {message}.*\n', err)
    assert not list(tmp_path.iterdir())
