"""TorchScript archives: programs for PyTorch in C++, on phones and in older servers."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import torch

from mmxclip.export.metadata import EXTRA_FILE
from mmxclip.export.runner import Program, Runner


def write(program: Program, metadata: str, path: Path) -> None:
    """Trace and write a program, weights included.

    Args:
        program: what to export.
        metadata: text that goes with it.
        path: of the file.
    """
    buffer = io.BytesIO()  # on a full disk, PyTorch's own writer ends the whole process
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore')  # that shapes are checked in Python, and of its age
        traced = torch.jit.trace(
            program.graph, program.example, check_trace=False, _store_inputs=False
        )
        torch.jit.save(traced, buffer, _extra_files={EXTRA_FILE: metadata})
    path.write_bytes(buffer.getbuffer())


def read(path: Path) -> Runner:
    """Load a program, which is run from then on: only from where it is trusted."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of its age
        module = torch.jit.load(str(path), map_location='cpu')

    def run(frames: np.ndarray, text_features: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            arrays = [item for item in (frames, text_features) if item is not None]
            logits, probabilities = module(*map(torch.from_numpy, arrays))
            return logits.numpy(), probabilities.numpy()

    return run
