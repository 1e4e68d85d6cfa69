"""What a dataset is before and after its videos have been looked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One annotated video: the name of its file without ending, and its label."""

    name: str
    label: int


@dataclass(frozen=True)
class Listing:
    """One part of a dataset, as annotated.

    Args:
        part: ``train``, ``val``, ``test``, ``train_split_1``, ...
        file_name: of the list that is written.
        entries: every annotated video.
        origin: annotation file or folder, for messages.
        folder: where the videos of this part are, which paths in the list are
            relative to; None where the user does not have them.
    """

    part: str
    file_name: str
    entries: tuple[Entry, ...]
    origin: Path
    folder: Path | None


@dataclass(frozen=True)
class Source:
    """A dataset as its owners annotate it.

    Args:
        name: ``hmdb51``, ...
        classes: names in the order of the labels.
        listings: its parts.
        notes: lines for the user about parts that are left out.
    """

    name: str
    classes: tuple[str, ...]
    listings: tuple[Listing, ...]
    notes: tuple[str, ...] = ()

    def listing(self, *parts: str) -> Listing | None:
        """The first of ``parts`` that there is."""
        known = {listing.part: listing for listing in self.listings}
        return next((known[part] for part in parts if part in known), None)


@dataclass(frozen=True)
class Row:
    """A video that is on disk and can be read.

    Args:
        name: of the annotation.
        label: as annotated.
        path: below the folder of the listing, with ``/``.
    """

    name: str
    label: int
    path: str
