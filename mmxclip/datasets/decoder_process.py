"""A child process that decodes videos, so that a decoder's faults end there.

decord aborts on some damaged files, waits for ever on others and keeps memory
after seeks; none of it can be caught within the process. This file is run by
its path, not imported: it needs decord and NumPy only, and starts in a fraction
of a second.

Requests and replies on standard input and output are a length (4 bytes, big
endian), a JSON object of that length and, after a reply to ``decode``, the
pixels as raw bytes. Nothing is unpickled on either side.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import struct
import sys
import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO

LENGTH = struct.Struct('>I')
MAX_SUBSTITUTED = 0.05
"""Share of a video's frames that may be copies of a neighbour. decord puts them where
the decoder gave no picture, which happens at the ends of sound files too."""

# What decord says itself, with names of files in it, is not looked at.
FFMPEG = re.compile(r'\[[^]@]+ @ 0x[0-9a-f]+\] (.*)')
DAMAGE = re.compile(
    # H.264 and HEVC
    r'error while decoding|decode_slice_header error|unavailable for requested intra|'
    r'[Ii]nvalid NAL unit|splitting the input into NAL|Reference \d+ >= \d+|slice too large|'
    r'zero coeffs at|cabac decode of|mb_type \d+ in|overread|'
    # MPEG-4 and its kin
    r'damaged|Error at MB|slice end not reached|'
    # any of them; and the file around it
    r'concealing|Invalid data found|Read error|ended prematurely|partial file|(?<!probably )corrupt'
)
"""What FFmpeg says when it invents the pixels that it cannot decode, or misses a part of
the file. Left out is what it says about oddities that do no harm."""


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """Next message; None at the end of the stream."""
    header = stream.read(LENGTH.size)
    if len(header) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(header)
    return json.loads(stream.read(length))


def pack_message(message: dict[str, Any]) -> bytes:
    """Bytes of a message."""
    body = json.dumps(message).encode()
    return LENGTH.pack(len(body)) + body


class DamageError(Exception):
    """Pictures that decord would have given out, and that are not the video's."""


class Decoder:
    """Answers requests, holding one video at a time.

    Args:
        spoken: what FFmpeg printed since the last call; the default hears nothing.
    """

    def __init__(self, spoken: Callable[[], str] = lambda: '') -> None:
        self.spoken = spoken
        self.path: str | None = None
        self.reader: Any = None
        self.whole = False

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Reply and pixels; a fault of the video becomes a reply with ``error``.

        Args:
            request: ``op``, ``'open'`` or ``'decode'``; ``path``;
                ``num_threads``; ``check_frames``: up to so many, a video is
                decoded whole when it is opened; for ``'decode'`` also
                ``indices``.
        """
        step = request['op']
        try:
            if self.path != request['path']:
                self.open(request)
            if step == 'open':
                return self.facts(), b''
            pixels = self.reader.get_batch(request['indices']).asnumpy()
            if request['check_frames'] and not self.whole:
                self.listen()
            self.close()  # open readers keep memory
            return {'shape': pixels.shape}, pixels.tobytes()
        except Exception as error:  # decord raises its own and plain RuntimeError alike
            self.close()
            damaged = step == 'decode' or isinstance(error, DamageError)
            return {'error': _last_words(error), 'damaged': damaged}, b''

    def open(self, request: dict[str, Any]) -> None:
        """Open a video and, where it is asked for and short enough, read it through."""
        import decord

        self.close()
        self.spoken()
        path, threads = request['path'], request['num_threads']
        self.reader = decord.VideoReader(path, num_threads=threads)
        total = len(self.reader)
        if request['check_frames']:
            self.listen()
        if 0 < total <= request['check_frames']:
            tolerance = max(1, int(MAX_SUBSTITUTED * total))  # a whole number is one of frames
            self.read_through(decord.VideoReader(path, num_threads=threads, fault_tol=tolerance))
            self.whole = True
        self.path = path

    def read_through(self, reader: Any) -> None:
        """Decode every frame.

        decord decodes ahead, and raises or not for a damaged place beyond the
        frames asked for according to the timing of its threads. Only at the end
        of the file the verdict is the same each time.
        """
        for index in range(len(reader)):
            try:
                reader.next()
            except Exception as error:
                if 'duplicate frames' in str(error):
                    raise DamageError(
                        f'more than {MAX_SUBSTITUTED:.0%} of its frames give no picture'
                    ) from error
                # the threads that read ahead raise before the damage is reached
                raise DamageError(
                    f'at or after frame {index} of {len(reader)}: '
                    f'{self.complaint() or _last_words(error)}'
                ) from error
        self.listen()

    def complaint(self) -> str | None:
        """The first thing that FFmpeg said and that means damage."""
        for line in self.spoken().splitlines():
            said = FFMPEG.match(line)
            if said and DAMAGE.search(said[1]):
                return f'FFmpeg: {said[1]}'
        return None

    def listen(self) -> None:
        """Refuse the video if FFmpeg complained about it."""
        complaint = self.complaint()
        if complaint is not None:
            raise DamageError(complaint)

    def close(self) -> None:
        """Let go of the video."""
        self.path = self.reader = None
        self.whole = False

    def facts(self) -> dict[str, Any]:
        """What is known of an open video."""
        return {'total_frames': len(self.reader), 'avg_fps': float(self.reader.get_avg_fps())}


def _last_words(error: Exception) -> str:
    """A message without decord's source locations, on one line."""
    if isinstance(error, DamageError):
        return str(error)[:200]
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if text.startswith('Error reading '):
        return 'FFmpeg finds no video in it'
    text = text.rsplit('] ', 1)[-1]
    return re.sub(r'^\S+\.(cc|h):\d+: ', '', text)[:200]


class Ear:
    """Takes the place of standard error, and tells what was written there."""

    def __init__(self) -> None:
        if hasattr(os, 'memfd_create'):
            self.descriptor = os.memfd_create('stderr')
        else:  # macOS
            self.descriptor = os.dup(tempfile.TemporaryFile().fileno())  # noqa: SIM115
        os.dup2(self.descriptor, sys.stderr.fileno())

    def __call__(self) -> str:
        """What was written since the last call."""
        size = os.lseek(self.descriptor, 0, os.SEEK_CUR)
        text = os.pread(self.descriptor, size, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        os.ftruncate(self.descriptor, 0)
        return text.decode('utf-8', 'replace')


def main() -> None:
    """Serve until standard input ends, which it does when the parent dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    replies = os.fdopen(os.dup(sys.stdout.fileno()), 'wb')
    # FFmpeg and decord write to both streams; the pipe must carry replies alone
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def reply_with(reply: dict[str, Any], pixels: bytes = b'') -> None:
        replies.write(pack_message(reply))
        replies.write(pixels)
        replies.flush()

    try:
        import decord  # noqa: F401
    except Exception as error:
        reply_with({'error': f'decord cannot be imported: {_last_words(error)}'})
        return
    decoder = Decoder(Ear())
    reply_with({'ready': True})
    while (request := read_message(sys.stdin.buffer)) is not None:
        # The parent may be gone when a decoder hangs, and nobody left to stop it:
        # the system ends this process then, whatever it is doing.
        signal.alarm(math.ceil(request['limit']) + 5)
        reply_with(*decoder.answer(request))
        signal.alarm(0)
    os._exit(0)  # an orderly end would wait for decord's threads


if __name__ == '__main__':
    main()
