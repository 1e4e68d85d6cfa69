"""Zero-shot splits of Kinetics-600: 160 of the 220 classes that Kinetics-400 lacks.

Source: the X-CLIP paper (arXiv:2208.02816), section 4.3 and supplement: three
random choices of 160 classes.
"""

from __future__ import annotations

from pathlib import Path

from mmxclip.errors import DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.names import ClassIds
from mmxclip.preparation.subsets.drawing import rank

NUM_CLASSES = 160
# The same class under another name in Kinetics-400, which the model has seen.
RENAMED = frozenset(
    {
        'changing wheel (not on bike)',
        'cooking sausages (not on barbeque)',
        'dyeing hair',
        'hugging (not baby)',
        'inflating balloons',
        'making the bed',
        'opening bottle (not wine)',
        'passing american football (not in game)',
        'person collecting garbage',
        'throwing ball (not baseball or American football)',
        'tying necktie',
        'waking up',
    }
)


def new_classes() -> tuple[str, ...]:
    """The 220 classes of Kinetics-600 that are absent from Kinetics-400, in its order."""
    known = set(load_class_names('kinetics400')) | RENAMED
    names = tuple(name for name in load_class_names('kinetics600') if name not in known)
    assert len(names) == 220
    return names


def draw_classes(seed: int) -> tuple[str, ...]:
    """160 new classes, in the order of Kinetics-600."""
    names = new_classes()
    drawn = set(sorted(names, key=lambda name: rank(seed, name))[:NUM_CLASSES])
    return tuple(name for name in names if name in drawn)


def read_classes(file: Path) -> tuple[str, ...]:
    """Classes of a published split, in its order and in the spelling of our list.

    Args:
        file: ``.csv`` with the header ``id,name``, or ``.txt`` with a name a line.

    Raises:
        DataError: a class is none of the 220.
    """
    names = new_classes()
    ids = ClassIds(names)
    found = []
    for number, name in enumerate(load_class_names(file)):
        label = ids.get(name)
        if label is None:
            raise DataError(
                f'{file}: class {number} is {name!r}, none of the {len(names)} classes of '
                'Kinetics-600 that Kinetics-400 lacks; give the class list of a zero-shot split'
            )
        found.append(names[label])
    return tuple(found)
