"""Whole preparations in this process: lists, counts, report, copies, and the order of failures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dataset_miniatures as miniatures
import pytest

from mmxclip.datasets.labelled_video_dataset import LabelledVideoDataset
from mmxclip.errors import ConfigError, DataError
from mmxclip.labels.class_names import load_class_names
from mmxclip.preparation.prepare import Options, prepare
from mmxclip.preparation.subsets import zero_shot
from mmxclip.preparation.writing import SubsetOptions

FEW = SubsetOptions(shots=(1, 2), seeds=(0, 1))


def run(dataset: str, videos: Path, out: Path, **kwargs) -> list[str]:
    """What was said."""
    said: list[str] = []
    kwargs = {'subsets': FEW, 'workers': 2, **kwargs}
    prepare(Options(dataset, videos, out, **kwargs), said.append)
    return said


def rows(file: Path) -> list[tuple[str, int]]:
    """Rows of a list."""
    cells = (line.rsplit(' ', 1) for line in file.read_text().splitlines())
    return [(path, int(label)) for path, label in cells]


def load(file: Path, videos: Path, classes, **kwargs) -> LabelledVideoDataset:
    """The dataset as a config reads it, which looks for every file."""
    prefix = {'video': str(videos)}
    return LabelledVideoDataset(str(file), [], classes=classes, data_prefix=prefix, **kwargs)


class TestHmdb51:
    @pytest.fixture(scope='class')
    @staticmethod
    def done(tmp_path_factory):
        """Prepared with a missing and a broken video."""
        root = tmp_path_factory.mktemp('hmdb51')
        videos = miniatures.hmdb51(root, per_class=3, with_videos=('kick', 'kick_ball', 'wave'))
        (videos / 'wave' / 'clip 0!_wave_u.avi').unlink()
        (videos / 'kick' / 'clip 1!_kick_u.avi').write_text('not a video')
        return videos, root / 'out', run('hmdb51', videos, root / 'out')

    def test_lists(self, done):
        videos, out, _ = done
        assert rows(out / 'hmdb51_train_split_1_videos.txt') == [
            ('kick/clip 0!_kick_u.avi', 20),
            ('kick/clip 2!_kick_u.avi', 20),
            *((f'kick_ball/clip {i}!_kick_ball_u.avi', 21) for i in range(3)),
            *((f'wave/clip {i}!_wave_u.avi', 50) for i in (1, 2)),
        ]
        for split in (1, 2, 3):
            for part, size in (('train', 7), ('val', 6)):
                file = out / f'hmdb51_{part}_split_{split}_videos.txt'
                assert len(load(file, videos, 'hmdb51', label_order='mmaction2')) == size

    def test_counts(self, done):
        *_, said = done
        assert (
            'hmdb51_train_split_1_videos.txt: 7 of 153 found (145 missing, 1 undecodable)' in said
        )
        assert 'hmdb51_val_split_3_videos.txt: 6 of 102 found (96 missing)' in said
        assert 'hmdb51_train_split_1_1shot_seed0_videos.txt: 3 of 51 found' in said

    def test_report(self, done):
        videos, out, _ = done
        report = json.loads((out / 'hmdb51_report.json').read_text())
        name = 'hmdb51_train_split_1_videos.txt'
        assert report['lists'][name] == {'annotated': 153, 'found': 7}
        assert 'clip 0!_wave_u' in report['missing'][name]
        assert 'clip 1!_kick_u' not in report['missing'][name]
        assert report['undecodable'] == {
            str(videos): {
                'kick/clip 1!_kick_u.avi': 'cannot be opened (FFmpeg finds no video in it)'
            }
        }

    def test_few_shot_lists_are_part_of_training(self, done):
        _, out, _ = done
        training = set(rows(out / 'hmdb51_train_split_1_videos.txt'))
        for seed in (0, 1):
            one, two = (
                set(rows(out / f'hmdb51_train_split_1_{shots}shot_seed{seed}_videos.txt'))
                for shots in (1, 2)
            )
            assert one < two <= training
            assert (len(one), len(two)) == (3, 6)

    def test_base_and_novel(self, done):
        videos, out, _ = done
        base, novel = (
            load_class_names(out / f'hmdb51_{half}_classes.csv') for half in ('base', 'novel')
        )
        assert (len(base), len(novel)) == (26, 25)
        assert sorted((*base, *novel)) == sorted(load_class_names('hmdb51', 'mmaction2'))
        (row,) = {label for _, label in rows(out / 'hmdb51_base_val_videos.txt')}
        assert base[row] == 'wave'
        found = {novel[label] for _, label in rows(out / 'hmdb51_novel_val_videos.txt')}
        assert found == {'kick', 'kick ball'}
        file = out / 'hmdb51_base_train_16shot_seed1_videos.txt'
        assert len(load(file, videos, str(out / 'hmdb51_base_classes.csv'))) == 2

    def test_other_order(self, done, tmp_path):
        videos, *_ = done
        run('hmdb51', videos, tmp_path, label_order='xclip', check=None)
        labels = dict(rows(tmp_path / 'hmdb51_train_split_1_videos.txt'))
        assert labels['kick/clip 0!_kick_u.avi'] == 21
        assert labels['kick_ball/clip 0!_kick_ball_u.avi'] == 20
        assert labels['kick/clip 1!_kick_u.avi'] == 21  # not checked, so not left out

    def test_nothing_of_it_has_changed_the_videos(self, done):
        videos, _, _ = done
        assert len([path for path in videos.rglob('*') if path.is_file()]) == 3 * 6 - 1


class TestKinetics:
    CLIPS = {
        'train': [('zumba', f'train{i:06d}') for i in range(3)] + [('abseiling', 'ttttttttttt')],
        'val': [('zumba', 'zzzzzzzzzzz'), ('acting in play', 'aaaaaaaaaaa')],
    }

    @pytest.mark.parametrize('flat', [True, False])
    def test_zero_shot_splits(self, tmp_path, flat):
        videos = miniatures.kinetics(tmp_path / 'k600', self.CLIPS, flat=flat)
        name = next(name for name in zero_shot.draw_classes(0))
        assert name == 'acting in play'
        run(
            'kinetics600', videos, tmp_path / 'out', check=None, subsets=SubsetOptions(seeds=(0, 7))
        )
        path = 'aaaaaaaaaaa_000003_000013.mp4'
        path = path if flat else f'acting in play/{path}'
        assert rows(tmp_path / 'out' / 'kinetics600_zeroshot_split_1_videos.txt') == [(path, 0)]
        stem = 'kinetics600_zeroshot_split_{}_classes.csv'
        drawn = [load_class_names(tmp_path / 'out' / stem.format(split)) for split in (1, 2)]
        assert drawn == [zero_shot.draw_classes(0), zero_shot.draw_classes(7)]
        file = tmp_path / 'out' / 'kinetics600_val_list_videos.txt'
        assert len(load(file, videos / 'val', 'kinetics600')) == 2

    def test_published_zero_shot_splits(self, tmp_path):
        videos = miniatures.kinetics(tmp_path / 'k600', self.CLIPS)
        (tmp_path / 'a.txt').write_text('adjusting glasses\nacting in play\n')
        subsets = SubsetOptions(zeroshot_lists=[tmp_path / 'a.txt'])
        said = run('kinetics600', videos, tmp_path / 'out', check=None, subsets=subsets)
        assert [line for line in said if 'zeroshot' in line] == [
            'kinetics600_zeroshot_split_1_videos.txt: 1 of 1 found'
        ]
        (row,) = rows(tmp_path / 'out' / 'kinetics600_zeroshot_split_1_videos.txt')
        assert row[1] == 1

    def test_validation_alone_is_enough(self, tmp_path):
        """The base classes come from the annotation of training videos, without the videos."""
        clips = {'train': self.CLIPS['train'], 'val': [('zumba', 'zzzzzzzzzzz')]}
        videos = miniatures.kinetics(tmp_path / 'k400', clips)
        whole = run('kinetics400', videos, tmp_path / 'whole', check=None)
        assert 'kinetics400_base_train_16shot_seed0_videos.txt: 4 of 3200 found' in whole
        shutil.rmtree(videos / 'train')
        said = run('kinetics400', videos, tmp_path / 'out', check=None)
        assert any('no list' in line for line in said)
        assert not [line for line in said if '_train_' in line]
        for file in ('base_classes.csv', 'novel_classes.csv', 'base_val_videos.txt'):
            name = f'kinetics400_{file}'
            assert (tmp_path / 'out' / name).read_text() == (tmp_path / 'whole' / name).read_text()
        (videos / 'train.csv').unlink()
        said = run('kinetics400', videos, tmp_path / 'less', check=None)
        assert said[1].startswith('no base and novel classes: they need the annotation')


class TestUcf101:
    def test_copies_are_listed(self, tmp_path):
        videos = miniatures.ucf101(tmp_path / 'ucf')
        (videos / 'YoYo' / 'v_YoYo_g08_c01.avi').write_text('no video')
        said = run(
            *('ucf101', videos, tmp_path / 'out'),
            short_side=256,
            copies=tmp_path / 'copies',
            check='full',
        )
        assert said[:3] == ['videos to check: 6', 'videos to copy: 5', 'videos to check: 5']
        file = tmp_path / 'out' / 'ucf101_train_split_1_videos.txt'
        assert rows(file) == [
            ('Archery/v_Archery_g08_c01.mp4', 2),
            ('Archery/v_Archery_g09_c01.mp4', 2),
            ('YoYo/v_YoYo_g09_c01.mp4', 100),
        ]
        assert len(load(file, tmp_path / 'copies', 'ucf101')) == 3
        again = run(
            *('ucf101', videos, tmp_path / 'out'), short_side=256, copies=tmp_path / 'copies'
        )
        assert again[:3] == [
            'videos to check: 0 (6 known from before)',
            'videos to copy: 0 (5 copied before)',
            'videos to check: 0 (5 known from before)',
        ]
        assert rows(file)[0] == ('Archery/v_Archery_g08_c01.mp4', 2)

    @pytest.mark.parametrize('copies', ['ucf/UCF-101', 'ucf/UCF-101/small', 'ucf'])
    def test_copies_among_the_videos(self, tmp_path, copies):
        videos = miniatures.ucf101(tmp_path / 'ucf')
        with pytest.raises(ConfigError, match=r'--reencoded-dir .* and --videos .* lie one in the'):
            run('ucf101', videos, tmp_path / 'out', short_side=256, copies=tmp_path / copies)

    def test_published_list_is_read_before_the_videos_are_checked(self, tmp_path):
        videos = miniatures.ucf101(tmp_path / 'ucf')
        (tmp_path / 'a.txt').write_text('v_YoYo_g01_c01.avi 100\n')
        subsets = SubsetOptions(few_shot_lists=[tmp_path / 'a.txt'])
        with pytest.raises(
            DataError, match=r'row 1: v_YoYo_g01_c01 is none of the training videos'
        ):
            run('ucf101', videos, tmp_path / 'out', subsets=subsets)
        assert not (tmp_path / 'out').exists()

    def test_videos_of_another_dataset(self, tmp_path):
        miniatures.ucf101(tmp_path / 'ucf', with_videos=())
        videos = miniatures.hmdb51(tmp_path / 'hmdb', with_videos=('kick',))
        with pytest.raises(
            DataError, match=r'has none of the 202 videos that .* lists, first v_App'
        ):
            run('ucf101', videos, tmp_path / 'out', annotations=tmp_path / 'ucf/ucfTrainTestlist')

    def test_no_video_can_be_used(self, tmp_path):
        videos = miniatures.ucf101(tmp_path / 'ucf', with_videos=('YoYo',))
        for file in videos.rglob('*.avi'):
            file.write_text('no video')
        with pytest.raises(DataError, match=r'none of the videos of ucf101_train.*FFmpeg finds no'):
            run('ucf101', videos, tmp_path / 'out')


def test_ssv2(tmp_path):
    videos = miniatures.ssv2(tmp_path / 'ssv2')
    run('ssv2', videos, tmp_path / 'out', check='places')
    file = tmp_path / 'out' / 'ssv2_val_list_videos.txt'
    assert rows(file) == [(f'{1000 + i}.webm', i) for i in range(3)]
    assert len(load(file, videos, 'ssv2')) == 3
    halves = [
        load_class_names(tmp_path / 'out' / f'ssv2_{half}_classes.csv')
        for half in ('base', 'novel')
    ]
    assert [len(half) for half in halves] == [87, 87]


def test_unusable_out_is_found_before_the_check(tmp_path):
    videos = miniatures.ssv2(tmp_path / 'ssv2')
    (tmp_path / 'file').touch()
    said: list[str] = []
    with pytest.raises(DataError, match=r'--out .*file/out is not writable'):
        prepare(Options('ssv2', videos, tmp_path / 'file' / 'out'), said.append)
    assert said == []
