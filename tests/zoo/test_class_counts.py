"""The numbers of classes of lists that are not written yet."""

import pytest

from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.subsets import base_novel, zero_shot
from mmxclip.zoo.class_counts import count_of_absent


@pytest.mark.parametrize(
    ('classes', 'count'),
    [
        ('data/kinetics400/kinetics400_base_classes.csv', 200),
        ('data/hmdb51/hmdb51_base_classes.csv', 26),
        ('data/hmdb51/hmdb51_novel_classes.csv', 25),
        ('data/ucf101/ucf101_base_classes.csv', 51),
        ('elsewhere/ssv2_novel_classes.csv', 87),
        ('data/kinetics600/kinetics600_zeroshot_split_3_classes.csv', 160),
    ],
)
def test_lists_that_preparing_writes(classes, count):
    assert count_of_absent(classes) == count


def test_the_numbers_are_those_of_what_is_drawn():
    assert len(zero_shot.draw_classes(1)) == count_of_absent(
        'kinetics600_zeroshot_split_1_classes.csv'
    )
    names = load_class_names('ssv2')
    base, novel = base_novel.split_classes((), names)
    assert count_of_absent('ssv2_base_classes.csv') == len(base)
    assert len(base) + len(novel) == len(names)


@pytest.mark.parametrize(
    'classes', [None, 'kinetics400', ['a', 'b'], 'data/own.csv', 'ssv2_base_classes.txt']
)
def test_other_lists_are_left_to_the_model(classes):
    assert count_of_absent(classes) is None


def test_a_list_that_is_there_is_read(tmp_path):
    path = tmp_path / 'ssv2_base_classes.csv'
    path.write_text('id,name\n0,a\n', encoding='utf-8')
    assert count_of_absent(str(path)) is None
