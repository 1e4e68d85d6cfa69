"""The check of videos: good, broken, crashing and hanging ones, and going on after a stop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from video_files import truncated, write_video

from mmxclip.datasets import video_readers
from mmxclip.errors import ConfigError
from mmxclip.preparation import integrity
from mmxclip.preparation.integrity import Checker, check_videos
from mmxclip.preparation.journal import Journal


@pytest.fixture
def videos(tmp_path) -> Path:
    """Two good videos, a broken one and one that is no video."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    write_video(folder / 'good one.mp4', num_frames=8)
    write_video(folder / 'short.mp4', num_frames=1)
    truncated(folder / 'cut.mp4')
    (folder / 'text.mp4').write_text('<html>not found</html>')
    return folder


def check(folder: Path, journal: Path, *extra: str, kind: str = 'places', **kwargs):
    """Faults of all videos, and what was said."""
    said: list[str] = []
    paths = [*sorted(os.listdir(folder)), *extra]
    faults = check_videos(
        *(paths, folder, Journal(journal), kind, kwargs.pop('workers', 2)),
        *(kwargs.pop('timeout', 60), said.append),
    )
    return faults, said


@pytest.mark.parametrize('kind', ['places', 'full'])
def test_faults(videos, tmp_path, kind):
    faults, said = check(videos, tmp_path / 'a.jsonl', 'absent.mp4', kind=kind)
    assert said == ['videos to check: 4']
    assert sorted(faults) == ['absent.mp4', 'cut.mp4', 'text.mp4']
    assert faults['absent.mp4'] == 'cannot be reached (No such file or directory)'
    assert faults['cut.mp4'].startswith(('cannot be opened (', 'is damaged ('))
    assert faults['text.mp4'] == 'cannot be opened (FFmpeg finds no video in it)'


def test_full_check_finds_what_lies_between_the_places(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    # 1200 frames, a keyframe every 12: the places are 0, 299, 599, 899 and 1199
    write_video(folder / 'long.mp4', num_frames=1200, size=(32, 24), faststart=True)
    data = bytearray((folder / 'long.mp4').read_bytes())
    begin, end = int(0.62 * len(data)), int(0.63 * len(data))
    data[begin:end] = bytes(end - begin)
    (folder / 'long.mp4').write_bytes(data)
    assert check(folder, tmp_path / 'a.jsonl')[0] == {}
    faults, said = check(folder, tmp_path / 'a.jsonl', kind='full')
    assert list(faults) == ['long.mp4']
    assert said == ['videos to check: 1']  # the check in places does not count as a full one
    assert check(folder, tmp_path / 'a.jsonl')[0] == faults  # and what was found stays


def test_nothing_is_checked_twice(videos, tmp_path, monkeypatch):
    faults, _ = check(videos, tmp_path / 'a.jsonl')
    asked: list[Path] = []
    call = Checker.__call__

    def counted(self, path):
        asked.append(path)
        return call(self, path)

    monkeypatch.setattr(integrity.Checker, '__call__', counted)
    again, said = check(videos, tmp_path / 'a.jsonl')
    assert (again, asked) == (faults, [])
    assert said == ['videos to check: 0 (4 known from before)']
    write_video(videos / 'text.mp4', num_frames=3)  # mended: another size
    os.utime(videos / 'short.mp4', ns=(1, 1))  # touched
    again, _ = check(videos, tmp_path / 'a.jsonl')
    assert sorted(path.name for path in asked) == ['short.mp4', 'text.mp4']
    assert sorted(again) == ['cut.mp4']


def test_full_check_counts_for_places(videos, tmp_path):
    check(videos, tmp_path / 'a.jsonl', kind='full')
    _, said = check(videos, tmp_path / 'a.jsonl')
    assert said == ['videos to check: 0 (4 known from before)']


def test_hanging_decoder_costs_its_video_alone(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    os.mkfifo(folder / 'a pipe.mp4')  # opening it waits for ever
    write_video(folder / 'b.mp4', num_frames=3)
    faults, _ = check(folder, tmp_path / 'a.jsonl', workers=1, timeout=2)
    assert faults == {'a pipe.mp4': 'the decoder did not answer within 2 s and was stopped'}


def test_crashing_decoder_costs_its_video_alone(tmp_path, monkeypatch):
    """A decoder that dies of videos whose names say so, in the place of the real one."""
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name in ('a bomb.mp4', 'b.mp4', 'c bomb.mp4', 'd.mp4'):
        write_video(folder / name, num_frames=3)
    real = Path(video_readers.decoder_process.__file__).read_text()
    trap = "if 'bomb' in request['path']: os.abort()"
    script = tmp_path / 'decoder.py'
    assert real.count('        step = request') == 1
    script.write_text(
        real.replace('        step = request', f'        {trap}\n        step = request')
    )
    monkeypatch.setattr(video_readers.decoder_process, '__file__', str(script))
    faults, _ = check(folder, tmp_path / 'a.jsonl')
    assert faults == dict.fromkeys(
        ('a bomb.mp4', 'c bomb.mp4'), 'the decoder crashed (signal SIGABRT)'
    )


def test_machine_without_decoder_blames_no_video(videos, tmp_path, monkeypatch):
    script = tmp_path / 'decoder.py'
    script.write_text('raise SystemExit(3)')
    monkeypatch.setattr(video_readers.decoder_process, '__file__', str(script))
    with pytest.raises(ConfigError, match='does not start: it ended with exit code 3'):
        check(videos, tmp_path / 'a.jsonl')
    assert (tmp_path / 'a.jsonl').read_text() == ''
