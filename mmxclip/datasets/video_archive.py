"""Videos inside one ``.tar`` or ``.zip`` file, found by an index and read in place.

A path such as ``videos.tar/abseiling/x.mp4`` means a member of an archive when
``videos.tar`` is a file. Nothing is unpacked: a decoder is told which bytes of
the archive are the video's. Archives are opened anew for each question and no
handle is kept, so that processes may fork and threads run as they like.
"""

from __future__ import annotations

import os
import posixpath
import re
import struct
from collections import defaultdict
from functools import cached_property
from typing import Any

from mmxclip.datasets.archive_index import (
    AS_IS,
    DEFLATED,
    ENCRYPTED,
    IN_PIECES,
    Entries,
    Key,
    key_of,
    load_or_make,
    member_path,
)
from mmxclip.errors import DataError

ENDING = re.compile(r'\.(?:tar|zip|tgz|tbz2?|txz|tzst|tar\.(?:gz|bz2|xz|zst|z|lz4))(?=/)', re.I)
LOCAL_HEADER = struct.Struct('<4s22xHH')
"""Of a member of a zip: signature, and lengths of the name and of extra fields."""


def split(path: str) -> tuple[str, str] | None:
    """Path of the archive and of the member; None for a path of an ordinary file."""
    for found in ENDING.finditer(path):
        if os.path.isfile(path[: found.end()]):
            return path[: found.end()], path[found.end() + 1 :]
    return None


def locate(path: str) -> dict[str, Any] | None:
    """Which bytes of which archive are a video, for the decoder process.

    Args:
        path: of a video, within an archive or not.

    Returns:
        None for a path of an ordinary file; else ``archive``, its path;
        ``offset`` and ``size`` of the bytes; ``inflated``, the size after
        inflating, or None for bytes that are the video itself.

    Raises:
        DataError: when the archive cannot be read or has no such member.
    """
    parts = split(path)
    if parts is None:
        return None
    return Archive.open(parts[0]).locate(parts[1])


class Archive:
    """Members of an archive by name.

    Args:
        path: of the archive.
        entries: what its index says.
        size: in bytes.
    """

    def __init__(self, path: str, entries: Entries, size: int) -> None:
        self.path = path
        self.size = size
        self.entries = entries
        # The last of several members with one name counts, as when unpacking.
        self._rows = {name: row for row, name in enumerate(entries.names)}

    @classmethod
    def open(cls, path: str) -> Archive:
        """The archive at ``path``, from memory as long as the file stays as it is.

        Raises:
            DataError: when it cannot be read.
        """
        path = os.path.abspath(path)
        key = key_of(path)
        known = _known.get(path)
        if known is None or known[0] != key:
            try:
                known = key, cls(path, load_or_make(path), key[0])
            except DataError as error:  # to say it again is not worth another reading
                known = key, error
            _known[path] = known
        if isinstance(known[1], DataError):
            raise known[1]
        return known[1]

    def find(self, member: str) -> int:
        """Row of the entries.

        A member's own path comes first. Then one that ends with ``member``, or
        that ``member`` ends with, as flat archives are addressed, if there is
        exactly one.

        Args:
            member: path within the archive.

        Raises:
            DataError: when there is none, several may be meant, or it cannot be
                read in place.
        """
        member = member_path(member)
        row = self._rows.get(member)
        if row is None:
            row = self._by_base_name(member)
        method = int(self.entries.methods[row])
        if method not in (AS_IS, DEFLATED):
            why = {ENCRYPTED: 'encrypted', IN_PIECES: 'a sparse file'}.get(
                method, f'compressed by method {method}'
            )
            raise DataError(
                f'{self.path}/{self.entries.names[row]} is {why}, which cannot be read in place; '
                'store it plainly, as "zip -0" and "tar -cf" do'
            )
        return row

    def locate(self, member: str) -> dict[str, Any]:
        """See :func:`locate`."""
        row = self.find(member)
        offset, size = int(self.entries.offsets[row]), int(self.entries.sizes[row])
        if self.entries.is_zip and 0 <= offset < self.size:
            offset += self._header_size(offset)
        if not 0 <= offset <= offset + size <= self.size:
            raise DataError(
                f'{self.path}/{self.entries.names[row]} is said to lie beyond the end of the '
                'archive, which is damaged; copy it again'
            )
        inflated = None
        if self.entries.methods[row] == DEFLATED:
            inflated = int(self.entries.lengths[row])
        return {'archive': self.path, 'offset': offset, 'size': size, 'inflated': inflated}

    @cached_property
    def _base_names(self) -> dict[str, list[str]]:
        names = defaultdict(list)
        for name in self._rows:
            names[posixpath.basename(name)].append(name)
        return names

    def _by_base_name(self, member: str) -> int:
        same = self._base_names.get(posixpath.basename(member), [])
        meant = [name for name in same if f'/{name}'.endswith(f'/{member}')]
        meant = meant or [name for name in same if f'/{member}'.endswith(f'/{name}')]
        if not meant:
            near = f' (there is {same[0]!r})' if same else ''
            raise DataError(
                f'{self.path} has no member {member!r}{near}; check data_prefix and the annotation '
                'file'
            )
        if len(meant) > 1:
            raise DataError(
                f'{self.path} has {len(meant)} members that may be meant by {member!r}: '
                f'{meant[0]!r} and {meant[1]!r}; give the whole path within the archive'
            )
        return self._rows[meant[0]]

    def _header_size(self, offset: int) -> int:
        """Bytes in front of a member of a zip, which only the member itself tells."""
        try:
            with open(self.path, 'rb', buffering=0) as file:
                file.seek(offset)
                header = file.read(LOCAL_HEADER.size)
        except OSError as error:
            raise DataError(
                f'archive {self.path} cannot be read ({error.strerror}); check data_prefix'
            ) from error
        if len(header) < LOCAL_HEADER.size or not header.startswith(b'PK\3\4'):
            raise DataError(
                f'{self.path} is damaged at byte {offset}: no member begins there; copy it again'
            )
        _, name, extra = LOCAL_HEADER.unpack(header)
        return LOCAL_HEADER.size + name + extra


_known: dict[str, tuple[Key, Archive | DataError]] = {}
