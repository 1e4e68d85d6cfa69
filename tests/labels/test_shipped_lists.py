"""The class names that ship with the package: how many, which, and in which order."""

from __future__ import annotations

import pytest

from mmxclip.errors import ConfigError
from mmxclip.labels.class_names import (
    load_class_names,
    order_of,
    plain_name,
    shipped_lists,
)

SIZES = {
    'hmdb51_mmaction2': 51,
    'hmdb51_xclip': 51,
    'kinetics400': 400,
    'kinetics600': 600,
    'motion_seen': 64,
    'motion_unseen': 16,
    'ssv2': 174,
    'ucf101': 101,
}
# Renamed between the two Kinetics, so that the same class has two names.
RENAMED = {
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


def test_all_lists_are_counted():
    assert {name: len(load_class_names(name)) for name in shipped_lists()} == SIZES


@pytest.mark.parametrize(
    ('source', 'known'),
    [
        ('kinetics400', {0: 'abseiling', 308: 'skiing (not slalom or crosscountry)', 399: 'zumba'}),
        ('kinetics600', {0: 'abseiling', 300: 'opening door', 599: 'zumba'}),
        ('ssv2', {0: 'Approaching something with your camera', 46: 'Opening something'}),
        ('ssv2', {122: 'Rolling something on a flat surface', 172: 'Unfolding something'}),
        ('ucf101', {0: 'ApplyEyeMakeup', 33: 'Haircut', 34: 'Hammering', 35: 'HammerThrow'}),
        ('hmdb51_mmaction2', {20: 'kick', 21: 'kick ball', 44: 'sword', 45: 'sword exercise'}),
        ('hmdb51_xclip', {20: 'kick ball', 21: 'kick', 44: 'sword exercise', 45: 'sword'}),
    ],
)
def test_known_labels(source, known):
    names = load_class_names(source)
    assert {label: names[label] for label in known} == known


def test_orders_of_hmdb51_differ_in_four_places_only():
    first, second = load_class_names('hmdb51_mmaction2'), load_class_names('hmdb51_xclip')
    differing = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    assert differing == [20, 21, 44, 45]
    assert sorted(first) == sorted(second)


def test_kinetics_lists_share_what_the_published_split_says():
    """220 classes of the 600 are new: the zero-shot split of the X-CLIP paper."""
    old, new = (set(load_class_names(name)) for name in ('kinetics400', 'kinetics600'))
    assert len(old & new) == 368
    assert new - old > RENAMED
    assert len(new - old - RENAMED) == 220


def test_kinetics400_is_that_of_torchvision():
    meta = pytest.importorskip('torchvision.models._meta')
    assert load_class_names('kinetics400') == tuple(meta._KINETICS400_CATEGORIES)


@pytest.mark.parametrize('source', ['kinetics400', 'kinetics600'])
def test_kinetics_lists_are_alphabetical(source):
    names = load_class_names(source)
    assert list(names) == sorted(names, key=str.lower)


def test_hmdb51_alone_is_refused():
    with pytest.raises(
        ConfigError, match=r"two orders in use; add label_order='mmaction2' or .*'xclip'"
    ):
        load_class_names('hmdb51')


@pytest.mark.parametrize('order', ['mmaction2', 'xclip'])
def test_order_of_hmdb51_is_chosen(order):
    names = load_class_names('hmdb51', label_order=order)
    assert names == load_class_names(f'hmdb51_{order}')
    assert order_of(names) == order
    assert load_class_names(list(names), label_order=order) == names


@pytest.mark.parametrize(
    'source', [*(set(SIZES) - {'hmdb51_mmaction2', 'hmdb51_xclip'}), ['a', 'b']]
)
def test_order_changes_nothing_where_there_is_one(source):
    names = load_class_names(source)
    assert load_class_names(source, 'mmaction2') == names == load_class_names(source, 'xclip')
    assert order_of(names) is None


@pytest.mark.parametrize('form', [str, load_class_names])
def test_names_of_the_other_order_are_refused(form):
    with pytest.raises(
        ConfigError, match=r"label_order='xclip', but .* in the order of 'mmaction2'"
    ):
        load_class_names(form('hmdb51_mmaction2'), label_order='xclip')


def test_unknown_order():
    with pytest.raises(
        ConfigError, match=r"label_order='vifi' is not known; .*'mmaction2', 'xclip'"
    ):
        load_class_names('ucf101', label_order='vifi')


@pytest.mark.parametrize('source', sorted(SIZES))
def test_plain_names_tell_the_classes_of_a_list_apart(source):
    names = load_class_names(source)
    assert len({plain_name(name) for name in names}) == len(names)
