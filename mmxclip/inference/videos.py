"""What can be given as a video, and how the pipeline is told of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from mmxclip.datasets.video_archive import split
from mmxclip.errors import ConfigError, DataError

Video: TypeAlias = 'str | os.PathLike[str] | np.ndarray | Tensor'
SCHEMES = ('http://', 'https://')


def is_one(videos: Any) -> bool:
    """Whether a single video was given, and not several."""
    return isinstance(videos, (str, os.PathLike)) or (
        isinstance(videos, (np.ndarray, Tensor)) and videos.ndim != 5
    )


def several(videos: Any) -> Iterable[Video]:
    """What was given as something to go through, one video after the other.

    Raises:
        ConfigError: it is neither a video nor a collection of videos.
    """
    if is_one(videos):
        return [videos]
    if isinstance(videos, (dict, bytes)) or not isinstance(videos, Iterable):
        raise ConfigError(
            f'videos={videos!r:.60} is of type {type(videos).__name__}; expected paths, or frames '
            '(T, H, W, 3), or a list of such'
        )
    return videos


def name_of(video: Video, index: int) -> str:
    """How a result calls a video, ``index`` being its position."""
    if isinstance(video, (str, os.PathLike)):
        return os.fspath(video)
    return f'<frames {index}>'


def is_address(video: Video) -> bool:
    """Whether a video is to be downloaded first."""
    return isinstance(video, str) and video.lower().startswith(SCHEMES)


def file_sample(path: str) -> dict[str, Any]:
    """What the pipeline begins with for a file.

    Raises:
        DataError: it is absent, empty, no file, or must not be read.
    """
    check_file(path)
    return {'filename': path, 'label': -1, 'start_index': 0, 'modality': 'RGB'}


def frames_sample(frames: np.ndarray | Tensor, name: str) -> dict[str, Any]:
    """What the pipeline begins with for pictures in memory.

    Raises:
        DataError: they are not RGB, ``(T, H, W, 3)`` and uint8.
    """
    array = frames.detach().cpu().numpy() if isinstance(frames, Tensor) else frames
    if not isinstance(array, np.ndarray):
        raise DataError(
            f'{name} is of type {type(array).__name__}; expected a path, or RGB frames '
            '(T, H, W, 3) of type uint8'
        )
    if array.ndim != 4 or array.shape[-1] != 3 or 0 in array.shape:
        raise DataError(
            f'{name} has the shape {tuple(array.shape)}; expected RGB frames (T, H, W, 3)'
        )
    if array.dtype != np.uint8:
        raise DataError(
            f'{name} is of type {array.dtype}; expected frames of type uint8: scale them to '
            '0-255 first'
        )
    return {
        'array': array,
        'total_frames': len(array),
        'filename': name,
        'label': -1,
        'start_index': 0,
        'modality': 'RGB',
    }


def check_file(path: str) -> None:
    """Refuse what no decoder needs to look at; members of archives are left to the decoder.

    Raises:
        DataError: see :func:`file_sample`.
    """
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise DataError(f'{path} is a folder; give the videos in it')
        if not stat.S_ISREG(mode):
            raise DataError(f'{path} is no regular file; copy what it gives into one')
        with open(path, 'rb') as file:
            if not file.read(1):
                raise DataError(f'{path} is empty; fetch or copy the video again')
    except (FileNotFoundError, NotADirectoryError):
        if split(path) is None:
            raise DataError(f'{path} does not exist; check the path') from None
    except (OSError, ValueError) as error:  # a path with a NUL is no value
        if isinstance(error, DataError):
            raise
        reason = getattr(error, 'strerror', None) or str(error)
        raise DataError(f'{path:.200} cannot be read ({reason}); check the path') from error
