"""Trainings of two processes, whose files ``test_distributed.py`` examines.

``torchrun --nproc-per-node 2 two_ranks.py FOLDER`` writes a folder for each. They
share one pair of processes, since starting it takes longer than all of them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from golden import golden_config
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.registry import DATASETS
from torch.utils.data import Dataset
from toy_training import Stopped, toy_config, train


@DATASETS.register_module(force=True)
class ToyClips(Dataset):
    """Clips of noise, labelled."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict:
        generator = torch.Generator().manual_seed(index)
        clip = torch.randint(256, (1, 3, 4, 32, 32), generator=generator, dtype=torch.uint8)
        return dict(
            inputs=clip, data_samples=ActionDataSample().set_gt_label(index % 3), index=index
        )


def xclip_config(folder: Path, **changes: Any) -> Config:
    """The small XCLIP with text tower and temperature in training, for two epochs of two steps."""
    head = golden_config()['cls_head']
    encoder = dict(head['text_encoder'], vocab_size=49408, frozen=False)
    model = golden_config()
    model['cls_head'] = dict(
        head, classes=['running', 'sitting', 'lying'], text_encoder=encoder, train_logit_scale=True
    )
    model['data_preprocessor'] = dict(
        type='ActionDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3, format_shape='NCTHW'
    )
    cfg = toy_config(
        folder,
        default_scope='mmaction',
        train_cfg__max_epochs=2,
        val_cfg=None,
        val_dataloader=None,
        val_evaluator=None,
        # AdamW would make steps of the learning rate out of gradients that are rounding alone
        optim_wrapper__optimizer=dict(_delete_=True, type='SGD', lr=1e-2, momentum=0.9),
        **changes,
    )
    cfg.model = model
    cfg.train_dataloader.dataset = dict(type='ToyClips')
    return cfg


BY_ITERATION = dict(
    default_hooks__checkpoint__by_epoch=False, default_hooks__checkpoint__interval=2
)
CALM = dict(model__dropout=0.0)  # dropout draws by process, and there are two or one
DIFFERENT = dict(randomness=dict(diff_rank_seed=True))
AMP = dict(optim_wrapper__type='mmxclip.CPUAmpOptimWrapper')
FSDP = dict(
    runner_type='FlexibleRunner',
    strategy=dict(
        type='mmxclip.CLIPFSDPStrategy',
        model_wrapper=dict(auto_wrap_policy=dict(type='mmxclip.clip_blocks', blocks=['Linear'])),
    ),
)
STOP = [dict(type='RecordHook'), dict(type='StopHook', iteration=9)]


def run(folder: Path, name: str, **changes: Any) -> None:
    """Train in ``folder/name``, two samples in each process, and write down what was seen."""
    make = xclip_config if name.startswith('xclip') else toy_config
    cfg = make(folder / name, launcher='pytorch', train_dataloader__batch_size=2, **changes)
    runner = train(cfg)
    torch.save(runner.rows, folder / f'{name}_rank{get_rank()}.pth')


def stop(folder: Path, name: str, **changes: Any) -> None:
    """Start likewise, and stop after nine of fifteen iterations."""
    try:
        run(folder, name, custom_hooks=STOP, **changes)
    except Stopped:
        return
    raise AssertionError('the run was not stopped')


def main(folder: Path) -> None:
    """Run everything."""
    for kind, changes in {'ddp': {}, 'fsdp': FSDP}.items():
        run(folder, f'{kind}_calm', **changes, **CALM)
        run(folder, f'{kind}_full', **changes, **BY_ITERATION, **DIFFERENT)
        stop(folder, f'{kind}_cut', **changes, **BY_ITERATION, **DIFFERENT)
        run(folder, f'{kind}_cut', **changes, **BY_ITERATION, **DIFFERENT, resume=True)
        run(folder, f'{kind}_amp', **changes, **AMP, train_cfg__max_epochs=1)
    run(folder, 'xclip_ddp')
    blocks = dict(strategy=dict(type='mmxclip.CLIPFSDPStrategy'))
    run(folder, 'xclip_fsdp', **{**FSDP, **blocks})
    accumulating = dict(BY_ITERATION, optim_wrapper__accumulative_counts=3)
    run(folder, 'ddp_accumulating_full', **accumulating)
    stop(folder, 'ddp_accumulating_cut', **accumulating)
    run(folder, 'ddp_accumulating_cut', **accumulating, resume=True)


if __name__ == '__main__':
    main(Path(sys.argv[1]))
