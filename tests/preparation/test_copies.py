"""Re-encoded copies: size, frames, keyframes, sound; going on after a stop; what goes wrong."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from video_files import frame_pixels, write_video

from mmxclip.errors import ConfigError, DataError
from mmxclip.preparation import copies
from mmxclip.preparation.copies import GOP, Encoder, copy_path, copy_videos, find_ffmpeg
from mmxclip.preparation.journal import Journal

PROGRAM = find_ffmpeg()


def facts(path: Path) -> tuple[int, int, int]:
    """Width, height and number of frames."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return frames[0].width, frames[0].height, len(frames)


@pytest.mark.parametrize(
    ('size', 'short_side', 'expected'),
    [
        ((320, 240), 120, (160, 120)),
        ((240, 320), 120, (120, 160)),
        ((201, 151), 120, (160, 120)),
        ((151, 201), 120, (120, 160)),
        ((64, 48), 120, (64, 48)),  # not enlarged
        ((65, 47), 120, (64, 46)),  # H.264 has even sides alone
        ((47, 65), 120, (46, 64)),
        ((1281, 33), 120, (1242, 32)),
        ((121, 121), 120, (120, 120)),
    ],
)
def test_sizes(tmp_path, size, short_side, expected):
    source = write_video(tmp_path / 'a.mp4', num_frames=4, size=size)
    target = tmp_path / 'copies' / 'deep' / 'b.mp4'
    assert Encoder(PROGRAM, short_side, 60)((source, target)) is None
    assert facts(target) == (*expected, 4)
    assert os.listdir(target.parent) == ['b.mp4']


def test_frames_and_keyframes(tmp_path):
    source = write_video(tmp_path / 'a.mp4', num_frames=50, gop=50)
    target = tmp_path / 'b.mp4'
    assert Encoder(PROGRAM, 256, 60)((source, target)) is None
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
        assert len(container.streams) == 1
    keys = [index for index, frame in enumerate(frames) if frame.key_frame]
    assert keys[0] == 0
    assert max(np.diff([*keys, len(frames)])) <= GOP
    for index, frame in enumerate(frames):
        grey = frame.to_ndarray(format='gray')[14:-14, 18:-18]
        middle = frame_pixels(index, 48, 64)[24, 32, 0]
        assert abs(np.median(grey) - middle) < 6
    assert float(frames[-1].time) == pytest.approx(49 / 12, abs=0.01)


@pytest.mark.parametrize('name', ['-dash.mp4', "it's 100%, a:b;[c].mp4", 'ü ♥.avi', '%03d.mp4'])
def test_any_name(tmp_path, name):
    codec = 'mpeg4' if name.endswith('.avi') else 'libx264'
    source = write_video(tmp_path / name, num_frames=3, codec=codec)
    target = tmp_path / 'copies' / copy_path(name)
    assert Encoder(PROGRAM, 256, 60)((source, target)) is None
    assert facts(target) == (64, 48, 3)


@pytest.fixture
def videos(tmp_path) -> Path:
    """A folder with two videos and a text."""
    folder = tmp_path / 'videos'
    (folder / 'a class').mkdir(parents=True)
    write_video(folder / 'a class' / 'a.avi', num_frames=3, codec='mpeg4')
    write_video(folder / 'b.mp4', num_frames=3)
    (folder / 'c.mp4').write_text('no video')
    return folder


def run(folder: Path, out: Path, short_side: int = 40) -> tuple[dict[str, str], list[str]]:
    """Faults, and what was said."""
    out.mkdir(exist_ok=True)
    said: list[str] = []
    paths = ['a class/a.avi', 'b.mp4', 'c.mp4', 'gone.mp4']
    journal = Journal(out / 'copies.jsonl')
    faults = copy_videos(paths, folder, out, journal, short_side, 2, 60, said.append)
    return faults, said


