"""The tiny model with random weights, as one file of each format and of each kind of input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from mmxclip import VideoClassifier
from mmxclip.apis.config_names import find_config
from mmxclip.export.exporting import Exported, export_model
from mmxclip.inference.models import read_config

LABELS = ('a square that grows', 'a disc that falls', 'diving')


@pytest.fixture(autouse=True, scope='session')
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    """No test reads or writes the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MMXCLIP_CACHE', str(tmp_path_factory.mktemp('cache')))
        yield


@pytest.fixture(scope='session')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with one layer each."""
    path = tmp_path_factory.mktemp('config') / 'one_layer.py'
    path.write_text(
        f"""_base_ = [{str(find_config('xclip_tiny_motion'))!r}]
model = dict(
    init_cfg=None,
    backbone=dict(num_layers=1),
    cls_head=dict(prompt=dict(num_layers=1), text_encoder=dict(num_layers=1)),
)
"""
    )
    return path


@pytest.fixture(scope='session')
def checkpoint(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of which none has a value that leaves things as they are."""
    cfg, _ = read_config(config)
    model = MODELS.build(cfg.model)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    path = tmp_path_factory.mktemp('weights') / 'weights.pth'
    torch.save({'state_dict': model.state_dict()}, path)
    return path


@pytest.fixture(scope='session')
def labels() -> tuple[str, ...]:
    """Class names within the files."""
    return LABELS


@pytest.fixture(scope='session')
def classifier(config: Path, checkpoint: Path) -> VideoClassifier:
    """What the files were made of."""
    return VideoClassifier(config, checkpoint, device='cpu')


@pytest.fixture(scope='session')
def exports(
    config: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, bool], Exported]:
    """A function of format and kind, made once: text as an input, frames normalized; or neither."""
    folder = tmp_path_factory.mktemp('exports')
    made: dict[tuple[str, bool], Exported] = {}

    def make(fmt: str, text_input: bool) -> Exported:
        if (fmt, text_input) not in made:
            made[fmt, text_input] = export_model(
                config,
                folder / f'{fmt}_{text_input}.bin',
                fmt,
                checkpoint,
                labels=None if text_input else LABELS,
                text_input=text_input,
                preprocessing=not text_input,
            )
        return made[fmt, text_input]

    return make


@pytest.fixture(scope='session')
def frames() -> np.ndarray:
    """Four clips, ``(N, T, H, W, 3)``."""
    return np.random.default_rng(0).integers(0, 256, (4, 8, 64, 64, 3), dtype=np.uint8)
