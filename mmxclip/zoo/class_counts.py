"""How many classes a list holds that has yet to be written."""

from __future__ import annotations

import re
from pathlib import Path

from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.subsets import base_novel, zero_shot

ORDER = 'mmaction2'  # of HMDB51; both hold the same number of classes
_LIST = re.compile(r'([a-z0-9]+)_(base|novel|zeroshot_split_\d)_classes\.csv')


def count_of_absent(classes: object) -> int | None:
    """Number of classes of a list that ``tools/data/prepare.py`` would write.

    Args:
        classes: what a config gives as class names.

    Returns:
        None when they are no list of that kind, or it is there to be read.
    """
    if not isinstance(classes, (str, Path)) or Path(classes).exists():
        return None
    match = _LIST.fullmatch(Path(classes).name)
    if match is None:
        return None
    dataset, part = match.groups()
    if part.startswith('zeroshot'):
        return zero_shot.NUM_CLASSES
    names = load_class_names(dataset, ORDER if dataset == 'hmdb51' else None)
    base, novel = base_novel.split_classes((), names)  # which of them they are does not matter
    return len(base if part == 'base' else novel)
