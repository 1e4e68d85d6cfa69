"""Predictions as text, or as a file that is whole or absent."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from mmxclip.apis.tables import render
from mmxclip.errors import ConfigError, DataError
from mmxclip.inference.results import COLUMNS, Predictions, to_data_frame

FORMATS = ('table', 'json', 'jsonl', 'csv', 'parquet')
BY_ENDING = {'.json': 'json', '.jsonl': 'jsonl', '.csv': 'csv', '.parquet': 'parquet'}


def to_text(results: Predictions, fmt: str) -> str:
    """Predictions in one of ``FORMATS`` other than ``parquet``, without a line end.

    ``json`` and ``jsonl`` have an object a video, the others a row a label.
    """
    if fmt in ('json', 'jsonl'):
        return render(results.to_dict(), fmt)
    if fmt == 'csv' and not results:
        return ','.join(COLUMNS)
    return render(results.rows(), fmt) if results else ''


def to_bytes(results: Predictions, fmt: str) -> bytes:
    """The content of a file."""
    if fmt != 'parquet':
        text = to_text(results, fmt)
        return f'{text}\n'.encode() if text else b''
    buffer = io.BytesIO()
    to_data_frame(results.rows()).to_parquet(buffer, index=False)
    return buffer.getvalue()


def check_parquet() -> None:
    """Refuse ``parquet`` before any work when it cannot be written.

    Raises:
        ConfigError: pandas or pyarrow are not installed.
    """
    missing = [name for name in ('pandas', 'pyarrow') if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f'format parquet needs {" and ".join(missing)}; pip install "mmxclip[tables]", or '
            'take csv'
        )


class WholeFile:
    """A file that appears under its name, or replaces what was there, when it is written.

    It is made beside when the context is entered, so that a place that cannot be
    written to is told before the work, and is gone when the context is left.

    Args:
        path: of the file; a pipe or a device is written to as it is.

    Raises:
        DataError: the system refuses, or the disk is full.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self.target = Path(path).expanduser()
        self._partial: str | None = None

    def __enter__(self) -> WholeFile:
        if self.target.is_dir():
            raise DataError(f'{self.path} is a folder; give the name of a file')
        with self._told():
            if not self._special():
                prefix = f'.{self.target.name[:40]}.'
                handle, self._partial = tempfile.mkstemp(prefix=prefix, dir=self.target.parent)
                os.close(handle)
        return self

    def write(self, data: bytes) -> None:
        """Write all of it, and give the file its name."""
        with self._told():
            if self._partial is None:
                self.target.write_bytes(data)
                return
            with open(self._partial, 'wb') as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _like_any_file(self._partial)
            os.replace(self._partial, self.target)
            self._partial = None

    def __exit__(self, *_: object) -> None:
        if self._partial is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._partial)

    def _special(self) -> bool:
        return self.target.exists() and not self.target.is_file()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f'{self.path} cannot be written ({error.strerror}); give another file'
            ) from error


def _like_any_file(path: str) -> None:
    """Give a temporary file, which only its owner may read, the permissions that are usual."""
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(path, 0o666 & ~mask)
