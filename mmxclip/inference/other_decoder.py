"""A second decoder, for kinds of videos that decord does not read.

decord's own FFmpeg is of 2020: no AV1, no length of GIF or Theora, and it
fails on videos that a phone has marked as turned. PyAV, which is optional,
brings an FFmpeg of today. It is asked only where decord has named one of these
reasons, never about a file that decord calls damaged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from mmxclip.errors import DataError

KINDS = re.compile(
    'Failed to measure duration|cannot find video stream|The size must exactly match'
)
MIN_SHARE = 0.95
"""Of the pictures that the file says it has; fewer mean that a part of it is lost."""


def may_help(error: DataError) -> bool:
    """Whether decord's reason is the kind of the video, and PyAV is there."""
    return KINDS.search(str(error)) is not None and find_spec('av') is not None


def advice(error: DataError) -> str:
    """What to add to decord's reason where PyAV would help, and is not there."""
    if KINDS.search(str(error)) is None or find_spec('av') is not None:
        return ''
    return '; PyAV reads more kinds of videos: pip install "mmxclip[all]"'


class OpenByPyAV:
    """Count the pictures of a video, which shows whether it is whole.

    Required Keys: ``filename``. Added Keys: ``total_frames``.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Decode the whole video, keeping nothing of it.

        Raises:
            DataError: it cannot be read, or only in part.
        """
        results['total_frames'] = sum(1 for _ in pictures(results['filename']))
        return results


class DecodeByPyAV:
    """Decode the sampled pictures.

    Required Keys: ``filename``, ``frame_inds``. Added Keys: ``imgs``, RGB uint8
    ``(H, W, 3)``, upright; ``original_shape`` and ``img_shape``.
    """

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        """Read the video up to the last picture that is wanted."""
        indices = [int(index) for index in results['frame_inds'].reshape(-1)]
        wanted, found = set(indices), {}
        for index, picture in enumerate(pictures(results['filename'])):
            if index in wanted:
                found[index] = upright(picture)
            if len(found) == len(wanted):
                break
        results['imgs'] = [found[index] for index in indices]
        results['original_shape'] = results['img_shape'] = results['imgs'][0].shape[:2]
        return results


def pictures(path: str) -> Iterator[Any]:
    """Frames of PyAV.

    Raises:
        DataError: the file holds no video, or pictures are damaged or lost.
    """
    import av

    count = 0
    try:
        with av.open(path) as container:
            if not container.streams.video:
                raise DataError(f'{path} holds no video; expected pictures beside the sound')
            stream = container.streams.video[0]
            stream.codec_context.options = {'err_detect': 'explode'}
            stream.thread_type = 'AUTO'
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise DataError(f'{path} is damaged (picture {count}); re-encode it')
                yield frame
                count += 1
            stated = stream.frames
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, 'strerror', None) or str(error)
        raise DataError(f'{path} is damaged (picture {count}: {reason}); re-encode it') from error
    if count == 0 or count < MIN_SHARE * stated:
        raise DataError(f'{path} is damaged ({count} of {stated} pictures); re-encode it')


def upright(picture: Any) -> np.ndarray:
    """RGB pixels ``(H, W, 3)``, turned as the file says."""
    pixels = picture.to_ndarray(format='rgb24')
    return np.ascontiguousarray(np.rot90(pixels, round(picture.rotation / 90) % 4))
