"""Rows of the tables of models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmxclip.errors import ConfigError
from mmxclip.zoo.class_counts import count_of_absent
from mmxclip.zoo.compute import cost_of
from mmxclip.zoo.published import published_models


def cost_row(path: str, cfg: Config, num_classes: int | None = None) -> dict[str, Any]:
    """One row of ``tools/analysis/get_flops.py``.

    Args:
        path: of the config.
        cfg: what it says.
        num_classes: K; None for what the config names. A list of a protocol, which
            preparing the data set would write, need not be there.

    Returns:
        Values by heading; parameters in millions, multiply-adds in 1e9.

    Raises:
        ConfigError: for a config without a model, or one of another kind.
    """
    if cfg.get('model') is None:
        raise ConfigError(f'config {path!r} has no model; give one that describes a model')
    if num_classes is None:
        num_classes = count_of_absent((cfg.model.get('cls_head') or {}).get('classes'))
    cost = cost_of(cfg.model, num_classes)
    name = Path(path).stem
    published = published_models().get(name)
    return {
        'config': name,
        'frames': cost.frames,
        'pixels': cost.img_size,
        'classes': cost.num_classes,
        'params (M)': cost.parameters / 1e6,
        'trained (M)': cost.trainable / 1e6,
        'GMACs': cost.macs / 1e9,
        'as published code': cost.macs_as_published / 1e9,
        "authors' GFLOPs": round(published.gflops) if published else None,
        'text GMACs, once': cost.text_macs / 1e9,
    }
