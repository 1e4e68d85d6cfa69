"""The command as a whole: help, exit codes, errors of one line."""

import json
import subprocess
import sys

import pytest

from mmxclip.cli.main import COMMANDS, main


@pytest.fixture
def run(capsys):
    """A function that runs a command line in this process: code, output, errors."""

    def call(*argv):
        code = main(list(argv))
        return code, *capsys.readouterr()

    return call


def test_help_lists_every_command(run):
    code, out, _ = run('--help')
    assert code == 0
    assert all(f'  {name}' in out for name in COMMANDS)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_explains_itself_with_examples(run, name):
    code, out, _ = run(name, '-h')
    assert code == 0
    assert out.startswith(f'Usage: mmxclip {name}')
    assert f'  mmxclip {name}' in out.split('Examples:')[1]


def test_no_command_is_wrong_use(run):
    code, out, err = run()
    assert code == 2
    assert 'Usage: mmxclip' in out + err


@pytest.mark.parametrize('argv', [['nonsense'], ['labels', '--nonsense'], ['labels', 'a', 'b']])
def test_wrong_use(run, argv):
    code, out, err = run(*argv)
    assert code == 2
    assert not out
    assert 'Error: ' in err
    assert 'Traceback' not in err


def test_failed_work_is_one_line(run):
    code, out, err = run('labels', 'absent.csv')
    assert code == 1
    assert not out
    assert err.startswith('mmxclip: error: class names absent.csv cannot be read')
    assert err.count('\n') == 1


def test_version(run):
    code, out, _ = run('--version')
    assert (code, out.split()[0]) == (0, 'mmxclip')


def test_labels(run):
    code, out, _ = run('labels', 'hmdb51', '--label-order', 'xclip', '--format', 'json')
    assert code == 0
    assert json.loads(out)[20] == dict(id=20, name='kick ball')


def test_lists_of_labels(run):
    _, out, _ = run('labels', '--format', 'jsonl')
    rows = [json.loads(line) for line in out.splitlines()]
    assert dict(name='kinetics400', classes=400) in rows


def test_a_csv_of_labels_can_be_read_again(run, tmp_path):
    from mmxclip.labels.class_names import load_class_names

    _, out, _ = run('labels', 'ssv2', '--format', 'csv')
    (tmp_path / 'names.csv').write_text(out, encoding='utf-8')
    assert load_class_names(tmp_path / 'names.csv') == load_class_names('ssv2')


def test_models(run):
    code, out, _ = run('models', 'b16_k400', '--format', 'json')
    assert code == 0
    (row,) = json.loads(out)
    assert row['name'] == 'xclip_b16_k400'
    assert row["authors' top-1"] == 83.8
    assert row['weights'].endswith('k400_16_8.pth')


def test_no_model_of_that_name(run):
    code, _, err = run('models', 'resnet')
    assert code == 1
    assert "no model has 'resnet' in its name" in err


def test_a_reader_that_has_seen_enough():
    answer = subprocess.run(
        f'{sys.executable} -m mmxclip.cli.main labels kinetics600 | head -1',
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Traceback' not in answer.stderr
    assert 'Broken pipe' not in answer.stderr
