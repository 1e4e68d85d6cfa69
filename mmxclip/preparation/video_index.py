"""Videos of a folder by the names of their files."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mmxclip.errors import DataError
from mmxclip.preparation.names import plain

ENDINGS = frozenset(
    {'.mp4', '.avi', '.webm', '.mkv', '.mov', '.m4v', '.flv', '.mpg', '.mpeg', '.wmv', '.3gp'}
)


class VideoIndex:
    """All videos below a folder, however they are sorted into folders.

    Links are followed, each folder once.

    Args:
        folder: to look in.

    Raises:
        DataError: there is no video in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[str, list[str]] = defaultdict(list)
        for path in _videos(folder):
            self._paths[PurePosixPath(path).stem].append(path)
        if not self._paths:
            raise DataError(
                f'{folder} holds no videos (files that end in {", ".join(sorted(ENDINGS))}); give '
                'the folder of the unpacked videos by --videos'
            )
        for paths in self._paths.values():
            paths.sort()

    def find(self, name: str, class_name: str) -> str | None:
        """Path below the folder, or None.

        Args:
            name: of the file, without ending.
            class_name: of several files of one name, that in the folder of the
                class is taken.
        """
        paths = self._paths.get(name)
        if not paths:
            return None
        wanted = plain(class_name)
        in_class = (path for path in paths if plain(PurePosixPath(path).parent.name) == wanted)
        return paths[0] if len(paths) == 1 else next(in_class, paths[0])


def _videos(folder: Path) -> Iterator[str]:
    """Paths of videos below ``folder``, with ``/``."""
    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        below = Path(parent).relative_to(folder)
        for file in files:
            if os.path.splitext(file)[1].lower() in ENDINGS:
                yield (below / file).as_posix()
