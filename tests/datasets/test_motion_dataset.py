"""MotionDataset: from nothing to model inputs through MMAction2's pipeline."""

import numpy as np
import pytest
from mmaction.registry import DATASETS

from mmxclip.datasets import MotionDataset
from mmxclip.datasets.motion import SEEN_CLASSES, UNSEEN_CLASSES
from mmxclip.datasets.motion_dataset import NUM_VIDEOS, Recipe
from mmxclip.errors import ConfigError, DataError

PIPELINE = [
    dict(type='DecordInit'),
    dict(type='UniformSample', clip_len=8, num_clips=1, test_mode=True),
    dict(type='DecordDecode'),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]


def files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and path.suffix != '.lock'
    }


def test_through_the_standard_pipeline(tmp_path):
    dataset = DATASETS.build(
        dict(type='MotionDataset', split='val', data_root=str(tmp_path), num_videos=3)
        | dict(pipeline=PIPELINE, test_mode=True)
    )
    assert len(dataset) == 3
    recipe = Recipe('val', 3, 0, 16, 64, 8)
    for index in range(3):
        item = dataset[index]
        assert item['inputs'].shape == (1, 3, 8, 64, 64)  # (V, C, T, H, W)
        assert item['data_samples'].gt_label.tolist() == [index]
        drawn = recipe.frames(index)[1::2]  # the middle frames of eight segments
        shown = item['inputs'][0].numpy().transpose(1, 2, 3, 0)
        assert np.abs(shown.astype(int) - drawn).mean() < 4


@pytest.mark.parametrize(
    ('split', 'classes'),
    [('train', SEEN_CLASSES), ('val', SEEN_CLASSES), ('unseen', UNSEEN_CLASSES)],
)
def test_labels_number_the_classes_in_turn(tmp_path, split, classes):
    dataset = MotionDataset([], split=split, data_root=tmp_path, num_videos=len(classes) + 2)
    assert dataset.metainfo['classes'] == classes
    labels = [dataset.get_data_info(index)['label'] for index in range(len(dataset))]
    assert labels == [*range(len(classes)), 0, 1]


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        MotionDataset([], data_root=tmp_path / name, num_videos=3)
    assert files(tmp_path / 'a') == files(tmp_path / 'b')


def test_splits_and_seeds_differ_and_keep_apart(tmp_path):
    for arguments in (dict(), dict(split='val'), dict(seed=1), dict(num_videos=2)):
        MotionDataset([], **{'data_root': tmp_path, 'num_videos': 1} | arguments)
    folders = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(folders) == 4
    firsts = [(folder / '00000.mp4').read_bytes() for folder in folders]
    assert len(set(firsts)) == 3  # more videos begin with the same ones


def test_files_are_written_once(tmp_path, monkeypatch):
    MotionDataset([], data_root=tmp_path, num_videos=2)
    monkeypatch.setattr(Recipe, 'write', None)
    assert len(MotionDataset([], data_root=tmp_path, num_videos=2)) == 2


def test_progress_is_shown(tmp_path, capsys):
    MotionDataset([], data_root=tmp_path, num_videos=2)
    assert 'moving shapes' in capsys.readouterr().out


def test_the_data_root_is_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    MotionDataset([], num_videos=1)
    assert list((tmp_path / 'data' / 'motion').glob('train-*/00000.mp4'))


def test_the_default_size_fits_the_promise(tmp_path):
    """All splits stay below 60 MB."""
    number = 64
    MotionDataset([], data_root=tmp_path, num_videos=number)
    whole = sum(NUM_VIDEOS.values()) / number
    assert sum(map(len, files(tmp_path).values())) * whole < 60e6


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(split='test'), r"split='test' is not known; expected one of \['train', 'val'"),
        (dict(num_videos=0), 'num_videos=0 must be a whole number from 1'),
        (dict(seed=-1), 'seed=-1 must be a whole number from 0'),
        (dict(num_frames=1), 'num_frames=1 must be a whole number from 2'),
        (dict(img_size=48), 'img_size=48 must be a multiple of 32'),
    ],
)
def test_wrong_arguments(tmp_path, arguments, message):
    with pytest.raises(ConfigError, match=message):
        MotionDataset([], data_root=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_data_root(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(DataError, match='cannot be written'):
        MotionDataset([], data_root=tmp_path / 'file' / 'motion', num_videos=1)
