"""The index of an archive: made once, kept beside it, checked against it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import posixpath
import tarfile
import uuid
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from mmengine.logging import print_log

from mmxclip.errors import DataError

VERSION = 1
"""Raised whenever the same archive comes to give another index."""

AS_IS, DEFLATED, ENCRYPTED, IN_PIECES = 0, 8, -1, -2
"""How members are stored; other numbers are methods of zip that are not read."""

BLOCK = tarfile.BLOCKSIZE
COMPRESSED = {
    b'\x1f\x8b': 'gzip',
    b'BZh': 'bzip2',
    b'\xfd7zXZ': 'xz',
    b'\x28\xb5\x2f\xfd': 'zstd',
    b'\x1f\x9d': 'compress',
    b'\x04\x22\x4d\x18': 'lz4',
}
FAULTS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    ValueError,  # of Unicode, too
    EOFError,
    OverflowError,
    NotImplementedError,
    RecursionError,
    IndexError,
    MemoryError,  # of sizes that are none
)
"""What the libraries raise for archives that are none."""

Key = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Entries:
    """Members of an archive, in its order; a row each.

    Args:
        names: paths within it, without ``./`` in front.
        offsets: in bytes; of the member's own header in a zip, of its content in
            a tar. ``(N,)`` int64, as the next ones.
        sizes: in bytes, as stored.
        lengths: in bytes, once inflated.
        methods: how it is stored.
        is_zip: whether it is a zip.
    """

    names: list[str]
    offsets: np.ndarray
    sizes: np.ndarray
    lengths: np.ndarray
    methods: np.ndarray
    is_zip: bool

    @classmethod
    def of(cls, rows: list[tuple[str, int, int, int, int]], is_zip: bool) -> Entries:
        """From ``(name, offset, size, length, method)`` each."""
        numbers = np.array([row[1:] for row in rows], np.int64).reshape(-1, 4)
        return cls([row[0] for row in rows], *_columns(numbers.T.copy()), is_zip)


def _columns(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, sizes, lengths and methods, of ``(4, N)``."""
    offsets, sizes, lengths, methods = numbers
    return offsets, sizes, lengths, methods


def member_path(name: str) -> str:
    """A path within an archive in the one form in which it is looked up."""
    name = posixpath.normpath(name)  # that it may lead out of the archive does no harm
    return name[1:] if name.startswith('//') else name


def key_of(path: str) -> Key:
    """What tells whether an archive is still the one that was indexed."""
    try:
        facts = os.stat(path)
    except OSError as error:
        raise DataError(
            f'archive {path} cannot be read ({error.strerror}); check data_prefix'
        ) from error
    return facts.st_size, facts.st_mtime_ns


def load_or_make(path: str) -> Entries:
    """Entries of the archive at ``path``, an absolute one.

    The index is kept in ``PATH.index.npz`` or, where that cannot be written, in
    the user's cache folder. One process makes it while others wait, where the
    file system has locks; where it has none each makes its own, and the last
    one stays. It is written beside and renamed.

    Raises:
        DataError: when the archive cannot be read.
    """
    key = key_of(path)
    entries = _load(path, key)
    if entries is not None:
        return entries
    try:
        with open(path, 'rb') as file, _locked(file):
            entries = _load(path, key)  # another process may have been faster
            if entries is None:
                print_log(f'making an index of {path}, once', logger='current')
                entries = _read(path, file)
                if key_of(path) != key:
                    raise DataError(
                        f'archive {path} changed while it was read; wait until it is copied'
                    )
                _save(path, key, entries)
    except OSError as error:
        raise DataError(
            f'archive {path} cannot be read ({error.strerror or error}); check data_prefix'
        ) from error
    return entries


def places(path: str) -> tuple[Path, Path]:
    """Where the index of an archive may be: beside it, or in the cache folder."""
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    name = f'{os.path.basename(path)}.index.npz'
    return Path(path).with_name(name), cache / 'mmxclip' / 'archives' / f'{digest}-{name}'


@contextlib.contextmanager
def _locked(file: BinaryIO) -> Iterator[None]:
    """Hold the archive's own lock, which needs no file to be left behind."""
    with contextlib.suppress(OSError):  # some network file systems have none
        fcntl.flock(file, fcntl.LOCK_EX)
    yield  # closing the file ends it


def _load(path: str, key: Key) -> Entries | None:
    """A kept index, if there is one that is whole and of this very archive."""
    for place in places(path):
        try:
            with np.load(place, allow_pickle=False) as kept:
                if kept['key'].tolist() != [VERSION, *key]:
                    continue
                names = kept['names'].tobytes().decode('utf-8', 'surrogateescape').split('\0')
                numbers, is_zip = kept['numbers'], bool(kept['is_zip'])
            if numbers.dtype == np.int64 and numbers.shape == (4, len(names)):
                return Entries(names, *_columns(numbers), is_zip)
        except Exception:  # absent, foreign or damaged in whatever way: it is made anew
            continue
    return None


