"""Weights files of any format, read and written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmxclip.checkpoints.architecture import config_of, sizes_of
from mmxclip.checkpoints.convert import convert_state_dict, find_format
from mmxclip.checkpoints.formats import FORMATS, OPENAI_NUMBERS
from mmxclip.checkpoints.hf_config import (
    CONFIG_NAME,
    check_config,
    make_config,
    other_heads,
    read_config,
    warn_of_heads,
)
from mmxclip.checkpoints.key_tables import list_keys
from mmxclip.checkpoints.safe_load import load_file
from mmxclip.errors import CheckpointError

WEIGHTS_NAMES = ('model.safetensors', 'pytorch_model.bin')
"""Weights within a folder as Hugging Face lays it out; the first that is there counts."""

WRAPPINGS = ('state_dict', 'model')
"""Keys under which trainers keep weights: MMEngine and open_clip; the authors."""

SUFFIXES = ('.pth', '.safetensors')
_PARALLEL = 'module.'


@dataclass
class Weights:
    """Weights that were read, and what was learned about them.

    Args:
        path: the file.
        source: name of the format.
        state_dict: the tensors as the file has them.
        own: the same under our names.
        sizes: of the model that they fill completely.
        heads: attention heads by part, where a configuration tells others than
            one per 64 channels and they were asked to be kept.
    """

    path: Path
    source: str
    state_dict: Mapping[str, Tensor]
    own: Mapping[str, Tensor]
    sizes: Mapping[str, int]
    heads: Mapping[str, int] = field(default_factory=dict)

    @property
    def architecture(self) -> dict[str, Any]:
        """Configs of backbone, neck and head."""
        return config_of(self.sizes, self.heads)


def load(path: str | Path, source: str = 'auto') -> dict[str, Tensor]:
    """Read weights of any known format.

    Args:
        path: a file, or a folder as Hugging Face lays it out.
        source: as :func:`mmxclip.checkpoints.convert_state_dict` takes it.

    Returns:
        A state dict under the names of ``XCLIP``, on the CPU.

    Raises:
        CheckpointError: the file is absent, damaged or could run code, or the
            weights are not complete.
    """
    file = weights_file(path)
    state_dict = find_weights(load_file(file), file)
    own = convert_state_dict(state_dict, source)
    if find_format(state_dict, source).name == 'hf':
        _heed_config(file, sizes_of(own), keep_heads=False)
    return own


def read(path: str | Path, source: str = 'auto', keep_heads: bool = False) -> Weights:
    """Read weights of any known format and say what they are; see :func:`load`.

    Args:
        path: a file, or a folder as Hugging Face lays it out.
        source: as :func:`mmxclip.checkpoints.convert_state_dict` takes it.
        keep_heads: take the attention heads of the configuration beside the
            weights where they are not one per 64 channels.
    """
    file = weights_file(path)
    state_dict = find_weights(load_file(file), file)
    found = find_format(state_dict, source)
    own = convert_state_dict(state_dict, found.name)
    sizes = sizes_of(own)
    heads = _heed_config(file, sizes, keep_heads) if found.name == 'hf' else {}
    return Weights(file, found.name, state_dict, own, sizes, heads)


def write(
    weights: Weights,
    path: str | Path,
    target: str = 'mmxclip',
    position_ids: bool | None = None,
) -> dict[str, Tensor]:
    """Convert weights and write them, wholly or not at all.

    Args:
        weights: from :func:`read`.
        path: a ``.pth`` or ``.safetensors`` file; for ``'hf'`` also a new
            folder, which gets the configuration as well. In a ``.pth`` file the
            weights stand where readers of the target look for them, for ours
            with the ``architecture`` as ``meta``.
        target: as :func:`mmxclip.checkpoints.convert_state_dict` takes it.
        position_ids: likewise.

    Returns:
        What was written.

    Raises:
        CheckpointError: the path is no such file, or the weights do not hold
            all that the target needs.
    """
    file = Path(path).expanduser()
    folder = target == 'hf' and not file.suffix
    if not folder and file.suffix not in SUFFIXES:
        raise CheckpointError(
            f'{path} ends in neither {" nor ".join(SUFFIXES)}; give a name that does'
            + (', or a folder without a dot in its name' if target == 'hf' else '')
        )
    if file.is_dir() or (folder and file.exists()):
        raise CheckpointError(f'{path} exists already; give a new name or delete it first')
    if file.exists() and file.samefile(weights.path):
        raise CheckpointError(f'{path} is the file that is read; give another name')
    converted = convert_state_dict(weights.state_dict, weights.source, target, position_ids)
    with whole(file) as partial:
        if folder:
            partial.mkdir()
            _save_safetensors(converted, partial / WEIGHTS_NAMES[0])
            config = make_config(weights.sizes, weights.heads)
            (partial / CONFIG_NAME).write_text(json.dumps(config, indent=2) + '\n')
        elif file.suffix == '.safetensors':
            _save_safetensors(converted, partial)
        else:
            torch.save(_wrapped(converted, weights, target), partial)
    return converted


def describe(weights: Weights) -> list[str]:
    """Say in a few lines what was read: format, sizes, and the configs of the model's parts."""
    sizes, own = weights.sizes, weights.own
    dtypes = sorted({str(value.dtype).removeprefix('torch.') for value in own.values()})
    parameters = sum(value.numel() for value in own.values())
    side = sizes['grid_size'] * sizes['patch_size']
    vision = f'vision tower {sizes["width"]} wide, {sizes["num_layers"]} layers'
    frames = f', {sizes["num_frames"]} frames' if 'num_frames' in sizes else ''
    text = f'text tower {sizes["text_width"]} wide, {sizes["text_layers"]} layers'
    lines = [
        f'{weights.path}: {FORMATS[weights.source].holds} ({weights.source}), '
        f'{len(weights.state_dict)} tensors, {parameters:,} parameters, {", ".join(dtypes)}',
        f'{vision}, patches of {sizes["patch_size"]} in {side} pixels{frames}; {text}; '
        f'joint width {sizes["joint_width"]}',
    ]
    return lines + [f'{part}={config}' for part, config in weights.architecture.items()]


