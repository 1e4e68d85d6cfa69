"""Few-shot, base-to-novel and zero-shot choices: sizes, nesting, repeatability, published forms."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from dataset_miniatures import write_rows

from mmxclip.errors import ConfigError, DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.annotations import write_classes
from mmxclip.preparation.structure import Entry, Listing, Row, Source
from mmxclip.preparation.subsets import zero_shot
from mmxclip.preparation.subsets.base_novel import split_classes
from mmxclip.preparation.subsets.drawing import draw_shots
from mmxclip.preparation.subsets.published import read_shots, select
from mmxclip.preparation.subsets.relabelling import relabelled
from mmxclip.preparation.writing import SubsetOptions, Subsets

ROWS = [
    Row(f'v{i}_{label}', label, f'{label}/v{i}_{label}.avi')
    for label in range(5)
    for i in range(30)
]


class TestFewShot:
    @pytest.mark.parametrize('shots', [1, 2, 16, 30])
    def test_counts(self, shots):
        drawn = draw_shots(ROWS, shots, 0)
        assert Counter(row.label for row in drawn) == dict.fromkeys(range(5), shots)
        assert len({row.name for row in drawn}) == len(drawn)
        assert set(drawn) <= set(ROWS)

    @pytest.mark.parametrize('seed', [0, 1, 2])
    def test_nested(self, seed):
        lists = [set(draw_shots(ROWS, shots, seed)) for shots in (2, 4, 8, 16)]
        assert lists[0] < lists[1] < lists[2] < lists[3]

    def test_seeds_differ(self):
        lists = [frozenset(draw_shots(ROWS, 4, seed)) for seed in range(10)]
        assert len(set(lists)) == 10

    def test_order_of_rows_and_folders_do_not_matter(self):
        expected = [row.name for row in draw_shots(ROWS, 4, 0)]
        others = [Row(row.name, row.label, f'x/{row.name}.mp4') for row in ROWS]
        random.Random(0).shuffle(others)
        assert [row.name for row in draw_shots(others, 4, 0)] == expected

    def test_missing_video_is_replaced_alone(self):
        before = draw_shots(ROWS, 4, 0)
        gone = before[1]
        after = draw_shots([row for row in ROWS if row != gone], 4, 0)
        assert set(before) - set(after) == {gone}
        assert [row.label for row in set(after) - set(before)] == [gone.label]

    def test_the_same_on_every_machine(self):
        """Written down once: a change of these would change every published number."""
        assert [row.name for row in draw_shots(ROWS, 2, 0)] == [
            'v28_0',
            'v22_0',
            'v14_1',
            'v6_1',
            'v15_2',
            'v7_2',
            'v16_3',
            'v22_3',
            'v16_4',
            'v28_4',
        ]

    def test_uniform(self):
        """Each of 30 videos is drawn about as often: chi-squared below its 0.1 % quantile."""
        counts = Counter(row.name for seed in range(600) for row in draw_shots(ROWS[:30], 3, seed))
        expected = 600 * 3 / 30
        statistic = sum((counts[row.name] - expected) ** 2 / expected for row in ROWS[:30])
        assert statistic < 58.3

    def test_class_with_too_few_videos_gives_all(self):
        assert len(draw_shots(ROWS[:3], 4, 0)) == 3


class TestBaseNovel:
    def test_frequent_half_is_base(self):
        entries = [
            Entry(f'{label}_{i}', label) for label, n in enumerate([3, 9, 1, 5]) for i in range(n)
        ]
        assert split_classes(entries, ['d', 'c', 'b', 'a']) == ((1, 3), (0, 2))

    def test_ties_go_by_name(self):
        entries = [Entry(str(label), label) for label in range(5)]
        names = ['Zebra', 'an ape', 'Bear', 'cat_a', 'cat b']
        base, novel = split_classes(entries, names)
        assert [names[label] for label in novel] == ['an ape', 'Bear']
        assert [names[label] for label in base] == ['Zebra', 'cat_a', 'cat b']

    @pytest.mark.parametrize('order', ['mmaction2', 'xclip'])
    def test_hmdb51_is_split_as_published(self, order):
        """All classes have 70 training videos; the published base classes are pour to wave."""
        classes = load_class_names('hmdb51', order)
        entries = [Entry(f'{label}_{i}', label) for label in range(51) for i in range(70)]
        base, novel = split_classes(entries, classes)
        assert sorted(classes[label] for label in base) == sorted(classes)[25:]
        assert sorted(classes)[25] == 'pour'
        assert len(novel) == 25

    def test_class_without_videos_is_novel(self):
        assert split_classes([Entry('a', 1)], ['a', 'b']) == ((1,), (0,))

    def test_labels_count_in_the_half(self):
        rows = relabelled(ROWS, (1, 4))
        assert [(row.label, row.path) for row in rows[::30]] == [
            (0, '1/v0_1.avi'),
            (1, '4/v0_4.avi'),
        ]
        assert len(rows) == 60


class TestZeroShot:
    def test_220_classes_are_new(self):
        names = zero_shot.new_classes()
        assert len(names) == 220
        assert not set(names) & set(load_class_names('kinetics400'))
        assert not set(names) & zero_shot.RENAMED
        assert set(names) | zero_shot.RENAMED <= set(load_class_names('kinetics600'))

    def test_splits(self):
        splits = [zero_shot.draw_classes(seed) for seed in (0, 1, 2)]
        order = load_class_names('kinetics600')
        for names in splits:
            assert len(names) == 160
            assert list(names) == sorted(names, key=order.index)
        assert len(set(splits)) == 3
        assert zero_shot.draw_classes(0) == splits[0]

    def test_published_split_keeps_its_order(self, tmp_path):
        names = tuple(reversed(zero_shot.draw_classes(5)))
        write_classes(tmp_path / 'a.csv', [name.title() for name in names])
        assert zero_shot.read_classes(tmp_path / 'a.csv') == names

    @pytest.mark.parametrize('name', ['zumba', 'waking up', 'juggling chainsaws'])
    def test_class_that_is_not_new(self, tmp_path, name):
        write_classes(tmp_path / 'a.csv', [*zero_shot.draw_classes(0)[:3], name])
        with pytest.raises(DataError, match=rf"a\.csv: class 3 is '{name}', none of the 220"):
            zero_shot.read_classes(tmp_path / 'a.csv')


class TestPublishedShots:
    CLASSES = load_class_names('hmdb51', 'mmaction2')
    ORDERS = tuple(load_class_names('hmdb51', order) for order in ('mmaction2', 'xclip'))
    TRAINING = Listing(
        'train_split_1',
        'list.txt',
        tuple(Entry(f'v {i}_{label}', label) for label in range(51) for i in range(3)),
        Path('splits'),
        None,
    )

    def write(self, file: Path, order: tuple[str, ...], change=lambda rows: None) -> Path:
        """A list of two shots whose labels count in ``order``."""
        rows = [
            f'some folder/v {i}_{label}.avi {order.index(name)}'
            for label, name in enumerate(self.CLASSES)
            for i in (2, 0)
        ]
        change(rows)
        return write_rows(file, rows)

    @pytest.mark.parametrize('order', ORDERS)
    def test_either_order(self, tmp_path, order):
        file = self.write(tmp_path / 'a.txt', order)
        found = read_shots(file, self.TRAINING, self.ORDERS, self.CLASSES)
        assert found.shots == 2
        rows = [Row(e.name, e.label, f'{e.label}/{e.name}.mp4') for e in self.TRAINING.entries]
        chosen = select(found, [row for row in rows if row.name != 'v 2_0'])
        assert [row.name for row in chosen[:3]] == ['v 0_0', 'v 2_1', 'v 0_1']
        assert [row.label for row in chosen[1::2]] == list(range(1, 51))  # ours, whatever theirs

    @pytest.mark.parametrize(
        ('change', 'message'),
        [
            (lambda rows: rows.insert(4, 'v 1.avi'), r"row 5 is 'v 1\.avi'; expected .* 0 to 50"),
            (
                lambda rows: rows.insert(4, 'v 1_2.avi 51'),
                r'row 5 is .*; expected "path label" with',
            ),
            (lambda rows: rows.insert(4, 'v 1_2.avi -1'), r'row 5 is .*; expected "path label"'),
            (
                lambda rows: rows.insert(4, 'test.avi 2'),
                r'row 5: test is none of the training videos',
            ),
            (lambda rows: rows.insert(4, rows[0]), r'row 5: v 2_0 is listed before, in row 1'),
            (
                lambda rows: rows.__setitem__(4, 'v 2_2.avi 3'),
                r"row 5: the label of v 2_2 stands for 'chew', and the video is of 'catch'",
            ),
            (
                lambda rows: rows.append('v 1_50.avi 50'),
                r"class '.*' has 2 videos and others have 3; a few",
            ),
            (
                lambda rows: rows.__delitem__(slice(-2, None)),
                r"1 of 51 classes have no video, first 'wave'",
            ),
        ],
    )
    def test_wrong_lists(self, tmp_path, change, message):
        file = self.write(tmp_path / 'a.txt', self.CLASSES, change)
        with pytest.raises(DataError, match=message):
            read_shots(file, self.TRAINING, self.ORDERS, self.CLASSES)

    def test_two_lists_of_one_name(self, tmp_path):
        source = Source('hmdb51', self.CLASSES, (self.TRAINING,))
        files = [self.write(tmp_path / f'{name}.txt', self.CLASSES) for name in 'ab']
        assert list(Subsets(source, SubsetOptions(few_shot_lists=files[:1])).published_shots) == [
            'hmdb51_train_split_1_2shot_published_videos.txt'
        ]
        with pytest.raises(ConfigError, match=r'a\.txt and .*b\.txt are both of 2 shots and would'):
            Subsets(source, SubsetOptions(few_shot_lists=files))
