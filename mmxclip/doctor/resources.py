"""Checks of what a run takes: memory, disk, processes, and the batch that its recipe is for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mmxclip.doctor.finding import OK, PROBLEM, WARNING, Finding

GIB = 2**30
BYTES_PER_CHANNEL = 100
"""Kept for the backward pass, for each channel of each token in each layer of the vision
tower. Not measured: chosen so that :func:`training_memory` comes near the 6 GB that table 7
of the paper gives for two videos of 8 frames with frozen text (arXiv:2208.02816)."""


def check_resources(cfg: Config, model: nn.Module) -> Iterator[Finding]:
    """All checks of this file; those of training only where the config trains.

    Args:
        cfg: a whole config with ``work_dir``.
        model: on the meta device.
    """
    trains = bool(cfg.get('train_cfg') and cfg.get('train_dataloader'))
    yield check_disk(cfg, model, trains)
    yield check_workers(cfg)
    if trains:
        yield check_batch(cfg)
        yield check_memory(cfg, model)


def checkpoint_bytes(model: nn.Module, trains: bool = True) -> int:
    """Size of one checkpoint in float32, with the two moments of Adam when it trains."""
    parameters = list(model.parameters())
    weights = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    return 4 * (weights + 2 * trained * trains)


def check_disk(cfg: Config, model: nn.Module, trains: bool) -> Finding:
    """Room for checkpoints: the latest ones, the best, and the one being written."""
    folder = Path(cfg.get('work_dir') or 'work_dirs').absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        return Finding('disk', PROBLEM, f'{folder} is not writable', '--work-dir FOLDER')
    free = shutil.disk_usage(folder).free
    if not trains:
        return Finding('disk', OK, f'{free / GIB:.1f} GiB free for logs')
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    one = checkpoint_bytes(model)
    kept = hook.get('max_keep_ckpts', -1)
    number = (kept if kept > 0 else cfg.train_cfg.get('max_epochs') or 1) + 2
    text = f'{free / GIB:.1f} GiB free, {number} checkpoints of about {one / GIB:.2f} GiB'
    if free < 2 * one:
        return Finding('disk', PROBLEM, text, 'make room, or --work-dir on another disk')
    if free < number * one:
        remedy = '--cfg-options default_hooks.checkpoint.max_keep_ckpts=1, or another disk'
        return Finding('disk', WARNING, text, remedy)
    return Finding('disk', OK, text)


def check_room(cfg: Config, model: nn.Module) -> Finding:
    """Room for a single checkpoint, without which training ends at its first one."""
    folder = Path(cfg.get('work_dir') or 'work_dirs').absolute()
    while not folder.exists():
        folder = folder.parent
    free, one = shutil.disk_usage(folder).free, checkpoint_bytes(model)
    text = f'{free / GIB:.2f} GiB free in {folder}, a checkpoint takes about {one / GIB:.2f} GiB'
    if free < one:
        return Finding('disk', PROBLEM, text, 'make room, or --work-dir on another disk')
    return Finding('disk', OK, text)


def check_workers(cfg: Config) -> Finding:
    """Loader processes against cores, of the split that has most."""
    loaders = (cfg.get(f'{split}_dataloader') for split in ('train', 'val', 'test'))
    workers = max((loader.get('num_workers', 0) for loader in loaders if loader), default=0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    processes = workers * max(1, torch.cuda.device_count())
    text = f'{processes} loader processes, {cores} cores'
    if processes > 2 * (cores or 1):
        remedy = f'--cfg-options train_dataloader.num_workers={cores}, and so for val and test'
        return Finding('workers', WARNING, text, remedy)
    return Finding('workers', OK, text)


def check_batch(cfg: Config) -> Finding:
    """Videos of a step on all GPUs of this machine against what the learning rate is for."""
    expected = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    batch = cfg.train_dataloader.get('batch_size')
    if not expected or not batch:
        return Finding('batch', OK, 'the config names no batch that its learning rate is for')
    accumulation = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    devices = max(1, torch.cuda.device_count())
    actual = devices * batch * accumulation
    text = (
        f'{devices} processes x {batch} videos x {accumulation} = {actual} videos a step; '
        f'the learning rate is for {expected}'
    )
    if actual == expected:
        return Finding('batch', OK, text)
    count = max(1, round(expected / (devices * batch)))
    remedy = f'on this machine alone: --cfg-options optim_wrapper.accumulative_counts={count}'
    return Finding('batch', WARNING, text, remedy)


def training_memory(cfg: Config, model: nn.Module) -> int | None:
    """Bytes that training takes on one GPU, estimated; None for other vision towers.

    Weights, gradients and Adam's moments in float32, and for each channel of
    each token in each layer ``BYTES_PER_CHANNEL``, or 6 where layers are
    recomputed in the backward pass.
    """
    backbone: Any = getattr(model, 'backbone', None)
    if not hasattr(backbone, 'grid_size'):
        return None
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frames = getattr(getattr(model, 'neck', None), 'num_frames', 8)
    tokens = frames * (backbone.grid_size**2 + 2) * cfg.train_dataloader.get('batch_size', 1)
    each = 6 if backbone.with_cp else BYTES_PER_CHANNEL
    activations = tokens * len(backbone.blocks) * backbone.embed_dims * each
    return checkpoint_bytes(model) + 4 * trained + activations


def check_memory(cfg: Config, model: nn.Module) -> Finding:
    """The estimate beside the memory of the smallest GPU."""
    needed = training_memory(cfg, model)
    if needed is None:
        return Finding('GPU memory', OK, 'not estimated for this vision tower')
    text = f'about {needed / GIB:.1f} GiB for training (an estimate)'
    if not torch.cuda.is_available():
        return Finding('GPU memory', OK, f'{text}; no GPU here')
    count = range(torch.cuda.device_count())
    there = min(torch.cuda.get_device_properties(index).total_memory for index in count)
    text += f', {there / GIB:.0f} GiB there'
    if needed > there:
        batch = cfg.train_dataloader.get('batch_size', 1)
        remedy = (
            f'half of train_dataloader.batch_size={batch} with twice '
            'optim_wrapper.accumulative_counts, or model.backbone.with_cp=True'
        )
        return Finding('GPU memory', WARNING, text, remedy)
    return Finding('GPU memory', OK, text)
