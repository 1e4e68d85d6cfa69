"""Which videos are meant by files, folders, patterns and addresses."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable

from mmxclip.errors import DataError
from mmxclip.inference.results import VideoFailure
from mmxclip.inference.videos import is_address

ENDINGS = (
    *('.3gp', '.avi', '.flv', '.gif', '.m2ts', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg'),
    *('.mts', '.ogv', '.ts', '.vob', '.webm', '.wmv'),
)
"""Of the files that are taken from folders; files that are named are taken whatever they end in."""


def gather(given: Iterable[str]) -> tuple[list[str], list[VideoFailure]]:
    """Videos in the order in which they were named, each once; and what stands for none.

    Args:
        given: files, ``http(s)://`` addresses, folders (searched to their depths,
            in the order of names), and patterns with ``*``, ``?``, ``[…]`` and ``**``.
    """
    videos: dict[str, None] = {}
    failures = []
    for item in given:
        try:
            videos.update(dict.fromkeys(_expand(item)))
        except DataError as error:
            failures.append(VideoFailure(item, error))
    return list(videos), failures


def _expand(item: str) -> list[str]:
    if is_address(item) or os.path.isfile(item):
        return [item]
    if os.path.isdir(item):
        return _in_folder(item)
    if glob.has_magic(item) and not os.path.lexists(item):
        found = sorted(path for path in glob.glob(item, recursive=True) if os.path.isfile(path))
        if not found:
            raise DataError(f'{item} matches no file; check the pattern')
        return found
    return [item]  # reading it says what is wrong


def _in_folder(folder: str) -> list[str]:
    closed: list[OSError] = []
    found = [
        os.path.join(root, name)
        for root, folders, names in os.walk(folder, onerror=closed.append)
        for name in _sorted(folders, names)
        if name.lower().endswith(ENDINGS) and not name.startswith('.')
    ]
    if closed:
        raise DataError(
            f'{closed[0].filename} cannot be searched ({closed[0].strerror}); check its permissions'
        )
    if not found:
        raise DataError(
            f'{folder} holds no videos; files with other endings than {", ".join(ENDINGS)} must be '
            'named'
        )
    return found


def _sorted(folders: list[str], names: list[str]) -> list[str]:
    """Names in order; the folders are put in order too, in place, as ``os.walk`` heeds it."""
    folders[:] = sorted(name for name in folders if not name.startswith('.'))
    return sorted(names)
