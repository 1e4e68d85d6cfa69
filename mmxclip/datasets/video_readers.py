"""Readers of one video: isolated in a child process, in this process, or blank."""

from __future__ import annotations

import atexit
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mmxclip.datasets import decoder_process
from mmxclip.datasets.decoder_process import LENGTH, Decoder, pack_message
from mmxclip.errors import DataError

MAX_CHUNK = 1 << 20


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

    def request(self, message: dict[str, Any], path: str) -> tuple[dict[str, Any], bytearray]:
        """Send a request and await its reply.

        Raises:
            DataError: when the video cannot be read, the child crashed, or no
                reply came in time; it names ``path``. The next request starts
                a new child.
        """
        deadline = time.monotonic() + self.timeout
        process = self._started()
        assert process.stdin is not None
        try:
            process.stdin.write(pack_message(message))
            process.stdin.flush()
            reply = self._read_reply(process, deadline)
            pixels = self._read(process, math.prod(reply.get('shape', (0,))), deadline)
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
        if 'error' in reply:
            raise DataError(_broken(path, reply['step'], reply['error']))
        return reply, pixels

    def stop(self) -> None:
        """End the child, whatever it is doing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _started(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            # -P: do not put this package's folder in front of other modules
            command = [sys.executable, '-P', str(Path(decoder_process.__file__))]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=-1
            )
        return self._process

    def _read_reply(self, process: subprocess.Popen, deadline: float) -> dict[str, Any]:
        (length,) = LENGTH.unpack(self._read(process, LENGTH.size, deadline))
        return json.loads(bytes(self._read(process, length, deadline)))

    @staticmethod
    def _read(process: subprocess.Popen, size: int, deadline: float) -> bytearray:
        """Exactly ``size`` bytes, by the deadline."""
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([descriptor], [], [], remaining)[0]:
                raise TimeoutError
            count = os.readv(descriptor, [view[done : done + MAX_CHUNK]])
            if count == 0:
                raise EOFError
            done += count
        return data


_children: dict[int, DecoderChild] = {}
"""One child per process; a forked loader worker must not share its parent's pipe."""


def _child(timeout: float) -> DecoderChild:
    pid = os.getpid()
    if pid not in _children:
        _children.clear()  # the parent's child, inherited by fork, is the parent's to stop
        _children[pid] = DecoderChild(timeout)
    child = _children[pid]
    child.timeout = timeout
    return child


@atexit.register
def _stop_child() -> None:
    child = _children.pop(os.getpid(), None)
    if child is not None:
        child.stop()


class IsolatedReader:
    """Reads a video through this process's decoder child.

    Raises:
        DataError: when the video cannot be opened.
    """

    def __init__(self, path: str, timeout: float, num_threads: int = 1) -> None:
        self._request = {'path': str(path), 'num_threads': num_threads}
        self._timeout = timeout
        facts, _ = _child(timeout).request({'op': 'open', **self._request}, path)
        self.total_frames: int = facts['total_frames']
        self.avg_fps: float = facts['avg_fps']

    def decode(self, indices: Sequence[int]) -> np.ndarray:
        """Pictures ``(len(indices), H, W, 3)``, RGB uint8."""
        request = {'op': 'decode', 'indices': [int(i) for i in indices], **self._request}
        reply, pixels = _child(self._timeout).request(request, self._request['path'])
        return np.frombuffer(pixels, np.uint8).reshape(reply['shape'])


class LocalReader:
    """Reads a video in this process: no time limit, and a crash ends the process.

    Raises:
        DataError: when the video cannot be opened.
    """

    def __init__(self, path: str, num_threads: int = 1) -> None:
        self._decoder = Decoder()
        self._request = {'path': str(path), 'num_threads': num_threads}
        facts, _ = self._ask('open')
        self.total_frames: int = facts['total_frames']
        self.avg_fps: float = facts['avg_fps']

    def decode(self, indices: Sequence[int]) -> np.ndarray:
        """Pictures ``(len(indices), H, W, 3)``, RGB uint8."""
        reply, pixels = self._ask('decode', indices=[int(i) for i in indices])
        return np.frombuffer(bytearray(pixels), np.uint8).reshape(reply['shape'])

    def _ask(self, step: str, **arguments: Any) -> tuple[dict[str, Any], bytes]:
        reply, pixels = self._decoder.answer({'op': step, **self._request, **arguments})
        if 'error' in reply:
            raise DataError(_broken(self._request['path'], step, reply['error']))
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


def _broken(path: str, step: str, words: str) -> str:
    if not os.path.exists(path):
        return f'{path} does not exist; check data_prefix and the annotation file'
    what = 'cannot be opened' if step == 'open' else 'breaks while being decoded'
    return f'{path} {what} ({words}); re-encode the file or leave it out of the annotation file'


def _cause_of_death(process: subprocess.Popen) -> str:
    code = process.returncode
    if code is not None and code < 0:
        return f'signal {signal.Signals(-code).name}'
    return f'exit code {code}'
