"""From frames to an H.264 file, by PyAV."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np

from mmxclip.errors import ConfigError

CODEC = 'libx264'
CODEC_OPTIONS = {
    'preset': 'veryfast',
    'crf': '18',
    # One thread, so that the bytes do not depend on the machine's cores; and no
    # look ahead, whose choice of frame types differs from call to call on
    # frames as small as these.
    'threads': '1',
    'x264-params': 'bframes=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:scenecut=0:weightp=0',
}
# Without it the file would hold the version of the library that wrote it.
CONTAINER_OPTIONS = {'fflags': '+bitexact'}


def require_pyav() -> ModuleType:
    """PyAV, with an encoder of H.264.

    Raises:
        ConfigError: when it is not installed, or was built without libx264.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            'MotionDataset writes its videos by PyAV, which is not installed; '
            'pip install "mmxclip[all]", or pip install av'
        ) from error
    if CODEC not in av.codecs_available:
        raise ConfigError(
            f'this PyAV {av.__version__} has no {CODEC}; MotionDataset writes H.264: take a wheel '
            'of PyAV from PyPI (pip install --force-reinstall --only-binary av av)'
        )
    return av


def write_video(path: Path, frames: np.ndarray, fps: int) -> None:
    """Write a video; the same frames give the same bytes, with the same release of PyAV.

    Args:
        path: of the ``.mp4``.
        frames: RGB ``(T, H, W, 3)``, uint8, with even height and width.
        fps: frames per second.

    Raises:
        OSError: when the system refuses; the file may then be there in part.
    """
    av = require_pyav()
    with av.open(str(path), 'w', format='mp4', options=CONTAINER_OPTIONS) as container:
        stream = container.add_stream(CODEC, rate=fps, options=CODEC_OPTIONS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = 'yuv420p'
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format='rgb24')
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
