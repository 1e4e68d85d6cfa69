"""Bad videos in training and testing: replaced up to a share, or counted, never ignored."""

from __future__ import annotations

import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader
from video_files import damaged, write_video

from mmxclip.datasets.bad_videos import BadVideos, SharedNames
from mmxclip.errors import DataError

GOOD, BAD = 24, 2


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A small data set: good videos, one damaged within and one that is no video."""
    folder = tmp_path_factory.mktemp('videos')
    rows = []
    for index in range(GOOD):
        write_video(folder / f'{index}.mp4', num_frames=6, size=(32, 32))
        rows.append(f'{index}.mp4 {index % 3}')
    damaged(folder / 'damaged.mp4')
    (folder / 'text.mp4').write_text('no video')
    rows[5:5] = ['damaged.mp4 1', 'text.mp4 2']
    (folder / 'list.txt').write_text('\n'.join(rows))
    return folder


def dataset(folder, on_error, test_mode, max_bad_share=0.5):
    """VideoDataset over the folder."""
    meta_keys = ('filename', 'unreadable', 'true_label')
    return DATASETS.build(
        dict(
            type='VideoDataset',
            ann_file=str(folder / 'list.txt'),
            data_prefix=dict(video=str(folder)),
            test_mode=test_mode,
            pipeline=[
                dict(type='RobustDecordInit', on_error=on_error, max_bad_share=max_bad_share),
                dict(type='SegmentSampleFrames', clip_len=12, test_mode=test_mode),
                dict(type='RobustDecordDecode'),
                dict(type='Resize', scale=(32, 32), keep_ratio=False),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs', meta_keys=meta_keys),
            ],
        )
    )


@pytest.mark.parametrize('num_workers', [0, 2])
def test_training_replaces_and_counts(folder, num_workers):
    data = dataset(folder, 'replace', test_mode=False)
    loader = DataLoader(data, batch_size=2, num_workers=num_workers, collate_fn=pseudo_collate)
    batches = list(loader) + list(loader)
    assert sum(len(batch['inputs']) for batch in batches) == 2 * (GOOD + BAD)
    names = {sample.filename for batch in batches for sample in batch['data_samples']}
    assert not any('damaged' in name or 'text' in name for name in names)
    bad_videos = data.pipeline.transforms[0].bad_videos
    assert bad_videos.failures >= 2 * BAD
    assert bad_videos.attempts == 2 * (GOOD + BAD) + bad_videos.failures


@pytest.mark.parametrize('num_workers', [0, 1])
def test_training_fails_when_too_many_are_bad(folder, num_workers):
    data = dataset(folder, 'replace', test_mode=False, max_bad_share=0.01)
    loader = DataLoader(data, batch_size=2, num_workers=num_workers, collate_fn=pseudo_collate)
    with pytest.raises(
        DataError,
        match=r'attempts to read a video failed .* 2 videos\), more than max_bad_share=0\.01',
    ):
        for _ in range(20):
            list(loader)


def test_testing_raises_with_the_name(folder):
    data = dataset(folder, 'raise', test_mode=True)
    with pytest.raises(DataError, match=r'damaged\.mp4 is damaged .* set on_error='):
        list(data)


def test_testing_counts(folder):
    samples = [item['data_samples'] for item in dataset(folder, 'count', test_mode=True)]
    assert len(samples) == GOOD + BAD
    marked = {s.filename.rsplit('/')[-1]: s for s in samples if 'unreadable' in s.metainfo}
    assert set(marked) == {'damaged.mp4', 'text.mp4'}
    assert [marked['damaged.mp4'].true_label, marked['text.mp4'].true_label] == [1, 2]
    # no prediction equals it, not even under a metric that knows nothing of placeholders
    assert all(sample.gt_label.item() == -1 for sample in marked.values())


def test_each_name_is_logged_once(monkeypatch):
    logged = []
    monkeypatch.setattr(
        'mmxclip.datasets.bad_videos.print_log', lambda message, **_: logged.append(message)
    )
    bad_videos = BadVideos('count')
    for name in ('a.mp4', 'b.mp4', 'a.mp4'):
        bad_videos.opened()
        bad_videos.failed(DataError(f'{name} cannot be opened'), name)
    assert bad_videos.failures == 3
    assert logged == ['bad video: a.mp4 cannot be opened', 'bad video: b.mp4 cannot be opened']


def test_names_are_shared_between_processes():
    names = SharedNames(64)
    context = torch.multiprocessing.get_context('fork')
    child = context.Process(target=names.add, args=('Ängström.mp4',))
    child.start()
    child.join()
    assert not names.add('Ängström.mp4')
    assert names.add('another.mp4')
