"""Captioned stills: the caption says what is seen."""

import numpy as np
import pytest

from mmxclip.datasets.motion.scenes import COLOURS, SEEN_CLASSES, SHAPES, UNSEEN_CLASSES
from mmxclip.datasets.motion.stills import CAPTIONS, PLACES, SIZES, draw_still


def test_every_combination_has_a_caption():
    assert len(set(CAPTIONS)) == len(CAPTIONS) == 3 * 4 * 3 * 9
    assert 'a small red circle at the top left' in CAPTIONS


def test_captions_share_their_words_with_the_class_names():
    words = {word for caption in CAPTIONS for word in caption.split()}
    assert {*COLOURS, *SHAPES, 'a', 'left', 'right'} <= words
    names = {word for name in SEEN_CLASSES + UNSEEN_CLASSES for word in name.split()}
    assert names - words == {'moving', 'up', 'down', 'growing', 'shrinking', 'turning'}


@pytest.mark.parametrize('seed', range(30))
def test_the_caption_says_what_is_seen(seed):
    size = 96
    image, index = draw_still(np.random.default_rng(seed), size)
    caption = CAPTIONS[index]
    colours = np.array(list(COLOURS.values()))
    saturated = np.ptp(image.astype(int), axis=2) > 70  # the background is grey
    rows, columns = np.nonzero(saturated)
    seen = list(COLOURS)[np.abs(image[saturated].mean(axis=0) - colours).sum(axis=1).argmin()]
    assert seen in caption.split()
    edges = 0.2 + 0.6 * np.arange(1, 3) / 3
    row, column = (np.searchsorted(edges, axis.mean() / size) for axis in (rows, columns))
    near_an_edge = min(np.abs(edges - axis.mean() / size).min() for axis in (rows, columns)) < 0.03
    assert near_an_edge or caption.endswith(PLACES[row][column])


def test_sizes_say_what_is_larger():
    areas = {size: [] for size in SIZES}
    rng = np.random.default_rng(0)
    for _ in range(200):
        image, index = draw_still(rng, 64)
        areas[CAPTIONS[index].split()[1]].append((np.ptp(image.astype(int), axis=2) > 70).mean())
    small, medium, big = (np.median(areas[size]) for size in SIZES)
    assert small < medium < big


def test_the_seed_decides():
    first, second = (draw_still(np.random.default_rng(3), 64) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1]
