"""``tools/data/prepare.py`` as users run it: lists, mistakes, and a run that is killed."""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import dataset_miniatures as miniatures
import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'data' / 'prepare.py'


@pytest.fixture
def videos(tmp_path) -> Path:
    """HMDB51 with the videos of one class."""
    return miniatures.hmdb51(tmp_path / 'hmdb', with_videos=['wave'])


def test_prints_a_line_for_each_list(run_tool, videos, tmp_path):
    done = run_tool(
        *('data/prepare.py', 'hmdb51', '--videos', videos, '--out', 'out', '--workers', 2),
        *('--shots', 2, '--seeds', 4, '--check', 'full'),
        *('--reencode', 256, '--reencoded-dir', 'copies'),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    lines = done.stdout.splitlines()
    assert lines[:3] == ['videos to check: 4', 'videos to copy: 4', 'videos to check: 4']
    assert lines[3:9] == [
        f'hmdb51_{part}_split_{split}_videos.txt: 2 of 102 found (100 missing)'
        for split in (1, 2, 3)
        for part in ('train', 'val')
    ]
    assert lines[9:] == [
        'hmdb51_train_split_1_2shot_seed4_videos.txt: 2 of 102 found',
        'hmdb51_base_val_videos.txt: 2 of 52 found',
        'hmdb51_novel_val_videos.txt: 0 of 50 found',
        'hmdb51_base_train_16shot_seed4_videos.txt: 2 of 416 found',
        'missing and undecodable videos, with reasons: out/hmdb51_report.json',
    ]
    row = (tmp_path / 'out' / 'hmdb51_train_split_1_videos.txt').read_text().splitlines()[0]
    assert row == 'wave/clip 0!_wave_u.mp4 50'
    assert (tmp_path / 'copies' / 'wave' / 'clip 0!_wave_u.mp4').is_file()


def wait_for_lines(file: Path, number: int, process: subprocess.Popen) -> list[str]:
    """Lines of a file, as soon as there are so many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        lines = file.read_text().splitlines() if file.exists() else []
        if len(lines) >= number:
            return lines
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise TimeoutError(f'{file} has {lines}')


def children(pid: int) -> list[int]:
    """Processes that a process has started."""
    tasks = Path(f'/proc/{pid}/task').glob('*/children')
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.parametrize('end', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_run_goes_on_where_it_stopped(run_tool, videos, tmp_path, end):
    """The third of four videos keeps the decoder waiting, until the run is killed."""
    waiting = videos / 'wave' / 'clip 2!_wave_u.avi'
    good = waiting.read_bytes()
    waiting.unlink()
    os.mkfifo(waiting)  # opening it waits for ever
    command = [sys.executable, TOOL, 'hmdb51', '--videos', videos, '--out', tmp_path / 'out']
    options = ['--workers', '1', '--shots', '2', '--seeds', '0']
    process = subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # what a shell starts in the background ignores it, and so would all it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    journal = tmp_path / 'out' / 'hmdb51_checked.jsonl'
    decoders: list[int] = []
    try:
        before = wait_for_lines(journal, 2, process)
        decoders += children(process.pid)
        assert len(decoders) == 1
        process.send_signal(end)
        _, complaint = process.communicate(timeout=30)
        assert (end != signal.SIGINT) is Path(f'/proc/{decoders[0]}').exists()
    finally:
        process.kill()
        for child in decoders:  # one that waits for ever outlives a killed parent by minutes
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    assert 'Traceback' not in complaint
    if end == signal.SIGINT:
        assert (process.returncode, complaint) == (130, 'mmxclip: interrupted\n')
    assert os.listdir(tmp_path / 'out') == [journal.name]
    checked = [json.loads(line) for line in before]
    assert [(line['path'], line['reason']) for line in checked] == [
        (f'wave/clip {i}!_wave_u.avi', None) for i in (0, 1)
    ]

    waiting.unlink()
    waiting.write_bytes(good)
    with journal.open('a') as file:
        file.write('{"path": "wave/cl')  # as if it had been killed while it wrote
    done = run_tool('data/prepare.py', *command[2:], *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == 'videos to check: 2 (2 known from before)'
    assert journal.read_text().splitlines()[:2] == before
    assert 'hmdb51_val_split_1_videos.txt: 2 of 102 found (100 missing)' in done.stdout


@pytest.mark.parametrize(
    ('args', 'code', 'complaint'),
    [
        (['hmdb51', '--videos', 'none', '--out', 'out'], 1, '--videos none is no folder'),
        (
            ['hmdb51', '--videos', '.', '--out', 'out'],
            1,
            'the split files of HMDB51 not found in .',
        ),
        (
            ['ucf101', '--videos', '.', '--out', 'out'],
            1,
            'the split files of UCF101 not found in .',
        ),
        (['ssv2', '--videos', '.', '--out', 'out'], 1, 'the labels of SSv2 not found in .'),
        (['kinetics400', '--videos', '.', '--out', 'out'], 1, 'none of the folders train, valid'),
        (['hmdb51', '--videos', '{videos}', '--out', 'file'], 1, '--out file is not writable'),
        (
            ['hmdb51', '--videos', '{videos}', '--out', 'out', '--few-shot-list', 'none.txt'],
            1,
            'annotation none.txt cannot be read',
        ),
        (['kinetics700', '--videos', '.', '--out', 'out'], 2, "invalid choice: 'kinetics700'"),
        (['hmdb51', '--videos', '.'], 2, 'the following arguments are required: --out'),
        (
            ['ucf101', '--videos', '.', '--out', 'o', '--label-order', 'xclip'],
            2,
            'is for hmdb51, not',
        ),
        (['hmdb51', '--videos', '.', '--out', 'o', '--reencode', '256'], 2, 'belong together'),
        (['hmdb51', '--videos', '.', '--out', 'o', '--reencode', '255'], 2, 'invalid choice: 255'),
        (
            ['hmdb51', '--videos', '.', '--out', 'o', '--workers', '0'],
            2,
            "'0' is not a whole number",
        ),
        (['hmdb51', '--videos', '.', '--out', 'o', '--seeds', '-1'], 2, 'argument'),
        (
            ['hmdb51', '--videos', '.', '--out', 'o', '--zeroshot-list', 'a'],
            2,
            'is for kinetics600',
        ),
        (
            ['ssv2', '--videos', '.', '--out', 'o', '--few-shot-list', 'a'],
            2,
            'is for hmdb51 and ucf',
        ),
        (
            ['ssv2', '--videos', '.', '--out', 'o', '--check', 'full', '--no-check'],
            2,
            'not allowed',
        ),
    ],
)
def test_mistakes(videos, tmp_path, monkeypatch, capsys, args, code, complaint):
    """In this process, for speed: the tool has no state."""
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'file').touch()
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, 'argv', ['prepare.py', *(a.format(videos=videos) for a in args)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOL), run_name='__main__')
    assert end.value.code == code
    answer = capsys.readouterr()
    assert complaint in answer.err
    if code == 1:
        assert len(answer.err.splitlines()) == 1
        assert answer.err.startswith('mmxclip: error: ')
    assert answer.out == ''
    assert sorted(os.listdir(work)) == ['file']


def test_help_imports_nothing_heavy():
    code = f"""
import runpy, sys
sys.argv = ['prepare.py', '-h']
try:
    runpy.run_path({str(TOOL)!r}, run_name='__main__')
except SystemExit as end:
    assert end.code == 0
assert not {{'torch', 'mmaction', 'mmxclip', 'cv2', 'rich'}} & set(sys.modules)
"""
    subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
