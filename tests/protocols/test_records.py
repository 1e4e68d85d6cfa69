"""Records of runs: whole or absent, and never taken for those of other settings."""

import json
import os

import pytest

from mmxclip.errors import ConfigError
from mmxclip.protocols import records
from mmxclip.protocols.records import Record

PRINTS = {'train': {'checkpoint': 'a', 'model.neck': 'b'}, 'test': {'checkpoint': 'a'}}


def test_written_and_read(tmp_path):
    record = Record(PRINTS, dict(checkpoint='epoch_2.pth'), dict(test=dict(videos=3)))
    record.write(tmp_path / 'seed0')
    assert records.read(tmp_path / 'seed0') == record
    assert os.listdir(tmp_path / 'seed0') == [records.NAME]


def test_absent_and_empty_folders_are_new_runs(tmp_path):
    assert records.read(tmp_path / 'seed0') is None
    assert records.read(tmp_path) is None


def test_failed_writing_leaves_the_old(tmp_path, monkeypatch):
    Record(PRINTS).write(tmp_path)

    def fail(*_):
        raise OSError('full')

    monkeypatch.setattr(os, 'replace', fail)
    with pytest.raises(OSError, match='full'):
        Record({}).write(tmp_path)
    assert records.read(tmp_path) == Record(PRINTS)


def test_foreign_folder(tmp_path):
    (tmp_path / 'thesis.tex').write_text('years of work')
    with pytest.raises(ConfigError, match=r'holds files and no run\.json, so it is no run'):
        records.read(tmp_path)


@pytest.mark.parametrize('text', ['', '{', '[]', '{"fingerprints": {}, "more": 1}', '{}'])
def test_foreign_record(tmp_path, text):
    (tmp_path / records.NAME).write_text(text)
    with pytest.raises(ConfigError, match=r"run.json' is no record of a run \("):
        records.read(tmp_path)


@pytest.mark.parametrize(
    ('now', 'complaint'),
    [
        (
            PRINTS | {'train': PRINTS['train'] | {'checkpoint': 'c'}},
            'begun with other settings for train: checkpoint have changed; --fresh starts over, a',
        ),
        (
            PRINTS | {'test': {'checkpoint': 'a', 'file names.csv': 'd'}},
            'settings for test: file names.csv have changed; --retest tests again .* --fresh',
        ),
        (
            PRINTS | {'test': {'checkpoint': 'a', **{f'model.{i}': 'd' for i in range(8)}}},
            'model.0, .* model.5 and 2 more have changed',
        ),
        ({'test': PRINTS['test']}, 'was begun with training; --fresh starts over, and another'),
    ],
)
def test_other_settings(tmp_path, now, complaint):
    with pytest.raises(ConfigError, match=complaint):
        records.check(Record(PRINTS), now, tmp_path)


def test_same_settings(tmp_path):
    records.check(Record(PRINTS), json.loads(json.dumps(PRINTS)), tmp_path)


def test_forget_deletes_runs_alone(tmp_path):
    run, other = tmp_path / 'seed0', tmp_path / 'seed1'
    Record(PRINTS).write(run)
    other.mkdir()
    (other / 'thesis.tex').write_text('years of work')
    for folder in (run, other, tmp_path / 'absent'):
        records.forget(folder)
    assert not run.exists()
    assert (other / 'thesis.tex').exists()


def test_one_process_a_folder(tmp_path):
    with (
        records.locked(tmp_path),
        pytest.raises(ConfigError, match='another process works on a protocol in'),
        records.locked(tmp_path),
    ):
        pass
    with records.locked(tmp_path):
        pass
