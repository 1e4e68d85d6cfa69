"""The command: rows, exit codes, nothing else on standard output."""

import json

import pytest

from mmxclip.cli.main import main


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*argv):
        code = main(['doctor', *argv])
        return code, *capsys.readouterr()

    return call


def test_the_machine(run):
    code, out, _ = run('--format', 'json')
    assert code == 0
    rows = json.loads(out)
    assert {'versions', 'decord', 'accelerator'} <= {row['check'] for row in rows}
    assert {row['level'] for row in rows} <= {'ok', 'warning'}


def test_a_config_without_its_data(run):
    code, out, _ = run('xclip_b16_ucf101', '--format', 'jsonl')
    assert code == 1
    rows = [json.loads(line) for line in out.splitlines()]
    assert any('prepare.py ucf101' in row['remedy'] for row in rows if row['level'] == 'problem')


def test_a_config_that_needs_nothing(run):
    code, out, err = run('xclip_tiny_motion', '--quick')
    assert code == 0
    assert 'MotionDataset makes or finds its files by itself' in out
    assert 'Traceback' not in err


def test_a_checkpoint_needs_a_config(run):
    code, _, err = run('--checkpoint', 'x.pth')
    assert code == 2
    assert '--checkpoint needs a CONFIG' in err


def test_a_checkpoint_that_is_absent(run):
    code, out, _ = run('xclip_tiny_motion', '--checkpoint', 'absent.pth', '--format', 'json')
    assert code == 1
    (row,) = [row for row in json.loads(out) if row['check'] == 'checkpoint']
    assert 'absent.pth' in row['message']
