"""Verdicts on files, kept as they are made, so that a killed run goes on where it stopped."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

from mmxclip.errors import DataError

Facts = tuple[int, int]
"""Size in bytes and time of change in nanoseconds, by which a file is known again."""
LOOKERS = 16  # threads that ask a slow file system side by side


def fingerprints(paths: Iterable[Path]) -> list[Facts | OSError]:
    """Facts of files, or why they cannot be had."""
    with ThreadPoolExecutor(LOOKERS) as pool:
        return list(pool.map(_fingerprint, paths))


def _fingerprint(path: Path) -> Facts | OSError:
    try:
        facts = path.stat()
    except OSError as error:
        return error
    return facts.st_size, facts.st_mtime_ns


class Journal:
    """One JSON object a line, appended as soon as there is something to say.

    A line that a killed run has left half-written is passed over. Of several
    lines on one file and kind the last counts.

    Args:
        path: of the file; its folder exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._file: IO[str] | None = None
        for line in self._lines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                self._known[entry['path'], entry['kind']] = entry

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding='utf-8', errors='replace').splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DataError(
                f'{self.path} cannot be read ({error.strerror}); move it away to begin anew'
            ) from error

    def known(self, path: str, kind: str, facts: Facts) -> dict[str, Any] | None:
        """What was written on a file of these facts."""
        entry = self._known.get((path, kind))
        if entry is None or [entry.get('size'), entry.get('mtime_ns')] != list(facts):
            return None
        return entry

    @contextlib.contextmanager
    def open(self) -> Iterator[Journal]:
        """Let :meth:`write` be called within the block.

        Raises:
            DataError: the file cannot be written.
        """
        try:
            with open(self.path, 'a+b') as end:
                torn = end.tell() > 0 and os.pread(end.fileno(), 1, end.tell() - 1) != b'\n'
            self._file = open(self.path, 'a', encoding='utf-8')  # noqa: SIM115
            if torn:
                self._file.write('\n')
        except OSError as error:
            raise DataError(
                f'{self.path} cannot be written ({error.strerror}); check --out'
            ) from error
        try:
            yield self
        finally:
            self._file.close()
            self._file = None

    def write(self, path: str, kind: str, facts: Facts, **verdict: Any) -> None:
        """Append a verdict, so that it outlives this process."""
        assert self._file is not None
        entry = {'path': path, 'kind': kind, 'size': facts[0], 'mtime_ns': facts[1], **verdict}
        self._known[path, kind] = entry
        self._file.write(json.dumps(entry) + '\n')
        self._file.flush()
