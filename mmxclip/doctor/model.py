"""Checks of the model that a config describes, and of its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from torch import nn

from mmxclip.apis.reporting import explain
from mmxclip.doctor.finding import OK, PROBLEM, WARNING, Finding
from mmxclip.errors import MMXCLIPError

PACKAGED = 'mmxclip::'


def build(cfg: Config) -> nn.Module:
    """The whole model on the meta device: shapes without memory."""
    model = {key: value for key, value in cfg.model.items() if key != 'init_cfg'}
    if isinstance(model.get('data_preprocessor'), dict):
        model['data_preprocessor'] = dict(model['data_preprocessor'])
        model['data_preprocessor'].pop('blending', None)  # its distributions need numbers
    with torch.device('meta'):
        return MODELS.build(model)


def check_model(cfg: Config) -> tuple[Finding, nn.Module | None]:
    """Build the model; None with a problem when that fails."""
    try:
        model = build(cfg)
    except Exception as error:  # a config can name anything
        message = explain(error) or f'{type(error).__name__}: {error}'
        remedy = 'mend the config' if not isinstance(error, MMXCLIPError) else 'see the message'
        if 'class names' in message:
            remedy = 'tools/data/prepare.py writes the lists of classes, see docs/data.md'
        return Finding('model', PROBLEM, message, remedy), None
    count = sum(parameter.numel() for parameter in model.parameters())
    names = getattr(getattr(model, 'cls_head', None), 'classes', None)
    text = f'{type(model).__name__}, {count / 1e6:.1f} M parameters'
    return Finding('model', OK, text + (f', {len(names)} class names' if names else '')), model


def check_weights(cfg: Config) -> Iterator[Finding]:
    """Where the weights that the config starts from are, and whether they are there."""
    for init_cfg in _init_cfgs(cfg.get('model')):
        if str(init_cfg.get('type', '')).endswith('OpenCLIPPretrained'):
            yield _check_open_clip(init_cfg)
    load_from = cfg.get('load_from')
    if isinstance(load_from, str) and '://' not in load_from:
        there = Path(load_from).exists()
        yield Finding(
            'load_from',
            OK if there else PROBLEM,
            f'{load_from} {"is there" if there else "does not exist"}',
            '' if there else 'give a file, or load_from=None',
        )


def check_checkpoint(path: str, model: nn.Module) -> Finding:
    """Read a checkpoint and hold it against the model.

    Args:
        path: of any format that ``load_from`` takes.
        model: on the meta device; it is filled.
    """
    from mmxclip.checkpoints import load

    try:
        weights = load(path)
        model.load_state_dict(weights, strict=False, assign=True)
    except (MMXCLIPError, RuntimeError) as error:
        return Finding('checkpoint', PROBLEM, str(error).splitlines()[0], 'give other weights')
    empty = [name for name, value in model.named_parameters() if value.is_meta]
    if empty:
        return Finding(
            'checkpoint',
            WARNING,
            f'{path} lacks {len(empty)} tensors of the model, such as {empty[0]}',
            'they keep their initial values: train them, or give weights of the whole model',
        )
    return Finding('checkpoint', OK, f'{path}: {len(weights)} tensors fit')


def _check_open_clip(init_cfg: Mapping[str, Any]) -> Finding:
    """One ``OpenCLIPPretrained``; the network is not touched."""
    pretrained, model = str(init_cfg.get('pretrained')), init_cfg.get('model')
    if pretrained.startswith(PACKAGED):
        return Finding('weights', OK, f'{pretrained} is part of the package')
    path = Path(pretrained).expanduser()
    if path.exists():
        return Finding('weights', OK, f'{path} is there')
    if path.suffix or model is None:
        return Finding(
            'weights', PROBLEM, f'{path} does not exist', 'set model.init_cfg.pretrained'
        )
    cached = _cached(str(model), pretrained, init_cfg.get('cache_dir'))
    if cached:
        return Finding('weights', OK, f'{model}/{pretrained} is in {cached}')
    return Finding(
        'weights',
        WARNING,
        f'{model}/{pretrained} is not on this machine and will be downloaded',
        'without access: fetch it elsewhere, and set model.init_cfg.pretrained to its path',
    )


def _cached(model: str, tag: str, cache_dir: str | None) -> Path | None:
    """Where open_clip has kept a download."""
    from open_clip import pretrained

    config = pretrained.get_pretrained_cfg(model, tag) or {}
    folder = Path(cache_dir or '~/.cache/clip').expanduser()
    if config.get('url') and (path := folder / Path(config['url']).name).is_file():
        return path
    if config.get('hf_hub'):
        from huggingface_hub import try_to_load_from_cache

        repository = str(config['hf_hub']).rstrip('/')
        for name in ('open_clip_model.safetensors', 'open_clip_pytorch_model.bin'):
            found = try_to_load_from_cache(repository, name, cache_dir=cache_dir)
            if isinstance(found, str):
                return Path(found)
    return None


def _init_cfgs(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every ``init_cfg`` of a model and its parts."""
    if not isinstance(config, Mapping):
        return
    own = config.get('init_cfg')
    for item in own if isinstance(own, (list, tuple)) else [own]:
        if isinstance(item, Mapping):
            yield item
    for key, value in config.items():
        if key != 'init_cfg':
            yield from _init_cfgs(value)
