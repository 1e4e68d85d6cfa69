"""Folders like those of HMDB51 with four classes, and configs with protocols over them.

``Miniature(folder)`` writes everything below ``folder``; a config is a file, as
for a user. The model is the small one, on the weights that the package ships.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmxclip.datasets.motion.writing import write_video

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ('brush hair', 'cartwheel', 'catch', 'clap')
BASE, NOVEL = CLASSES[:2], CLASSES[2:]
PER_CLASS, TRAINING = 6, 4
KILL = 'MINIATURE_KILL'

CONFIG = """
_base_ = [
    '{root}/configs/_base_/models/xclip_tiny.py',
    '{root}/configs/_base_/default_runtime.py',
]
custom_imports = dict(imports=['mmxclip', 'miniature'], allow_failed_imports=False)
classes = {classes!r}
open_video = dict(type='RobustDecordInit', isolate=False, on_error='count')
pack = [
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs', meta_keys=('filename', 'unreadable', 'true_label')),
]
train_pipeline = [
    open_video,
    dict(type='SegmentSampleFrames', clip_len=4),
    dict(type='RobustDecordDecode'),
    dict(type='Flip', flip_ratio=0.5),
    *pack,
]
test_pipeline = [
    open_video,
    dict(type='SegmentSampleFrames', clip_len=4, num_clips={clips}, test_mode=True),
    dict(type='RobustDecordDecode'),
    dict(type='Resize', scale=(64, 64), keep_ratio=False),
    *pack,
]
data = dict(
    type='LabelledVideoDataset',
    data_root='{folder}',
    data_prefix=dict(video='videos'),
    classes=classes,
)
model = dict(neck=dict(num_frames=4), cls_head=dict(classes=classes))
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(ann_file='hmdb51_train_split_1_videos.txt', pipeline=train_pipeline, **data),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='hmdb51_val_split_1_videos.txt', pipeline=test_pipeline, test_mode=True, **data
    ),
)
test_evaluator = dict(type='VideoAccMetric')
train_cfg = dict(type='ResumableEpochBasedTrainLoop', max_epochs=2)
test_cfg = dict(type='TestLoop')
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-3), constructor='XCLIPOptimWrapperConstructor'
)
default_hooks = dict(checkpoint=dict(save_best=None), logger=dict(interval=1000))
custom_hooks = [dict(type='ClassNamesCheckHook'), dict(type='MiniatureKillHook')]
randomness = dict(seed=0)
visualizer = dict(_delete_=True, type='Visualizer')  # writes the config once more
protocol = {protocol!r}
"""

PROTOCOLS: dict[str, dict[str, Any]] = {
    'zeroshot': dict(
        axes=dict(split=[1, 2, 3]),
        options={'test_dataloader.dataset.ann_file': 'hmdb51_val_split_{split}_videos.txt'},
    ),
    'fewshot': dict(
        axes=dict(shots=[2, 4], seed=[0, 1]),
        options={
            'train_dataloader.dataset.ann_file': (
                'hmdb51_train_split_1_{shots}shot_seed{seed}_videos.txt'
            ),
            'randomness.seed': '{seed}',
        },
    ),
    'supervised': dict(train=True, axes={}),
}


def base2novel(folder: Path) -> dict[str, Any]:
    """The protocol whose class names are files of the folder."""

    def evaluation(half: str) -> dict[str, str]:
        names = str(folder / f'hmdb51_{half}_classes.csv')
        return {
            'test_dataloader.dataset.ann_file': f'hmdb51_{half}_val_videos.txt',
            'test_dataloader.dataset.classes': names,
            'model.cls_head.classes': names,
        }

    return dict(
        axes=dict(seed=[0, 1]),
        options={
            'train_dataloader.dataset.ann_file': 'hmdb51_base_train_16shot_seed{seed}_videos.txt'
        },
        evaluations=dict(base=evaluation('base'), novel=evaluation('novel')),
    )


class Miniature:
    """Videos, lists, configs and a checkpoint below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._videos()
        self._lists()
        self.configs = {name: self.write_config(name) for name in (*PROTOCOLS, 'base2novel')}
        self.checkpoint = folder / 'start.pth'
        torch.manual_seed(5)
        model = MODELS.build(Config.fromfile(self.configs['zeroshot']).model)
        model.init_weights()
        torch.save({'state_dict': model.state_dict(), 'meta': {}}, self.checkpoint)

    def write_config(self, name: str, file: str | None = None, **changes: Any) -> Path:
        """Write the config of a protocol; ``changes`` are of its ``protocol``."""
        parts = base2novel(self.folder) if name == 'base2novel' else PROTOCOLS[name]
        classes = (
            str(self.folder / 'hmdb51_base_classes.csv') if name == 'base2novel' else list(CLASSES)
        )
        text = CONFIG.format(
            root=ROOT,
            folder=self.folder,
            classes=classes,
            clips=2 if name == 'supervised' else 1,
            protocol=dict(name=name, benchmark='hmdb51') | parts | changes,
        )
        path = self.folder / f'{file or "miniature_" + name}.py'
        path.write_text(text)
        return path

    def _videos(self) -> None:
        for label in range(len(CLASSES)):
            for index in range(PER_CLASS):
                path = self.folder / 'videos' / self.video(label, index)
                path.parent.mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng(10 * label + index)
                frames = rng.integers(0, 120, (8, 64, 64, 3), dtype=np.uint8)
                frames[..., label % 3] += np.uint8(100 if label < 3 else 0)
                write_video(path.with_suffix('.mp4'), frames, fps=8)
                path.with_suffix('.mp4').rename(path)

    @staticmethod
    def video(label: int, index: int) -> str:
        """Path of a video below ``videos``."""
        folder = CLASSES[label].replace(' ', '_')
        return f'{folder}/{folder}_{index}.avi'

    def _lists(self) -> None:
        training, rest = range(TRAINING), range(TRAINING, PER_CLASS)
        all_four, first, last = range(4), range(2), range(2, 4)
        for split in (1, 2, 3):
            self.write_list(f'train_split_{split}', all_four, training)
            self.write_list(f'val_split_{split}', all_four, [(split + i) % 6 for i in rest])
        for seed in (0, 1):
            for shots in (2, 4):
                chosen = [(seed + i) % TRAINING for i in range(shots)]
                self.write_list(f'train_split_1_{shots}shot_seed{seed}', all_four, chosen)
            chosen = [seed, seed + 1]
            self.write_list(f'base_train_16shot_seed{seed}', first, chosen)
        self.write_list('base_val', first, rest)
        self.write_list('novel_val', last, rest, first_label=2)
        for half, names in (('base', BASE), ('novel', NOVEL)):
            rows = [f'{index},{name}' for index, name in enumerate(names)]
            path = self.folder / f'hmdb51_{half}_classes.csv'
            path.write_text('\n'.join(['id,name', *rows]) + '\n')

    def write_list(self, name: str, labels: Any, indices: Any, first_label: int = 0) -> Path:
        """Write an annotation file."""
        rows = [f'{self.video(lab, i)} {lab - first_label}' for lab in labels for i in indices]
        path = self.folder / f'hmdb51_{name}_videos.txt'
        path.write_text('\n'.join(rows) + '\n')
        return path


@HOOKS.register_module(force=True)
class MiniatureKillHook(Hook):
    """Kill the process, as no error can be caught, at a place that the environment names.

    ``MINIATURE_KILL=shots2_seed1/train:3`` is after the third iteration of that training,
    ``split2/test:1`` before the first batch of that test.
    """

    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self._kill(runner, runner.iter + 1)

    def before_test_iter(self, runner, batch_idx, data_batch=None) -> None:
        self._kill(runner, batch_idx + 1)

    @staticmethod
    def _kill(runner, now: int) -> None:
        place, _, when = os.environ.get(KILL, '').partition(':')
        if place and str(runner.work_dir).endswith(place) and now == int(when):
            os.kill(os.getpid(), signal.SIGKILL)
