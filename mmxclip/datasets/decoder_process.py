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
import os
import struct
import sys
from typing import Any, BinaryIO

LENGTH = struct.Struct('>I')


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


class Decoder:
    """Answers requests, holding one video at a time."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.reader: Any = None

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Reply and pixels; a fault of the video becomes a reply with ``error``."""
        step = request['op']
        try:
            if self.path != request['path']:
                self._open(request)
            if step == 'open':
                return self._facts(), b''
            pixels = self.reader.get_batch(request['indices']).asnumpy()
            self.path = self.reader = None  # open readers keep memory
            return {'shape': pixels.shape}, pixels.tobytes()
        except Exception as error:  # decord raises its own and plain RuntimeError alike
            self.path = self.reader = None
            return {'error': _last_words(error), 'step': step}, b''

    def _open(self, request: dict[str, Any]) -> None:
        import decord

        self.path = self.reader = None
        self.reader = decord.VideoReader(request['path'], num_threads=request['num_threads'])
        self.path = request['path']

    def _facts(self) -> dict[str, Any]:
        return {'total_frames': len(self.reader), 'avg_fps': float(self.reader.get_avg_fps())}


def _last_words(error: Exception) -> str:
    """The part of decord's message after its source locations."""
    return str(error).strip().splitlines()[0].rsplit('] ', 1)[-1].rsplit(': ', 1)[-1][:200]


def main() -> None:
    """Serve until standard input ends, which it does when the parent dies."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), 'wb')
    # FFmpeg and decord write to both streams; the pipe must carry replies alone
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.dup2(silence, sys.stderr.fileno())
    decoder = Decoder()
    while (request := read_message(sys.stdin.buffer)) is not None:
        reply, pixels = decoder.answer(request)
        replies.write(pack_message(reply))
        replies.write(pixels)
        replies.flush()


if __name__ == '__main__':
    main()
