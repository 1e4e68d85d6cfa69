"""Lists and class files as the datasets of this package read them, whole or absent."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmxclip.errors import DataError


def write_list(path: Path, rows: Iterable[tuple[str, int]]) -> None:
    """Write one video a line, ``path label``.

    Raises:
        DataError: the file cannot be written.
    """
    write_whole(path, ''.join(f'{video} {label}\n' for video, label in rows))


def write_classes(path: Path, names: Sequence[str]) -> None:
    """Write class names under ``id,name``, as ``load_class_names`` reads them.

    Raises:
        DataError: the file cannot be written.
    """
    text = io.StringIO(newline='')
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(('id', 'name'))
    writer.writerows(enumerate(names))
    write_whole(path, text.getvalue())


def write_whole(path: Path, text: str) -> None:
    """Write beside, then rename: a reader finds the old file or the new one, never a part.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        descriptor, beside = tempfile.mkstemp(prefix=f'.{path.name}.', dir=path.parent)
        try:
            with os.fdopen(descriptor, 'w', encoding='utf-8', newline='') as file:
                file.write(text)
            os.chmod(beside, 0o666 & ~_umask())  # mkstemp's files are for their owner alone
            os.replace(beside, path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f'{path} cannot be written ({error.strerror}); check --out') from error


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def require_folder(folder: Path, option: str) -> None:
    """Make a folder and see that files can be written to it, before hours of work.

    Args:
        folder: to make, with its parents.
        option: that names it.

    Raises:
        DataError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(
            f'{option} {folder} is not writable ({error.strerror}); give another folder'
        ) from error
