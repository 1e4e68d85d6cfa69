"""Base and novel classes, and the lists of the base-to-novel protocol.

Source: H. Rasheed, M. U. Khattak, M. Maaz, S. Khan, F. S. Khan, "Fine-tuned
CLIP Models are Efficient Video Learners", CVPR 2023 (ViFi-CLIP), section 4.1
and the class lists that come with its code: classes by number of training
videos, the more frequent half is base, trained on 16 videos of each class with
three seeds, and tested on the validation videos of either half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mmxclip.preparation.names import plain
from mmxclip.preparation.structure import Entry

SHOTS = 16


def split_classes(
    entries: Iterable[Entry], classes: Sequence[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Labels of the base and of the novel classes.

    In ascending order of their numbers of annotated training videos, and of
    their names where these are equal, the first half of the classes is novel;
    with an odd number of classes the middle one is base. In HMDB51 all classes
    have 70 videos, so the names alone decide, as they do in the published split.

    Args:
        entries: all annotated training videos, whether they are on disk or not,
            so that the classes are the same everywhere.
        classes: names in the order of the labels.

    Returns:
        Two tuples of labels, each ascending.
    """
    counts = Counter(entry.label for entry in entries)
    ascending = sorted(range(len(classes)), key=lambda i: (counts[i], plain(classes[i])))
    half = len(classes) // 2
    return tuple(sorted(ascending[half:])), tuple(sorted(ascending[:half]))
