"""Readers of one video: isolated in a child process, in this process, or blank."""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmxclip.datasets import decoder_process
from mmxclip.datasets.decoder_process import LENGTH, Decoder, pack_message
from mmxclip.datasets.video_archive import locate
from mmxclip.errors import ConfigError, DataError

MAX_CHUNK = 1 << 20  # bytes read at once
MAX_SERVED = 2000  # requests after which a child is replaced
START_LIMIT = 120.0  # seconds for a child to start, on a busy machine too


class VideoReader(Protocol):
    """What the pipeline asks of a video."""

    total_frames: int
    avg_fps: float

    def decode(self, indices: Sequence[int]) -> np.ndarray:
        """Pictures ``(len(indices), H, W, 3)``, RGB uint8."""
        ...


class DecoderChild:
    """The parent's end of a decoder process.

    Args:
        timeout: seconds that a request may take before the child is killed.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._process: subprocess.Popen | None = None
        self._served = 0
        self._lock = threading.Lock()

    def request(self, message: dict[str, Any], path: str) -> tuple[dict[str, Any], bytearray]:
        """Send a request and await its reply.

        Raises:
            DataError: when the video cannot be read, the child crashed, or no
                reply came in time; it names ``path``. The next request starts
                a new child.
            ConfigError: when no child can be started.
        """
        with self._lock:
            # the child began in the folder of its first request; this one may be elsewhere
            own = {'limit': self.timeout, 'folder': _folder()}
            reply, pixels = self._request(message | own, path)
        if 'error' in reply:
            raise DataError(_broken(message, reply))
        return reply, pixels

    def _request(self, message: dict[str, Any], path: str) -> tuple[dict[str, Any], bytearray]:
        process = self._started()
        deadline = time.monotonic() + self.timeout
        assert process.stdin is not None
        try:
            process.stdin.write(pack_message(message))
            process.stdin.flush()
            reply = _read_reply(process, deadline)
            return reply, _read(process, math.prod(reply.get('shape', (0,))), deadline)
        except TimeoutError:
            self.stop()
            raise DataError(
                f'{path}: the decoder did not answer within {self.timeout:g} s and was stopped; '
                're-encode the file or leave it out, or raise timeout for very long videos'
            ) from None
        except (BrokenPipeError, EOFError):
            self.stop()
            raise DataError(
                f'{path}: the decoder crashed ({_cause_of_death(process)}); re-encode the file or '
                'leave it out'
            ) from None
        except BaseException:  # an interrupt in mid-reply would leave the pipe out of step
            self.stop()
            raise

    def stop(self) -> None:
        """End the child, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # of what was not sent yet
                        pipe.close()
            self._process = None

    def _started(self) -> subprocess.Popen:
        self._served += 1
        if self._served > MAX_SERVED:  # decord's memory grows with the seeks it has made
            self.stop()
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._process = _start_child()
            self._served = 1
        return self._process


def _start_child() -> subprocess.Popen:
    """A child that is ready for requests."""
    # -P: do not put this package's folder in front of other modules
    command = [sys.executable, '-P', str(Path(decoder_process.__file__))]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        reply = _read_reply(process, time.monotonic() + START_LIMIT)
    except (TimeoutError, EOFError):
        process.kill()
        process.wait()
        reply = {'error': f'it ended with {_cause_of_death(process)}'}
    if 'error' in reply:
        raise ConfigError(
            f'the process that decodes videos does not start: {reply["error"]}; mend the '
            'installation of decord, or set isolate=False to decode without it'
        )
    return process


def _read_reply(process: subprocess.Popen, deadline: float) -> dict[str, Any]:
    (length,) = LENGTH.unpack(_read(process, LENGTH.size, deadline))
    return json.loads(bytes(_read(process, length, deadline)))


def _read(process: subprocess.Popen, size: int, deadline: float) -> bytearray:
    """Exactly ``size`` bytes, by the deadline."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    # not select(), which fails in a process with many open files, as loader workers are
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not poll.poll(math.ceil(remaining * 1000)):
            raise TimeoutError
        count = os.readv(descriptor, [view[done : done + MAX_CHUNK]])
        if count == 0:
            raise EOFError
        done += count
    return data


_children: dict[int, DecoderChild] = {}
"""One child per thread, by the system's number of it, which on Linux is that of the process for
the main thread. A forked loader worker must not share its parent's pipes."""
_owner = os.getpid()


