"""Small video files, whole and broken, made where they are needed."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def frame_pixels(index: int, height: int, width: int) -> np.ndarray:
    """A picture that tells its index: grey level in the middle, noise around; RGB uint8."""
    rng = np.random.default_rng(index)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[height // 4 : -height // 4, width // 4 : -width // 4] = (index * 8) % 256
    return pixels


def write_video(
    path: Path,
    num_frames: int = 24,
    size: tuple[int, int] = (64, 48),
    gop: int = 12,
    faststart: bool = False,
    codec: str = 'libx264',
) -> Path:
    """Write ``num_frames`` frames of ``size`` (width, height) at 12 per second."""
    options = {'movflags': '+faststart'} if faststart else {}
    with av.open(str(path), 'w', options=options) as container:
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p' if all(side % 2 == 0 for side in size) else 'yuv444p'
        stream.gop_size = gop
        for index in range(num_frames):
            frame = av.VideoFrame.from_ndarray(frame_pixels(index, size[1], size[0]))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def truncated(path: Path, share: float = 0.5) -> Path:
    """A video whose index is whole and whose pictures end early."""
    write_video(path, faststart=True)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def damaged(path: Path, begin: float = 0.5, end: float = 0.6) -> Path:
    """A video with a stretch of its pictures overwritten."""
    write_video(path, faststart=True)
    data = bytearray(path.read_bytes())
    first, last = (int(len(data) * share) for share in (begin, end))
    data[first:last] = bytes(np.random.default_rng(0).integers(0, 256, last - first, np.uint8))
    path.write_bytes(bytes(data))
    return path


def smeared(path: Path) -> Path:
    """A video with one picture of which a part is destroyed; decord gives it out all the same."""
    return damaged(path, 0.5, 0.51)


def without_first_frames(path: Path, number: int = 3) -> Path:
    """A video that begins within a group of pictures, as copied clips do.

    Nothing can be decoded up to the next keyframe. decord moves all later
    pictures forward and repeats the last one at the end.
    """
    whole = write_video(path.with_stem('whole'))
    with av.open(str(whole)) as source, av.open(str(path), 'w') as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for index, packet in enumerate(source.demux(stream)):
            if packet.dts is not None and index >= number:
                packet.stream = copy
                target.mux(packet)
    return path


def mutated(source: Path, path: Path, seed: int) -> Path:
    """A copy of ``source`` that is cut, has a stretch of zeros, or some bits flipped."""
    rng = np.random.default_rng(seed)
    data = bytearray(source.read_bytes())
    kind = ('cut', 'zeros', 'one bit', 'many bits')[seed % 4]
    if kind == 'cut':
        del data[int(rng.integers(len(data))) :]
    elif kind == 'zeros':
        begin, length = int(rng.integers(len(data))), int(rng.integers(1, 2000))
        data[begin : begin + length] = bytes(len(data[begin : begin + length]))
    else:
        for _ in range(1 if kind == 'one bit' else 30):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    return path
