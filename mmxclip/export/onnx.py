"""ONNX files: data that any runtime of ONNX computes."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmxclip.errors import ConfigError, DataError
from mmxclip.export.graph import INPUTS, OUTPUTS
from mmxclip.export.metadata import KEY
from mmxclip.export.runner import Program, Runner

OPSET = 18
"""The oldest that PyTorch's exporter writes; older runtimes read it too."""
CPU = ('CPUExecutionProvider',)
LARGEST = 2**31 - 2**24
"""Bytes of weights; a message of Protocol Buffers ends at 2 GiB."""


def write(program: Program, metadata: str, path: Path, opset: int = OPSET) -> None:
    """Write a file, weights included.

    Args:
        program: what to export.
        metadata: text that goes with it.
        path: of the file.
        opset: version of ONNX's operators.

    Raises:
        ConfigError: onnx is not installed, or the weights are too large for one file.
    """
    for name in ('onnx', 'onnxscript'):
        _package(name)
    size = sum(value.nbytes for value in program.graph.state_dict().values())
    if size > LARGEST:
        raise ConfigError(
            f'the weights take {size:,} bytes and an ONNX file holds 2 GiB; use --format exported '
            'or torchscript'
        )
    with _quiet():
        exported = torch.onnx.export(
            program.graph,
            program.example,
            dynamo=True,
            verbose=False,
            opset_version=opset,
            input_names=INPUTS[: len(program.example)],
            output_names=OUTPUTS,
            dynamic_shapes=tuple(program.dynamic_axes),
        )
        exported.model.metadata_props[KEY] = metadata
        exported.save(path, external_data=False)


def read(path: Path, providers: Sequence[str] | None = None) -> tuple[str | None, Runner]:
    """Read a file for ONNX Runtime.

    Args:
        path: of the file.
        providers: of ONNX Runtime; None for all that this machine has, fastest first.

    Returns:
        its metadata, None in a file of others, and what runs it.

    Raises:
        ConfigError: onnxruntime is not installed, or lacks a provider.
        DataError: the file is no ONNX model.
    """
    runtime = _package('onnxruntime')
    known = runtime.get_available_providers()
    for name in providers or ():
        if name not in known:
            raise ConfigError(f'provider {name!r} is not in this onnxruntime; it has {known}')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors; the rest is about its own optimizations
    try:
        session = runtime.InferenceSession(str(path), options, providers=list(providers or known))
    except Exception as error:  # types of its own, without a common base
        raise DataError(
            f'{path} is no ONNX model that can be run ({_first_line(error)}); export it again'
        ) from error

    def run(frames: np.ndarray, text_features: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        inputs = {'frames': frames}
        if text_features is not None:
            inputs['text_features'] = text_features
        logits, probabilities = session.run(list(OUTPUTS), inputs)
        return logits, probabilities

    return session.get_modelmeta().custom_metadata_map.get(KEY), run


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f'ONNX needs {name} ({error}); pip install "mmxclip[onnx]"') from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep exporters from telling how they work."""
    names = ('torch.onnx', 'onnxscript', 'onnx_ir')
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def _first_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:160]