def _child(timeout: float) -> DecoderChild:
    global _owner
    if _owner != os.getpid():
        _children.clear()  # inherited by fork, they are the parent's to stop
        _owner = os.getpid()
    child = _children.setdefault(threading.get_native_id(), DecoderChild(timeout))
    child.timeout = timeout
    return child


@atexit.register
def _stop_child() -> None:
    stop_children_of(list(_children))


def stop_children_of(threads: Iterable[int]) -> None:
    """End the decoders of threads that will not ask again, by ``threading.get_native_id``."""
    for thread in threads:
        child = _children.pop(thread, None) if _owner == os.getpid() else None
        if child is not None:
            child.stop()


class IsolatedReader:
    """Reads a video through this process's decoder child.

    Args:
        path: of the video, which may lie in an archive.
        timeout: seconds for opening, and for decoding.
        num_threads: of the decoder.
        check_frames: up to so many frames, the whole video is decoded when it
            is opened, to find damage anywhere in it.

    Raises:
        DataError: when the video cannot be opened or is damaged.
    """

    def __init__(
        self, path: str, timeout: float, num_threads: int = 1, check_frames: int = 0
    ) -> None:
        self._path = str(path)
        self._common = {
            'path': self._path,
            'source': locate(self._path),
            'num_threads': num_threads,
            'check_frames': check_frames,
        }
        self._timeout = timeout
        facts, _ = _child(timeout).request({'op': 'open', **self._common}, self._path)
        self.total_frames: int = facts['total_frames']
        self.avg_fps: float = facts['avg_fps']

    def decode(self, indices: Sequence[int]) -> np.ndarray:
        """Pictures ``(len(indices), H, W, 3)``, RGB uint8."""
        request = {'op': 'decode', 'indices': [int(i) for i in indices], **self._common}
        reply, pixels = _child(self._timeout).request(request, self._path)
        return np.frombuffer(pixels, np.uint8).reshape(reply['shape'])


class LocalReader:
    """Reads a video in this process: no time limit, and a crash ends the process.

    What FFmpeg prints goes to this process's standard error and is not heeded.

    Args:
        path: of the video, which may lie in an archive.
        num_threads: of the decoder.
        check_frames: as :class:`IsolatedReader` has it.

    Raises:
        DataError: when the video cannot be opened or is damaged.
    """

    def __init__(self, path: str, num_threads: int = 1, check_frames: int = 0) -> None:
        self._decoder = Decoder()
        self._path = str(path)
        self._common = {
            'path': self._path,
            'source': locate(self._path),
            'num_threads': num_threads,
            'check_frames': check_frames,
        }
        facts, _ = self._ask('open')
        self.total_frames: int = facts['total_frames']
        self.avg_fps: float = facts['avg_fps']

    def decode(self, indices: Sequence[int]) -> np.ndarray:
        """Pictures ``(len(indices), H, W, 3)``, RGB uint8."""
        reply, pixels = self._ask('decode', indices=[int(i) for i in indices])
        return np.frombuffer(bytearray(pixels), np.uint8).reshape(reply['shape'])

    def _ask(self, step: str, **arguments: Any) -> tuple[dict[str, Any], bytes]:
        reply, pixels = self._decoder.answer({'op': step, **self._common, **arguments})
        if 'error' in reply:
            raise DataError(_broken(self._common, reply))
        return reply, pixels


class BlankReader:
    """One black picture, in the place of a video that cannot be read."""

    total_frames = 1
    avg_fps = 1.0

    def __init__(self, height: int = 240, width: int = 320) -> None:
        self.size = height, width

    def decode(self, indices: Sequence[int]) -> np.ndarray:
        """Black pictures ``(len(indices), H, W, 3)``."""
        return np.zeros((len(indices), *self.size, 3), np.uint8)


def _broken(request: dict[str, Any], reply: dict[str, Any]) -> str:
    path, source = request['path'], request.get('source')
    file = path if source is None else source['archive']
    if not os.path.exists(file):
        return f'{file} does not exist; check data_prefix and the annotation file'
    what = 'is damaged' if reply['damaged'] else 'cannot be opened'
    return (
        f'{path} {what} ({reply["error"]}); re-encode the file or leave it out of the '
        'annotation file'
    )


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed; absolute paths do without
        return ''


def _cause_of_death(process: subprocess.Popen) -> str:
    code = process.returncode
    if code is not None and code < 0:
        return f'signal {signal.Signals(-code).name}'
    return f'exit code {code}'
