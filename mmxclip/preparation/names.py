"""Class names as datasets spell them, brought together with the shipped lists."""

from __future__ import annotations

from collections.abc import Sequence

from mmxclip.errors import DataError


def plain(name: str) -> str:
    """A name without what spellings differ in: case, underscores and double spaces."""
    return ' '.join(name.replace('_', ' ').split()).casefold()


class ClassIds:
    """Labels by class name.

    Args:
        classes: names in the order of the labels.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._ids = {plain(name): label for label, name in enumerate(classes)}

    def get(self, name: str) -> int | None:
        """Label of a name in any spelling; None for a name that is no class."""
        return self._ids.get(plain(name))

    def require(self, name: str, place: str, dataset: str) -> int:
        """Label of a name.

        Args:
            name: of a class, in any spelling.
            place: file and row, for the error.
            dataset: likewise.

        Raises:
            DataError: the dataset has no such class.
        """
        label = self.get(name)
        if label is None:
            raise DataError(
                f'{place}: {name!r} is none of the {len(self.classes)} classes of {dataset}; take '
                f'the annotation files of {dataset} as its owners distribute them'
            )
        return label
