"""Folders of generated files that are whole or absent, whoever writes them at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from mmxclip.errors import DataError

MANIFEST = 'manifest.json'


def is_whole(folder: Path) -> bool:
    """Whether a folder holds all files of its manifest, at their full sizes."""
    try:
        sizes = json.loads((folder / MANIFEST).read_text(encoding='utf-8'))['bytes']
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def ensure(folder: Path, write: Callable[[Path], None], parameters: dict) -> Path:
    """Return ``folder``, written first if it is not there or not whole.

    One process writes and the others wait: the lock is the system's, so it ends
    with the process that holds it. Files are written into a folder beside and
    renamed together at the end, so that nothing is ever seen in part, also
    after a kill.

    Args:
        folder: its name should tell ``parameters`` apart.
        write: fills the folder that it is given with files.
        parameters: what made the files, JSON; kept in the manifest.

    Raises:
        DataError: when the system refuses to write.
    """
    if is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _lock(folder.with_name(f'.{folder.name}.lock')):
            if not is_whole(folder):  # another process may have been faster
                _replace(folder, write, parameters)
    except OSError as error:
        raise DataError(
            f'{folder} cannot be written ({error.strerror or error}); give a data_root on a disk '
            'with room that you may write to'
        ) from error
    return folder


def _replace(folder: Path, write: Callable[[Path], None], parameters: dict) -> None:
    """Write beside and move into place; only for the holder of the lock."""
    partial = folder.with_name(f'.{folder.name}.partial')
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        write(partial)
        sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
        manifest = json.dumps({'parameters': parameters, 'bytes': sizes}, indent=1)
        (partial / MANIFEST).write_text(manifest, encoding='utf-8')
        shutil.rmtree(folder, ignore_errors=True)  # present, but not whole
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that the system gives to one process at a time."""
    with path.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
