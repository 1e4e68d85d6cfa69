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
