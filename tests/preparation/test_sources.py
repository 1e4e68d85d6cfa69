"""Datasets as their owners distribute them: what is read, and what is refused."""

from __future__ import annotations

import json
from collections import Counter

import dataset_miniatures as miniatures
import pytest
from dataset_miniatures import write_rows

from mmxclip.errors import ConfigError, DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.sources import read_source


def edit(file, old: str, new: str) -> None:
    """Replace a part of a file that must be there."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_unknown_dataset(tmp_path):
    with pytest.raises(ConfigError, match=r"dataset 'k400' is not known; expected one of kinetics"):
        read_source('k400', tmp_path)


class TestHmdb51:
    @pytest.fixture
    def videos(self, tmp_path):
        return miniatures.hmdb51(tmp_path, with_videos=['kick'])

    @pytest.mark.parametrize(
        ('order', 'kick', 'kick_ball'), [('mmaction2', 20, 21), ('xclip', 21, 20)]
    )
    def test_splits(self, videos, order, kick, kick_ball):
        source = read_source('hmdb51', videos, label_order=order)
        assert source.classes == load_class_names('hmdb51', order)
        assert [listing.file_name for listing in source.listings] == [
            f'hmdb51_{part}_split_{split}_videos.txt'
            for split in (1, 2, 3)
            for part in ('train', 'val')
        ]
        for listing in source.listings:
            assert len(listing.entries) == 51 * 2
            labels = {entry.name: entry.label for entry in listing.entries}
            first = 0 if 'train' in listing.part else 2
            assert labels[f'clip {first}!_kick_u'] == kick
            assert labels[f'clip {first + 1}!_kick_ball_u'] == kick_ball
            assert not any('clip 4' in name for name in labels)  # flag 0: unused
            assert listing.folder == videos

    @pytest.mark.parametrize(
        ('old', 'new', 'message'),
        [
            (
                '.avi 1',
                '.avi 3',
                r"kick_test_split2\.txt: row 1: flag '3' is not known; expected 0",
            ),
            ('.avi 1', '.avi', r"kick_test_split2\.txt: row 1 is 'clip 0!_kick_u\.avi'; expected"),
            ('clip 1!', 'kick/clip 1!', r'row 2 is .*; expected "name\.avi" and 0, 1 or 2'),
            (
                'clip 1!',
                'clip 0!',
                r'row 2: clip 0!_kick_u is listed before, in .*split2\.txt: row 1',
            ),
        ],
    )
    def test_wrong_rows(self, videos, old, new, message):
        edit(videos.parent / 'testTrainMulti_7030_splits' / 'kick_test_split2.txt', old, new)
        with pytest.raises(DataError, match=message):
            read_source('hmdb51', videos)

    def test_absent_class(self, videos):
        folder = videos.parent / 'testTrainMulti_7030_splits'
        (folder / 'kick_test_split3.txt').unlink()
        with pytest.raises(DataError, match=r"split 3 lacks 1 of 51 classes, first 'kick'; unpack"):
            read_source('hmdb51', videos)

    def test_foreign_class(self, videos):
        folder = videos.parent / 'testTrainMulti_7030_splits'
        (folder / 'YoYo_test_split1.txt').write_text('a.avi 1\n')
        with pytest.raises(
            DataError, match=r"'YoYo' is none of the 51 classes of HMDB51; take the"
        ):
            read_source('hmdb51', videos)

    def test_absent_split_files(self, videos, tmp_path):
        (tmp_path / 'other').mkdir()
        with pytest.raises(DataError, match=r'the split files of HMDB51 not found in .*other'):
            read_source('hmdb51', videos, tmp_path / 'other')


class TestUcf101:
    @pytest.fixture
    def videos(self, tmp_path):
        return miniatures.ucf101(tmp_path, with_videos=['YoYo'])

    def test_splits(self, videos):
        source = read_source('ucf101', videos)
        assert source.classes == load_class_names('ucf101')
        sizes = {listing.file_name: len(listing.entries) for listing in source.listings}
        assert sizes == {
            f'ucf101_{part}_split_{split}_videos.txt': size
            for split in (1, 2, 3)
            for part, size in (('train', 202), ('val', 101))
        }
        last = source.listings[-1].entries[-1]
        assert (last.name, last.label) == ('v_YoYo_g01_c01', 100)

    @pytest.mark.parametrize(
        ('file', 'old', 'new', 'message'),
        [
            ('classInd.txt', '1 Apply', '0 Apply', r"classInd\.txt: row 1 is '0 ApplyEyeMakeup'; "),
            ('classInd.txt', '3 Archery', 'Archery', r"row 3 is 'Archery'; expected 'id Class'"),
            (
                'classInd.txt',
                '3 Archery',
                '3 Bowing',
                r"row 3: 'Bowing' is none of the 101 classes",
            ),
            ('classInd.txt', '101 YoYo\n', '', r'has 100 classes; expected the 101 of UCF101'),
            ('trainlist02.txt', '.avi 1', '.avi', r'trainlist02\.txt: row 1 is .*c01\.avi id"'),
            (
                'trainlist02.txt',
                '.avi 1',
                '.avi 2',
                r'row 1: id 2 is not that of ApplyEyeMakeup, 1;',
            ),
            (
                'testlist01.txt',
                '.avi',
                '.avi 1',
                r'testlist01\.txt: row 1 is .*g01_c01\.avi", as in',
            ),
            ('testlist01.txt', 'v_Archery', 'v_YoYo', r'v_YoYo_g01_c01 is in the folder Archery'),
            ('testlist01.txt', '_g01', '_g08', r'row 1: v_ApplyEyeMakeup_g08_c01 is listed before'),
            ('trainlist01.txt', 'ApplyEyeMakeup/', '', r'expected "Class/v_Class_g01_c01\.avi id"'),
        ],
    )
    def test_wrong_rows(self, videos, file, old, new, message):
        edit(videos.parent / 'ucfTrainTestlist' / file, old, new)
        with pytest.raises(DataError, match=message):
            read_source('ucf101', videos)

    def test_absent_list(self, videos):
        (videos.parent / 'ucfTrainTestlist' / 'testlist03.txt').unlink()
        with pytest.raises(DataError, match=r'annotation .*testlist03\.txt cannot be read'):
            read_source('ucf101', videos)


class TestSsv2:
    @pytest.fixture
    def videos(self, tmp_path):
        return miniatures.ssv2(tmp_path)

    @pytest.mark.parametrize('prefix', ['something-something-v2-', ''])
    def test_splits(self, videos, prefix):
        for file in (videos.parent / 'labels').iterdir():
            file.rename(file.with_name(file.name.replace('something-something-v2-', prefix)))
        source = read_source('ssv2', videos)
        assert source.classes == load_class_names('ssv2')
        train, val = source.listings
        assert (train.file_name, val.file_name) == (
            'ssv2_train_list_videos.txt',
            'ssv2_val_list_videos.txt',
        )
        assert [(entry.name, entry.label) for entry in train.entries] == [
            (str(i), i) for i in range(174)
        ]
        assert val.entries[173].name == '1173'

    @pytest.mark.parametrize(
        ('part', 'change', 'message'),
        [
            (
                'labels',
                lambda held: held.popitem(),
                r'has 173 classes; expected the 174 of Something',
            ),
            (
                'labels',
                lambda held: held.update({'Approaching something with your camera': '1'}),
                r"class 'Approaching something with your camera' has id '1'; expected the names",
            ),
            (
                'labels',
                lambda held: held.update({'Approaching something with your camera': 'x'}),
                r"has id 'x'; expected the names and ids",
            ),
            (
                'train',
                lambda held: held[1].pop('template'),
                r'train\.json: entry 2 is .*; expected an',
            ),
            ('train', lambda held: held[1].update(id='../x'), r'entry 2 is .* number as "id"'),
            ('train', lambda held: held.append(7), r"entry 175 is '7'; expected an object"),
            (
                'train',
                lambda held: held[0].update(template='Eating [something]'),
                r"entry 1: 'Eating something' is none of the 174 classes of Something",
            ),
            (
                'validation',
                lambda held: held[0].update(id='0'),
                r'validation\.json: entry 1: video 0 is listed before, in .*train\.json: entry 1',
            ),
        ],
    )
    def test_wrong_entries(self, videos, part, change, message):
        file = videos.parent / 'labels' / f'something-something-v2-{part}.json'
        held = json.loads(file.read_text())
        change(held)
        file.write_text(json.dumps(held))
        with pytest.raises(DataError, match=message):
            read_source('ssv2', videos)


class TestKinetics:
    CLIPS = {
        'train': [('zumba', 'aaaaaaaaaaa'), ('abseiling', '-bbbbbbbbbb'), ('zumba', 'aaaa_aaaaaa')],
        'val': [("massaging person's head", 'ccccccccccc')],
    }

    @pytest.fixture
    def videos(self, tmp_path):
        return miniatures.kinetics(tmp_path, self.CLIPS, present=False)

    def test_parts(self, videos):
        (videos / 'train').mkdir()
        (videos / 'videos_val').mkdir()
        source = read_source('kinetics400', videos)
        train, val = source.listings
        assert [(entry.name, entry.label) for entry in train.entries] == [
            ('aaaaaaaaaaa_000003_000013', 399),
            ('-bbbbbbbbbb_000003_000013', 0),
            ('aaaa_aaaaaa_000003_000013', 399),
        ]
        assert source.classes[val.entries[0].label] == "massaging person's head"
        assert (train.folder, val.folder) == (videos / 'train', videos / 'videos_val')
        assert train.file_name == 'kinetics400_train_list_videos.txt'

    def test_part_without_clips_keeps_its_annotation(self, videos):
        (videos / 'val').mkdir()
        source = read_source('kinetics400', videos)
        assert [listing.folder for listing in source.listings] == [None, videos / 'val']
        assert source.notes == (
            f'{videos / "train.csv"}: no list, {videos} has no folder videos_train or train',
        )

    @pytest.mark.parametrize(
        ('header', 'row', 'lists'),
        [
            ('label,youtube_id,time_start,time_end,split', 'zumba,ddddddddddd,0,10,test', True),
            ('youtube_id,time_start,time_end,split', 'ddddddddddd,0,10,test', False),
        ],
    )
    def test_test_part_needs_labels(self, videos, header, row, lists):
        write_rows(videos / 'test.csv', [header, row])
        for part in ('train', 'val', 'test'):
            (videos / part).mkdir()
        source = read_source('kinetics400', videos)
        assert (source.listing('test') is not None) is lists
        assert any('no labels' in note for note in source.notes) is not lists

    def test_names_of_mmaction2(self, videos):
        (videos / 'annotations').mkdir()
        for part in ('train', 'val'):
            (videos / f'{part}.csv').rename(videos / 'annotations' / f'kinetics_{part}.csv')
            (videos / f'videos_{part}').mkdir()
        assert len(read_source('kinetics400', videos).listings) == 2

    def test_spellings_of_classes(self, tmp_path):
        clips = {'val': [('passing American football (not in game)', 'eeeeeeeeeee')]}
        miniatures.kinetics(tmp_path, clips)
        source = read_source('kinetics600', tmp_path)
        label = source.listings[0].entries[0].label
        assert source.classes[label] == 'passing american football (not in game)'

    @pytest.mark.parametrize(
        ('old', 'new', 'message'),
        [
            (
                '"zumba"',
                '"adjusting glasses"',
                r"train\.csv: row 2: 'adjusting glasses' is none of the",
            ),
            (',3,', ',3.5,', r"train\.csv: row 2: time_start is '3\.5'; expected whole seconds"),
            (',13,', ',-1,', r"row 2: time_end is '-1'; expected whole seconds"),
            (',13,', ',nan,', r"row 2: time_end is 'nan'; expected whole seconds"),
            ('time_end', 'end', r'the first row is .*, without time_end; expected a header with'),
            (
                '"abseiling",-bbbbbbbbbb',
                '"abseiling",aaaaaaaaaaa',
                r'row 3: clip aaaaaaaaaaa_000003_00001'
                r"3 is 'abseiling' here and 'zumba' in a row above",
            ),
        ],
    )
    def test_wrong_rows(self, videos, old, new, message):
        (videos / 'train').mkdir()
        edit(videos / 'train.csv', old, new)
        with pytest.raises(DataError, match=message):
            read_source('kinetics400', videos)

    def test_no_rows(self, videos):
        (videos / 'train').mkdir()
        write_rows(videos / 'train.csv', ['label,youtube_id,time_start,time_end,split'])
        with pytest.raises(DataError, match=r'train\.csv has a header and no rows'):
            read_source('kinetics400', videos)

    def test_clips_without_csv(self, videos):
        (videos / 'val').mkdir()
        (videos / 'val.csv').unlink()
        with pytest.raises(DataError, match=r'val has clips, but there is no val\.csv in'):
            read_source('kinetics400', videos)

    def test_no_part(self, videos):
        with pytest.raises(DataError, match=r'--videos .* holds none of the folders train, valid'):
            read_source('kinetics400', videos)

    def test_repeated_rows_count_once(self, videos):
        (videos / 'train').mkdir()
        rows = (videos / 'train.csv').read_text().splitlines()
        write_rows(videos / 'train.csv', [*rows, rows[1]])
        names = Counter(
            entry.name for entry in read_source('kinetics400', videos).listings[0].entries
        )
        assert set(names.values()) == {1}