def weights_file(path: str | Path) -> Path:
    """The file that holds the weights at ``path``.

    Raises:
        CheckpointError: a folder without weights, or with weights in pieces.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return folder  # reading reports an absent file
    for name in WEIGHTS_NAMES:
        if (folder / name).is_file():
            return folder / name
    if any((folder / f'{name}.index.json').is_file() for name in WEIGHTS_NAMES):
        raise CheckpointError(
            f'the weights in {path} are cut in pieces; save them whole, by '
            "save_pretrained(..., max_shard_size='10GB')"
        )
    raise CheckpointError(
        f'folder {path} holds no weights, expected {" or ".join(WEIGHTS_NAMES)} in it; a sharded '
        'checkpoint is loaded by the strategy that has saved it'
    )


def find_weights(checkpoint: Mapping[str, Any], origin: str | Path) -> Mapping[str, Tensor]:
    """The state dict within a checkpoint, without the prefix of parallel training.

    Args:
        checkpoint: what a file held.
        origin: named in errors.

    Raises:
        CheckpointError: there are no weights, or other things among them.
    """
    found: Mapping[str, Any] = checkpoint
    for key in WRAPPINGS:
        if isinstance(found.get(key), Mapping):
            found = found[key]
    others = [
        f'{key} ({type(value).__name__})'
        for key, value in found.items()
        if not isinstance(key, str) or (not isinstance(value, Tensor) and key not in OPENAI_NUMBERS)
    ]
    if others or not found:
        raise CheckpointError(
            f'{origin} holds no plain weights: among {len(found)} entries are no weights: '
            f'{list_keys(others) or "it is empty"}; expected a state dict, or a checkpoint with '
            f'one under {" or ".join(WRAPPINGS)}'
        )
    if all(key.startswith(_PARALLEL) for key in found):
        return {key.removeprefix(_PARALLEL): value for key, value in found.items()}
    return found


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path beside, which becomes ``path`` when the block has ended well."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix='.partial_', dir=path.parent))
    except OSError as error:
        raise CheckpointError(f'{path} cannot be written: {error.strerror}') from error
    try:
        yield beside / path.name
        os.replace(beside / path.name, path)
    except OSError as error:
        raise CheckpointError(f'{path} cannot be written: {error.strerror or error}') from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _heed_config(file: Path, sizes: Mapping[str, int], keep_heads: bool) -> dict[str, int]:
    """Check the configuration beside the weights; return the heads that it sets apart."""
    config = read_config(file)
    if config is None:
        return {}
    check_config(config, sizes)
    warn_of_heads(config, sizes, keep_heads)
    return other_heads(config, sizes) if keep_heads else {}


def _save_safetensors(state_dict: Mapping[str, Tensor], path: Path) -> None:
    from safetensors.torch import save_file

    tensors = {name: _apart(value.detach()) for name, value in state_dict.items()}
    save_file(tensors, path, metadata={'format': 'pt'})


def _apart(value: Tensor) -> Tensor:
    """A tensor that is the whole of its memory: the format has no views."""
    value = value.contiguous()
    alone = value.untyped_storage().nbytes() == value.numel() * value.element_size()
    return value if alone else value.clone()


def _wrapped(state_dict: dict[str, Tensor], weights: Weights, target: str) -> dict[str, Any]:
    """A checkpoint as readers of the target expect it."""
    if target == 'official':
        return {'model': state_dict}
    if target == 'hf':
        return state_dict
    return {'state_dict': state_dict, 'meta': {'architecture': weights.architecture}}