def _save(path: str, key: Key, entries: Entries) -> None:
    numbers = np.stack([entries.offsets, entries.sizes, entries.lengths, entries.methods])
    names = '\0'.join(entries.names).encode('utf-8', 'surrogateescape')
    for place in places(path):
        partial = place.with_name(f'.{place.name}.{uuid.uuid4().hex[:12]}.partial')
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open('wb') as file:
                    np.savez(
                        file,
                        key=np.array([VERSION, *key], np.int64),
                        names=np.frombuffer(names, np.uint8),
                        numbers=numbers,
                        is_zip=entries.is_zip,
                    )
                os.replace(partial, place)
            finally:
                partial.unlink(missing_ok=True)
            return
        except OSError as error:
            reason = error.strerror or str(error)
    print_log(
        f'the index of {path} cannot be kept ({reason}): each run makes it again',
        logger='current',
        level=logging.WARNING,
    )


def _read(path: str, file: BinaryIO) -> Entries:
    """Entries from the archive itself.

    Raises:
        DataError: when it is empty, compressed, cut short, damaged or none.
    """
    head = file.read(8)
    if not head:
        raise DataError(f'archive {path} is empty; copy it again')
    for magic, name in COMPRESSED.items():
        if head.startswith(magic):
            raise DataError(
                f'archive {path} is compressed with {name}, so that no video in it can be read '
                'without all before it; unpack it to a plain .tar'
            )
    is_zip = head.startswith((b'PK\3\4', b'PK\5\6')) or path.lower().endswith('.zip')
    file.seek(0)
    rows = _read_zip(path, file) if is_zip else _read_tar(path, file)
    # names end at NUL in the index, and in what the system opens
    rows = [row for row in rows if '\0' not in row[0]]
    if not rows:
        raise DataError(f'archive {path} holds no files')
    return Entries.of(rows, is_zip)


def _read_zip(path: str, file: BinaryIO) -> list[tuple[str, int, int, int, int]]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except FAULTS as error:
        raise DataError(
            f'archive {path} cannot be read as a zip ({_said(error)}): it is none, or cut before '
            'the table of its files at the end; copy it again'
        ) from error
    return [
        (
            member_path(info.filename),
            info.header_offset,
            info.compress_size,
            info.file_size,
            ENCRYPTED if info.flag_bits & 1 else info.compress_type,
        )
        for info in infos
        if not info.is_dir()
    ]


def _read_tar(path: str, file: BinaryIO) -> list[tuple[str, int, int, int, int]]:
    rows: list[tuple[str, int, int, int, int]] = []
    links: list[tuple[str, str]] = []
    try:
        archive = tarfile.open(fileobj=file, mode='r:', errors='surrogateescape')  # noqa: SIM115
    except FAULTS as error:
        if _is_header(file):
            raise _cut_short(path, 0, 0, error) from error
        raise DataError(
            f'archive {path} is neither a tar nor a zip ({_said(error)}); copy or make it again'
        ) from error
    end = 0
    try:
        while (member := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined]  # it keeps all it has seen
            if member.offset < end:
                raise tarfile.ReadError('a member begins before the end of the one in front of it')
            end = member.offset + BLOCK
            if member.issparse():
                rows.append((member_path(member.name), 0, 0, 0, IN_PIECES))
            elif member.isfile():
                size = member.size
                rows.append((member_path(member.name), member.offset_data, size, size, AS_IS))
            elif member.islnk() or member.issym():
                folder = posixpath.dirname(member.name) if member.issym() else ''
                target = posixpath.join(folder, member.linkname)
                links.append((member_path(member.name), member_path(target)))
        _require_end(file, archive.offset)
    except FAULTS as error:
        raise _cut_short(path, len(rows), archive.offset, error) from error
    return rows + _resolved(rows, links)


def _is_header(file: BinaryIO) -> bool:
    """Whether a file begins as a tar does, whatever is wrong behind."""
    file.seek(0)
    try:
        tarfile.TarInfo.frombuf(file.read(BLOCK), 'utf-8', 'surrogateescape')
    except FAULTS:
        return False
    return True


def _cut_short(path: str, files: int, offset: int, error: Exception) -> DataError:
    return DataError(
        f'archive {path} is cut short or damaged after {files} files, about byte {offset} '
        f'({_said(error)}); copy it again'
    )


def _require_end(file: BinaryIO, offset: int) -> None:
    """A tar ends in a block of zeros; Python takes whatever is no header for the end."""
    file.seek(offset)
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise tarfile.ReadError('its end is missing')
    if any(block):
        raise tarfile.ReadError('no member begins there')


def _resolved(
    rows: list[tuple[str, int, int, int, int]], links: list[tuple[str, str]]
) -> list[tuple[str, int, int, int, int]]:
    """Rows of links, which are second names of members; what lies outside is not looked at."""
    by_name = {row[0]: row for row in rows}
    found = []
    for name, target in links:
        if target in by_name:
            by_name[name] = (name, *by_name[target][1:])
            found.append(by_name[name])
    return found


def _said(error: Exception) -> str:
    """What a library says, on one line."""
    return ' '.join(str(error).split())[:100] or type(error).__name__
