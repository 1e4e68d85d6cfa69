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
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

LENGTH = struct.Struct('>I')
CHUNK = 1 << 20  # bytes read at once
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
        self.video: tuple[str, dict[str, Any] | None] | None = None
        self.copy: BinaryIO | None = None
        self.reader: Any = None
        self.whole = False

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Reply and pixels; a fault of the video becomes a reply with ``error``.

        Args:
            request: ``op``, ``'open'`` or ``'decode'``; ``path``; for a member
                of an archive ``source``, see :func:`video_archive.locate`;
                ``num_threads``; ``check_frames``: up to so many, a video is
                decoded whole when it is opened; for ``'decode'`` also
                ``indices``.
        """
        step = request['op']
        try:
            if self.video != (request['path'], request.get('source')):
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
        source, threads = request.get('source'), request['num_threads']
        path = request['path'] if source is None else self.place(source)
        self.reader = decord.VideoReader(path, num_threads=threads)
        total = len(self.reader)
        if request['check_frames']:
            self.listen()
        if 0 < total <= request['check_frames']:
            tolerance = max(1, int(MAX_SUBSTITUTED * total))  # a whole number is one of frames
            self.read_through(decord.VideoReader(path, num_threads=threads, fault_tol=tolerance))
            self.whole = True
        self.video = request['path'], source

    def place(self, source: dict[str, Any]) -> str:
        """What FFmpeg opens for a member of an archive: the bytes in it, or a copy of them."""
        if source['inflated'] is None:
            begin, end = source['offset'], source['offset'] + source['size']
            return f'subfile,,start,{begin},end,{end},,:{source["archive"]}'
        self.copy = inflated(source)
        return f'/dev/fd/{self.copy.fileno()}'

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
        self.video = self.reader = None
        self.whole = False
        if self.copy is not None:
            self.copy.close()
            self.copy = None

    def facts(self) -> dict[str, Any]:
        """What is known of an open video."""
        return {'total_frames': len(self.reader), 'avg_fps': float(self.reader.get_avg_fps())}


def inflated(source: dict[str, Any]) -> BinaryIO:
    """A deflated member of an archive as an open file without a name.

    Raises:
        DamageError: when it does not inflate to what the archive says.
    """
    copy = nameless_file()
    try:
        with open(source['archive'], 'rb') as archive:
            archive.seek(source['offset'])
            inflate(archive, source['size'], copy, source['inflated'])
        if copy.tell() != source['inflated']:
            raise DamageError(f'it does not inflate to {source["inflated"]} bytes')
        copy.flush()
    except BaseException as error:
        copy.close()
        if isinstance(error, zlib.error):
            raise DamageError(f'it does not inflate: {error}') from error
        raise
    return copy


def inflate(archive: BinaryIO, size: int, copy: BinaryIO, limit: int) -> None:
    """Inflate the next ``size`` bytes into ``copy``, up to little more than ``limit``."""
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    while size and (data := archive.read(min(size, CHUNK))):
        size -= len(data)
        while data and copy.tell() <= limit:
            copy.write(inflating.decompress(data, CHUNK))  # a little may hold very much
            data = inflating.unconsumed_tail
    if copy.tell() <= limit:
        copy.write(inflating.flush())


def nameless_file() -> BinaryIO:
    """A file that is gone when it is closed; in memory where the system can."""
    if hasattr(os, 'memfd_create'):
        return os.fdopen(os.memfd_create('video'), 'w+b')
    return tempfile.TemporaryFile()  # macOS


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


def follow(folder: str, decoder: Decoder) -> None:
    """Go where the parent is now: its relative paths are meant from there."""
    try:
        if folder and folder != os.getcwd():
            decoder.close()  # a video of the same name may lie in either folder
            os.chdir(folder)
    except OSError:  # a folder that was removed; absolute paths do without
        decoder.close()


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
        follow(request['folder'], decoder)
        reply_with(*decoder.answer(request))
        signal.alarm(0)
    os._exit(0)  # an orderly end would wait for decord's threads


if __name__ == '__main__':
    main()
