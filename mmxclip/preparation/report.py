"""What became of each list: counts for the user, and a file that names what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mmxclip.preparation.annotations import write_whole


@dataclass
class Report:
    """Counts and faults, gathered as lists are written.

    Args:
        dataset: its name.
    """

    dataset: str
    lists: dict[str, dict[str, int]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)
    undecodable: dict[str, dict[str, str]] = field(default_factory=dict)

    def add_list(self, file_name: str, found: int, annotated: int) -> str:
        """Note the counts of a list and return the line about it."""
        self.lists[file_name] = {'annotated': annotated, 'found': found}
        return f'{file_name}: {found} of {annotated} found'

    def add_missing(self, file_name: str, names: Iterable[str]) -> int:
        """Note videos that are annotated for a list and not on disk."""
        names = sorted(names)
        if names:
            self.missing[file_name] = names
        return len(names)

    def add_undecodable(self, folder: Path, faults: dict[str, str]) -> None:
        """Note videos that cannot be used, with reasons by their paths below ``folder``."""
        if faults:
            self.undecodable.setdefault(str(folder), {}).update(sorted(faults.items()))

    def first_reason(self) -> str:
        """Why the first of the videos that cannot be used cannot."""
        return next((why for held in self.undecodable.values() for why in held.values()), 'unknown')

    def write(self, path: Path) -> None:
        """Write all as JSON, wholly or not at all."""
        held = {
            'dataset': self.dataset,
            'lists': self.lists,
            'missing': self.missing,
            'undecodable': self.undecodable,
        }
        write_whole(path, json.dumps(held, indent=1, ensure_ascii=False) + '\n')
