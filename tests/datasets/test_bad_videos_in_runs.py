"""Runs of MMEngine's Runner over a data set of which some videos cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from video_files import damaged, write_video

from mmxclip.apis.reporting import explain
from mmxclip.errors import DataError

GOOD = 10
CLASSES = ['falling', 'flying']


class AlwaysTheFirst(BaseModel):
    """Predicts class 0 for every video."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.cls_head = nn.Module()
        self.cls_head.classes = tuple(CLASSES)

    def forward(self, inputs, data_samples, mode):
        if mode == 'loss':
            return dict(loss=self.weight.sum())
        for sample in data_samples:
            sample.set_pred_score(torch.tensor([0.9, 0.1]))
        return data_samples


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Ten good videos of class 0; a damaged one of class 0, a text file of class 1."""
    folder = tmp_path_factory.mktemp('videos')
    for index in range(GOOD):
        write_video(folder / f'{index}.mp4', num_frames=6, size=(32, 32))
    damaged(folder / 'damaged.mp4')
    (folder / 'text.mp4').write_text('no video')
    rows = [f'{index}.mp4 0' for index in range(GOOD)] + ['damaged.mp4 0', 'text.mp4 1']
    (folder / 'list.txt').write_text('\n'.join(rows))
    return folder


def loader(folder, num_workers, test_mode, **init):
    meta_keys = ('filename', 'unreadable', 'true_label')
    return dict(
        batch_size=4,
        num_workers=num_workers,
        sampler=dict(type='DefaultSampler', shuffle=not test_mode),
        dataset=dict(
            type='LabelledVideoDataset',
            ann_file=str(folder / 'list.txt'),
            data_prefix=dict(video=str(folder)),
            classes=CLASSES,
            test_mode=test_mode,
            pipeline=[
                dict(type='RobustDecordInit', **init),
                dict(type='SegmentSampleFrames', clip_len=2, test_mode=test_mode),
                dict(type='RobustDecordDecode'),
                dict(type='Resize', scale=(32, 32), keep_ratio=False),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs', meta_keys=meta_keys),
            ],
        ),
    )


def runner(work_dir, folder, num_workers=0, epochs=2, **train_init):
    """A runner whose validation counts bad videos."""
    validation = loader(folder, num_workers, True, on_error='count')
    return Runner(
        model=AlwaysTheFirst(),
        work_dir=str(work_dir),
        train_dataloader=loader(folder, num_workers, False, **train_init),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        val_dataloader=validation,
        val_cfg=dict(),
        val_evaluator=dict(type='VideoAccMetric'),
        custom_hooks=[dict(type='ClassNamesCheckHook'), dict(type='BadVideosHook')],
        default_hooks=dict(checkpoint=None),
        default_scope='mmaction',
        experiment_name=f'bad_videos_{work_dir.name}',
    )


def log_of(run) -> list[str]:
    """Lines of the run's log file."""
    (path,) = Path(run._log_dir).glob('*.log')
    return path.read_text().splitlines()


@pytest.mark.parametrize('num_workers', [0, 2])
def test_training_and_validation_go_on(tmp_path, folder, num_workers):
    run = runner(tmp_path, folder, num_workers, on_error='replace', max_bad_share=0.5)
    run.train()
    lines = log_of(run)
    for name in ('damaged.mp4', 'text.mp4'):
        # by the training set and by the validation set, in the same words or not;
        # MMEngine's logger drops a warning that it has had before
        assert sum('bad video:' in line and name in line for line in lines) in (1, 2)
    assert 'so far, 2 bad videos, met' in '\n'.join(lines)
    (listed,) = [line for line in lines if 'could not be read' in line]
    assert '2 of 12 videos could not be read and count as wrong: ' in listed
    assert 'damaged.mp4 is damaged (' in listed
    assert 'text.mp4 cannot be opened (FFmpeg finds no video in it)' in listed
    scalars = run.message_hub.log_scalars
    assert scalars['val/acc/unreadable'].current() == 2
    assert scalars['val/acc/top1'].current() == pytest.approx(GOOD / 12)
    # class 0: 10 of 11; class 1: 0 of 1
    assert scalars['val/acc/mean1'].current() == pytest.approx((GOOD / 11 + 0) / 2)


@pytest.mark.parametrize('num_workers', [0, 2])
def test_training_ends_when_too_many_are_bad(tmp_path, folder, num_workers):
    run = runner(tmp_path, folder, num_workers, epochs=50, on_error='replace', max_bad_share=0.05)
    with pytest.raises(DataError) as caught:
        run.train()
    told = explain(caught.value)
    assert 'attempts to read a video failed' in told
    assert 'max_bad_share=0.05' in told
    assert '\n' not in told


def test_training_ends_at_once_when_told_to(tmp_path, folder):
    run = runner(tmp_path, folder, on_error='raise')
    with pytest.raises(DataError, match=r"(damaged|text)\.mp4 .*; or set on_error='replace'"):
        run.train()
