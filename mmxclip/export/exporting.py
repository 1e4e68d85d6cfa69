"""From a config and weights to a checked file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

from mmxclip.checkpoints.files import whole
from mmxclip.errors import ConfigError
from mmxclip.export import exported, onnx, torchscript
from mmxclip.export.check import Difference, compare, require
from mmxclip.export.graph import Graph, normalization
from mmxclip.export.metadata import Metadata, weights_hash
from mmxclip.export.pipeline import plain_steps
from mmxclip.export.runner import Program
from mmxclip.export.session import ExportedModel
from mmxclip.inference.labels import check_labels
from mmxclip.inference.models import build_model, read_config
from mmxclip.inference.pipelines import Preparation
from mmxclip.version import __version__

FORMATS = ('onnx', 'torchscript', 'exported')
SOURCE_FRAMES = (64, 240, 320, 3)
"""Of a video by which the size of the model's input is found."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        path: of the file.
        metadata: what it says of itself.
        difference: from PyTorch; None where it was not checked.
    """

    path: Path
    metadata: Metadata
    difference: Difference | None


def export_model(
    model: str | Path | Config,
    path: str | Path,
    fmt: str = 'onnx',
    checkpoint: str | Path | None = None,
    labels: Sequence[str] | None = None,
    text_input: bool = False,
    preprocessing: bool = True,
    opset: int = onnx.OPSET,
    check: bool = True,
) -> Exported:
    """Write a model as one file, weights, class names and the way to use it included.

    Args:
        model: name of a shipped config, path of a config, or a config.
        path: of the file; one that is there is replaced when all has gone well.
        fmt: ``'onnx'``, ``'torchscript'`` or ``'exported'`` (torch.export).
        checkpoint: as :class:`mmxclip.VideoClassifier` takes it.
        labels: class names; None for those of the config.
        text_input: whether embeddings of class names are an input instead.
        preprocessing: whether frames are pixels ``(N, T, H, W, 3)``, uint8, and are
            normalized in the file; otherwise they are ``(N, 3, T, H, W)``, float32.
        opset: of ONNX.
        check: whether the outputs are compared with PyTorch's, and the file is
            written only when they differ by at most 1e-4.

    Raises:
        ConfigError: the arguments contradict each other, the model cannot be
            exported, or packages are absent.
        CheckpointError: there are no weights, they do not fit, or the file cannot be written.
        DataError: the outputs differ; how much is said.
    """
    target = _checked(path, fmt, labels, text_input)
    cfg, name = read_config(model)
    recognizer = build_model(cfg, name, checkpoint)
    config = name or getattr(cfg, 'filename', None) or 'config'
    text = _text_features(recognizer, labels, text_input)
    metadata = _describe(cfg, Path(config).name, recognizer, text_input, preprocessing)
    program = Program(Graph(recognizer, text, preprocessing), _example(metadata))
    writers: dict[str, Callable[[Program, str, Path], None]] = {
        'onnx': partial(onnx.write, opset=opset),
        'torchscript': torchscript.write,
        'exported': exported.write,
    }
    difference = None
    with whole(target) as beside:
        writers[fmt](program, metadata.to_json(), beside)
        if check:
            run = ExportedModel.load(beside, trust=True, providers=onnx.CPU).run
            difference = compare(run, recognizer, metadata, text)
            require(difference, str(path))
    return Exported(target, metadata, difference)


def _checked(path: str | Path, fmt: str, labels: Sequence[str] | None, text_input: bool) -> Path:
    """The file to write; what is wrong is told before a model is built."""
    if fmt not in FORMATS:
        raise ConfigError(f'format {fmt!r} is not known; expected one of {FORMATS}')
    if text_input and labels is not None:
        raise ConfigError(
            'labels and text_input exclude each other: with text as an input, names are given '
            'when the file is used'
        )
    target = Path(path).expanduser()
    if target.is_dir():
        raise ConfigError(f'{path} is a folder; give the name of a file')
    if not target.parent.is_dir():
        raise ConfigError(f'folder {target.parent} of {target.name} does not exist; make it first')
    return target


def _text_features(
    model: nn.Module, labels: Sequence[str] | None, text_input: bool
) -> Tensor | None:
    """Embeddings of the classes, ``(K, E)``; None where they are an input."""
    head: Any = model.cls_head
    if text_input:
        return None
    if labels is not None:
        head.set_classes(check_labels(labels))
    if head.classes is None:
        raise ConfigError('the config has no classes of its own; give --labels or --text-input')
    return head.text_features().detach()


def _describe(
    cfg: Config, config: str, model: nn.Module, text_input: bool, preprocessing: bool
) -> Metadata:
    """What the file will say of itself."""
    views = Preparation(cfg)(np.zeros(SOURCE_FRAMES, np.uint8), config)
    if views.ndim != 5 or views.shape[:2] != (1, 3):
        raise ConfigError(
            f'the pipeline of {config} gives a video the shape {tuple(views.shape)}; only models '
            "that take (1, 3, T, H, W) are exported: FormatShape(input_format='NCTHW')"
        )
    head: Any = model.cls_head
    mean, std = normalization(model)
    return Metadata(
        version=__version__,
        config=config,
        weights=weights_hash(model),
        classes=None if text_input else tuple(head.classes),
        embed_dims=head.embed_dims,
        frames_dtype='uint8' if preprocessing else 'float32',
        num_frames=views.shape[2],
        height=views.shape[3],
        width=views.shape[4],
        mean=tuple(mean),
        std=tuple(std),
        swap_channels=bool(model.data_preprocessor.to_rgb),
        template=head.template,
        pipeline=plain_steps(cfg),
    )


def _example(metadata: Metadata) -> tuple[Tensor, ...]:
    """Inputs to trace by."""
    frames = torch.zeros((2, *metadata.shape), dtype=getattr(torch, metadata.frames_dtype))
    if not metadata.text_input:
        return (frames,)
    return frames, torch.ones(3, metadata.embed_dims)