def test_copies_lie_as_the_videos_do(videos, tmp_path):
    out = tmp_path / 'out'
    faults, said = run(videos, out)
    assert said == ['videos to copy: 3']
    assert faults['gone.mp4'] == 'cannot be reached (No such file or directory)'
    assert faults['c.mp4'].startswith('ffmpeg: ')
    assert sorted(faults) == ['c.mp4', 'gone.mp4']
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob('*') if path.is_file())
    assert files == ['a class/a.mp4', 'b.mp4', 'copies.jsonl']
    assert facts(out / 'b.mp4')[:2] == (54, 40)


def test_only_what_is_not_there_is_made_again(videos, tmp_path):
    out = tmp_path / 'out'
    run(videos, out)
    times = (out / 'b.mp4').stat().st_mtime_ns
    assert run(videos, out)[1] == ['videos to copy: 1 (2 copied before)']  # the text
    assert (out / 'b.mp4').stat().st_mtime_ns == times
    (out / 'a class' / 'a.mp4').unlink()
    os.utime(videos / 'b.mp4', ns=(1, 1))
    assert run(videos, out)[1] == ['videos to copy: 3']
    assert run(videos, out, short_side=32)[1] == ['videos to copy: 3']
    assert facts(out / 'b.mp4')[1] == 32


def program(path: Path, code: str) -> Path:
    """An executable Python script."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f'#!{sys.executable}\n{code}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_slow_encoder_is_stopped(tmp_path):
    slow = program(tmp_path / 'ffmpeg', 'import time; time.sleep(60)')
    (tmp_path / 'a.mp4').touch()
    reason = Encoder(str(slow), 256, 0.5)((tmp_path / 'a.mp4', tmp_path / 'b.mp4'))
    assert reason == 'ffmpeg was not done within 0.5 s'
    assert sorted(os.listdir(tmp_path)) == ['a.mp4', 'ffmpeg']


def test_killed_encoder_leaves_nothing(tmp_path):
    code = 'import os, sys; open(sys.argv[-1][5:], "w").write("half"); os.abort()'
    broken = program(tmp_path / 'ffmpeg', code)
    reason = Encoder(str(broken), 256, 60)((tmp_path / 'a.mp4', tmp_path / 'b.mp4'))
    assert reason == 'ffmpeg: exit code -6'
    assert os.listdir(tmp_path) == ['ffmpeg']


def test_full_disk_is_no_fault_of_a_video(tmp_path):
    code = 'import sys; sys.exit("av_interleaved_write_frame(): No space left on device\\nx")'
    full = program(tmp_path / 'ffmpeg', code)
    with pytest.raises(DataError, match=r'b\.mp4 cannot be written \(No space left on device\)'):
        Encoder(str(full), 256, 60)((tmp_path / 'a.mp4', tmp_path / 'b.mp4'))


def test_place_that_cannot_be_written(videos, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a class').touch()
    with pytest.raises(DataError, match=r'a\.mp4 cannot be written \(.*\); check --reencoded-dir'):
        run(videos, tmp_path / 'out')


def test_ffmpeg_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert Path(find_ffmpeg()).is_file()


def test_ffmpeg_on_path_comes_first(tmp_path, monkeypatch):
    own = program(tmp_path / 'ffmpeg', 'print("V..... libx264")')
    monkeypatch.setenv('PATH', str(tmp_path))
    assert find_ffmpeg() == str(own)


@pytest.mark.parametrize(
    ('code', 'message'),
    [
        (None, r'--reencode needs ffmpeg, which is not on PATH, .*pip install "mmxclip\[all\]"'),
        ('print("V..... mpeg4")', r'ffmpeg cannot write H\.264 \(it has no libx264\)'),
    ],
)
def test_machine_without_a_usable_ffmpeg(tmp_path, monkeypatch, code, message):
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)  # importing it fails
    if code is not None:
        program(tmp_path / 'ffmpeg', code)
    with pytest.raises(ConfigError, match=message) as caught:
        copies.find_ffmpeg()
    assert '\n' not in str(caught.value)


def test_ffmpeg_that_does_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    (tmp_path / 'ffmpeg').write_bytes(b'\x7fELF')
    (tmp_path / 'ffmpeg').chmod(0o755)
    with pytest.raises(ConfigError, match=r'ffmpeg does not run \(.*\); install ffmpeg'):
        find_ffmpeg()
