"""Whether labels agree with the class that a video's own path names."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mmxclip.labels.class_names import AMBIGUOUS, load_class_names, order_of, plain_name

UCF = re.compile(r'v_(.+)_g\d+_c\d+')
"""``v_ApplyEyeMakeup_g01_c01``: the class, a group and a clip of it."""
HMDB = re.compile(r'(.+)_[fhlu]_[cn]m_np\d+_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+')
"""``April_09_brush_hair_u_nm_np1_ba_goo_0``: a title and the class, then how it was filmed."""


@dataclass(frozen=True)
class Disagreement:
    """A row whose path names another class than its label.

    Args:
        number: of the row, from 1.
        path: as listed.
        label: as listed.
        named: label of the class that the path names.
    """

    number: int
    path: str
    label: int
    named: int


class PathReader:
    """Finds the class that a path names, among the names of a list.

    The last folder counts; where it is no class name, the file's name if it has
    the form of UCF101 or HMDB51. Case, spaces, underscores and punctuation are
    not heeded.

    Args:
        names: class names in the order of the labels.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._labels: dict[str, list[int]] = defaultdict(list)
        for label, name in enumerate(names):
            self._labels[plain_name(name)].append(label)
        self._labels.pop('', None)  # names without a letter or digit
        self._folders: dict[str, list[int]] = {}

    def labels(self, path: str) -> list[int]:
        """Labels that the path may stand for; none when it names no class."""
        folder, file = posixpath.split(path)
        if folder not in self._folders:
            self._folders[folder] = self._labels.get(plain_name(posixpath.basename(folder)), [])
        return self._folders[folder] or self._of_file(posixpath.splitext(file)[0])

    def _of_file(self, stem: str) -> list[int]:
        if found := UCF.fullmatch(stem):
            return self._labels.get(plain_name(found[1]), [])
        if found := HMDB.fullmatch(stem):
            words = found[1].split('_')
            for first in range(len(words)):  # "draw sword" before "sword"
                if labels := self._labels.get(plain_name(''.join(words[first:]))):
                    return labels
        return []


def disagreements(rows: Iterable[tuple[int, str, int]], names: Sequence[str]) -> list[Disagreement]:
    """Rows whose path names a class of the list that is not the labelled one.

    Args:
        rows: number, path and label of each.
        names: class names in the order of the labels.
    """
    reader = PathReader(names)
    found = []
    for number, path, label in rows:
        labels = reader.labels(path)
        if labels and label not in labels:
            found.append(Disagreement(number, path, label, labels[0]))
    return found


def fitting_order(rows: Sequence[tuple[int, str, int]], names: Sequence[str]) -> str | None:
    """The other order of these names, if with it every row's path and label agree."""
    for lists in AMBIGUOUS.values():
        if order_of(names) in lists:
            for order, source in lists.items():
                if not disagreements(rows, load_class_names(source)):
                    return order
    return None
