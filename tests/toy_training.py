"""A training in which everything is random, small enough to be run many times.

``python toy_training.py config.py`` trains in a process of its own.
"""

from __future__ import annotations

import copy
import os
import random
import signal
import sys
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, RUNNERS, DefaultScope
from mmengine.runner import Runner  # noqa: F401  (registers)
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import mmxclip  # noqa: F401  (registers)

WIDTH, SAMPLES = 8, 20


@DATASETS.register_module(force=True)
class ToyRandomDataset(Dataset):
    """Each sample draws from all three generators, and one in four is replaced by another."""

    metainfo = {'classes': ('a', 'b')}

    def __init__(self, length: int = SAMPLES, noise: float = 1.0) -> None:
        self.length = length
        self.noise = noise

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        if self.noise and np.random.rand() < 0.25:
            index = np.random.randint(self.length)
        generator = torch.Generator().manual_seed(index)
        x = torch.randn(WIDTH, generator=generator)
        x = x + self.noise * (torch.rand(WIDTH) + random.random() - np.random.rand())
        return dict(x=x.float(), label=index % 2, index=index)


@MODELS.register_module(force=True)
class ToyDropoutModel(BaseModel):
    """Two layers with dropout, the first of them new."""

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.second = nn.Linear(WIDTH, 2)
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.dropout = nn.Dropout(dropout)

    def new_parameter_names(self) -> list[str]:
        return ['first.weight', 'first.bias']

    def forward(self, x: list, label: list, index: list, mode: str = 'loss') -> Any:
        x, label = torch.stack(x), torch.as_tensor(label)
        hidden = self.dropout(self.first(x).relu())
        logits = self.logit_scale * self.frozen(self.second(hidden))
        if mode == 'loss':
            return dict(loss=nn.functional.cross_entropy(logits.float(), label))
        return list(zip(logits.float(), label, strict=True))


@METRICS.register_module(force=True)
class ToyScore(BaseMetric):
    """Mean logit of the right class: a number with all its digits."""

    default_prefix = 'toy'

    def process(self, data_batch: Any, data_samples: list[tuple[Tensor, Tensor]]) -> None:
        self.results += [float(logits[label]) for logits, label in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return dict(score=float(np.mean(results)))


class Stopped(Exception):
    """Thrown by :class:`StopHook`."""


@HOOKS.register_module(force=True)
class StopHook(Hook):
    """End the run after an iteration, when everything else about it is done."""

    priority = 'LOWEST'

    def __init__(self, iteration: int, kill: bool = False) -> None:
        self.iteration = iteration
        self.kill = kill

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter + 1 == self.iteration:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Stopped


@HOOKS.register_module(force=True)
class RecordHook(Hook):
    """Keep what was seen and lost, by iteration, in the checkpoint of the last one."""

    def __init__(self) -> None:
        self.rows: dict[int, tuple] = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.rows[runner.iter] = (batch_idx, tuple(data_batch['index']), outputs['loss'].item())


def toy_config(work_dir: Any, **changes: Any) -> Config:
    """Three epochs of five batches of four; ``changes`` are dotted with double underscores."""
    loader = dict(
        dataset=dict(type='ToyRandomDataset'),
        sampler=dict(type='DefaultSampler', shuffle=True),
        batch_size=4,
        num_workers=0,
    )
    plain = dict(
        loader,
        dataset=dict(type='ToyRandomDataset', length=6, noise=0),
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    cfg = Config(
        dict(
            default_scope='mmengine',
            work_dir=str(work_dir),
            model=dict(type='ToyDropoutModel'),
            train_dataloader=loader,
            val_dataloader=plain,
            val_evaluator=dict(type='ToyScore'),
            train_cfg=dict(type='mmxclip.ResumableEpochBasedTrainLoop', max_epochs=3),
            val_cfg=dict(),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1),
                constructor='mmxclip.XCLIPOptimWrapperConstructor',
            ),
            param_scheduler=[
                dict(type='LinearLR', start_factor=0.5, begin=0, end=7, by_epoch=False),
                dict(type='MultiStepLR', milestones=[1, 2], gamma=0.5, by_epoch=True),
            ],
            default_hooks=dict(
                checkpoint=dict(type='mmxclip.ResumableCheckpointHook', interval=1, rule='greater'),
                logger=dict(type='LoggerHook', interval=1000),
            ),
            custom_hooks=[dict(type='RecordHook')],
            randomness=dict(seed=3),
            log_level='WARNING',
            env_cfg=dict(dist_cfg=dict(backend='gloo')),
        )
    )
    changes = copy.deepcopy(changes)  # merging takes ``_delete_`` out of them
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    return cfg


_runs = 0


def train(cfg: Config, loader: DataLoader | None = None) -> Any:
    """Train, and return the runner; its records are in ``runner.rows``."""
    global _runs
    scopes = DefaultScope._instance_dict.copy()
    _runs += 1  # loggers and message hubs are global, by name
    cfg.experiment_name = f'toy_{os.getpid()}_{_runs}'
    runner = RUNNERS.build(cfg)
    if loader is not None:  # no config can hold one
        runner._train_dataloader = loader
    runner.rows = next(hook for hook in runner.hooks if isinstance(hook, RecordHook)).rows
    try:
        runner.train()
    finally:
        DefaultScope._instance_dict = scopes  # for what else a test session builds
        # ends its workers now; the garbage collector would wait ten seconds for them
        runner.train_dataloader._iterator = None
    return runner


if __name__ == '__main__':
    train(Config.fromfile(sys.argv[1]))
