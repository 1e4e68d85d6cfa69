"""Generated folders are whole or absent: after a kill, with several writers, on a full disk."""

import json
import multiprocessing
import os
import signal
import time

import pytest

from mmxclip.datasets.motion.storing import MANIFEST, ensure, is_whole
from mmxclip.errors import DataError

PARAMETERS = {'seed': 3}


def write_two(folder):
    (folder / 'a').write_text('one')
    (folder / 'b').write_text('three')


def never(folder):
    raise AssertionError('written again')


def test_it_is_written_once(tmp_path):
    folder = tmp_path / 'deep' / 'data'
    assert ensure(folder, write_two, PARAMETERS) == folder
    assert is_whole(folder)
    assert json.loads((folder / MANIFEST).read_text())['parameters'] == PARAMETERS
    ensure(folder, never, PARAMETERS)


@pytest.mark.parametrize(
    'damage',
    [
        lambda folder: (folder / 'a').unlink(),
        lambda folder: (folder / 'b').write_text('thr'),
        lambda folder: (folder / MANIFEST).unlink(),
        lambda folder: (folder / MANIFEST).write_text('{"bytes": {"a"'),
        lambda folder: (folder / MANIFEST).write_text('[]'),
    ],
    ids=['file gone', 'file cut', 'no manifest', 'manifest cut', 'foreign manifest'],
)
def test_a_damaged_folder_is_written_anew(tmp_path, damage):
    folder = ensure(tmp_path / 'data', write_two, PARAMETERS)
    damage(folder)
    assert not is_whole(folder)
    ensure(folder, write_two, PARAMETERS)
    assert (folder / 'b').read_text() == 'three'
    assert is_whole(folder)


def test_nothing_is_left_of_a_failure(tmp_path):
    def full_disk(folder):
        (folder / 'a').write_text('one')
        raise OSError(28, 'No space left on device')

    with pytest.raises(DataError, match=r'No space left on device.*data_root'):
        ensure(tmp_path / 'data', full_disk, PARAMETERS)
    assert [path.name for path in tmp_path.iterdir()] == ['.data.lock']


def test_an_unwritable_place_is_named(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match=r'file/data cannot be written \(.*\); give a data_root'):
        ensure(tmp_path / 'file' / 'data', write_two, PARAMETERS)


def _write_and_hang(folder, begun):
    def write(inside):
        (inside / 'a').write_text('half')
        begun.set()
        time.sleep(60)

    ensure(folder, write, PARAMETERS)


def test_a_killed_writer_leaves_nothing_that_is_taken_for_whole(tmp_path):
    folder = tmp_path / 'data'
    context = multiprocessing.get_context('fork')
    begun = context.Event()
    process = context.Process(target=_write_and_hang, args=(folder, begun))
    process.start()
    assert begun.wait(10)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not folder.exists()
    ensure(folder, write_two, PARAMETERS)  # the lock went with the process
    assert (folder / 'a').read_text() == 'one'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.data.lock', 'data']


def _write_slowly(folder, counter):
    def write(inside):
        with counter.get_lock():
            counter.value += 1
        time.sleep(0.2)
        write_two(inside)

    ensure(folder, write, PARAMETERS)
    assert is_whole(folder)


def test_of_several_processes_one_writes_and_the_others_wait(tmp_path):
    context = multiprocessing.get_context('fork')
    counter = context.Value('i', 0)
    processes = [
        context.Process(target=_write_slowly, args=(tmp_path / 'data', counter)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0] * 4
    assert counter.value == 1
