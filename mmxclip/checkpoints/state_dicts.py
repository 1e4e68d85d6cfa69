"""From a weights file in any of the usual wrappings to a plain state dict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmxclip.checkpoints.safe_load import load_file
from mmxclip.errors import CheckpointError

WRAPPINGS = ('state_dict', 'model')
"""Keys under which trainers keep the weights: MMEngine and open_clip, the authors."""

_NOT_WEIGHTS = frozenset({'input_resolution', 'context_length', 'vocab_size'})
"""Numbers that OpenAI's archives hold beside the weights."""


def load_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a file, whatever it wraps them in.

    Args:
        path: ``.safetensors``, a pickled state dict, a checkpoint that holds one
            under ``state_dict`` or ``model``, or OpenAI's TorchScript archive.

    Raises:
        CheckpointError: when the file is absent, unsafe or holds no tensors.
    """
    return unwrap(load_file(path), path)


def unwrap(checkpoint: object, origin: str | Path) -> dict[str, Tensor]:
    """The state dict within a checkpoint, without ``module.`` prefixes.

    Args:
        checkpoint: what the file held.
        origin: named in the error.

    Raises:
        CheckpointError: when there is no tensor in it.
    """
    found = checkpoint
    for key in WRAPPINGS:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    tensors = (
        {
            str(key).removeprefix('module.'): value
            for key, value in found.items()
            if isinstance(value, Tensor) and key not in _NOT_WEIGHTS
        }
        if isinstance(found, Mapping)
        else {}
    )
    if not tensors:
        raise CheckpointError(
            f'{origin} holds no weights (a {type(checkpoint).__name__}); expected a state dict, '
            f'or a checkpoint with one under {" or ".join(WRAPPINGS)}'
        )
    return tensors
