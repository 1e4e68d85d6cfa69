"""Archives of ``torch.export``: programs for PyTorch's compilers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from mmxclip.export.metadata import EXTRA_FILE
from mmxclip.export.runner import Program, Runner


def write(program: Program, metadata: str, path: Path) -> None:
    """Export and write a program, weights included.

    Args:
        program: what to export.
        metadata: text that goes with it.
        path: of the file.
    """
    axes = [
        {axis: torch.export.Dim(name) for axis, name in free.items()}
        for free in program.dynamic_axes
    ]
    with torch.no_grad():
        exported = torch.export.export(program.graph, program.example, dynamic_shapes=tuple(axes))
    buffer = io.BytesIO()  # on a full disk, PyTorch's own writer ends the whole process
    torch.export.save(exported, buffer, extra_files={EXTRA_FILE: metadata})
    path.write_bytes(buffer.getbuffer())


def read(path: Path) -> Runner:
    """Load a program, which is run from then on: only from where it is trusted."""
    with path.open('rb') as file:
        module = torch.export.load(file).module()

    def run(frames: np.ndarray, text_features: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            arrays = [item for item in (frames, text_features) if item is not None]
            logits, probabilities = module(*map(torch.from_numpy, arrays))
            return logits.numpy(), probabilities.numpy()

    return run
