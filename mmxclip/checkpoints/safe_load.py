"""Reading weights files, of which none can run code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO

import torch
from torch import Tensor

from mmxclip.checkpoints.allow_list import allowed, settle
from mmxclip.checkpoints.torchscript import is_torchscript, read_state_dict
from mmxclip.errors import CheckpointError

MapLocation = str | torch.device | dict | Callable | None

NOT_ALLOWED = re.compile(r'GLOBAL (\S+) (?:was not an allowed|whose module)')
TENSORS_ONLY = 'ask for the weights as .safetensors or as a plain state_dict of tensors'


def load_file(path: str | Path, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read a checkpoint or weights file of any usual format.

    Tensors, numbers, text and plain containers are read, and what a Runner of
    MMEngine keeps for resuming (see :mod:`mmxclip.checkpoints.allow_list`).
    Types that the program itself has allowed by
    ``torch.serialization.add_safe_globals`` are read as well.

    Args:
        path: ``.safetensors``; what ``torch.save`` has written, in its present
            or its older format; or a TorchScript archive, of which only the
            state dict is read.
        map_location: as ``torch.load`` takes it. ``.safetensors`` and
            TorchScript archives come to the CPU when it is no device.

    Raises:
        CheckpointError: the file is absent, empty, damaged, no dict, or asks
            for something that could run code (which is named).
    """
    file = _existing(path)
    if file.suffix == '.safetensors':
        return _guarded(_read_safetensors, file, map_location, str(path))
    if is_torchscript(file):
        return _guarded(_read_torchscript, file, map_location, str(path))
    return _guarded(_read_pickle, file, map_location, str(path))


def load_stream(stream: BinaryIO, name: str, map_location: MapLocation = 'cpu') -> dict[str, Any]:
    """Read what ``torch.save`` has written, from an open file or buffer.

    Args:
        stream: readable and seekable.
        name: where the bytes come from, for errors.
        map_location: as ``torch.load`` takes it.

    Raises:
        CheckpointError: as :func:`load_file`.
    """
    return _guarded(_read_pickle, stream, map_location, name)


def load_torchscript_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Read the weights of a TorchScript archive, such as OpenAI publishes CLIP in.

    Nothing of the archive is run, unlike with ``torch.jit.load``.

    Args:
        path: the archive.

    Returns:
        Parameters and buffers on the CPU, with the dtypes of the archive.

    Raises:
        CheckpointError: the file is no such archive, or holds more than modules
            of tensors and plain values.
    """
    file = _existing(path)
    if not is_torchscript(file):
        raise CheckpointError(f'{path} is no TorchScript archive; read it with load_file')
    return _guarded(_read_torchscript, file, 'cpu', str(path))


def _existing(path: str | Path) -> Path:
    """The file at ``path``, if there is one with something in it."""
    file = Path(path).expanduser()
    try:
        if not file.exists():
            raise CheckpointError(f'checkpoint {path} does not exist; check the path')
        if file.is_dir():
            raise CheckpointError(
                f'checkpoint {path} is a folder, expected a file; a sharded checkpoint '
                'is loaded by the strategy that has saved it'
            )
        if file.stat().st_size == 0:
            raise CheckpointError(f'checkpoint {path} is empty; copy or save it again')
    except OSError as error:
        raise CheckpointError(f'checkpoint {path} cannot be reached: {error.strerror}') from error
    return file


def _read_pickle(source: Path | BinaryIO, map_location: MapLocation) -> Any:
    with allowed():
        loaded = torch.load(source, map_location=map_location, weights_only=True)
    return settle(loaded)


def _read_safetensors(file: Path, map_location: MapLocation) -> dict[str, Tensor]:
    from safetensors.torch import load_file as load_safetensors

    return load_safetensors(file, device=_device(map_location))


def _read_torchscript(file: Path, map_location: MapLocation) -> dict[str, Tensor]:
    device = _device(map_location)
    return {name: tensor.to(device) for name, tensor in read_state_dict(file).items()}


def _device(map_location: MapLocation) -> str:
    return str(map_location) if isinstance(map_location, str | torch.device) else 'cpu'


def _guarded(
    read: Callable[[Any, MapLocation], Any], source: Any, map_location: MapLocation, name: str
) -> Any:
    """Read a dict, and tell any failure as a fault of the file ``name``."""
    try:
        loaded = read(source, map_location)
    except (MemoryError, torch.OutOfMemoryError):
        raise  # no fault of the file
    except ImportError:
        raise
    except Exception as error:  # a broken pickle can raise nearly anything
        raise CheckpointError(_explain(name, error)) from error
    if not isinstance(loaded, Mapping):
        raise CheckpointError(
            f'checkpoint {name} holds a {type(loaded).__name__}, expected a dict; {TENSORS_ONLY}'
        )
    return loaded


def _explain(name: str, error: Exception) -> str:
    text = ' '.join(str(error).split())
    if isinstance(error, PermissionError):
        return f'checkpoint {name} cannot be read: {error.strerror}'
    if 'torch.device' in text and 'map_location' in text:
        return (
            f'checkpoint {name} was saved on a device that this machine lacks; '
            "load it with map_location='cpu'"
        )
    match = NOT_ALLOWED.search(text)
    if match is None:
        return _explain_content(name, error, text)
    message = (
        f'checkpoint {name} asks for {match[1]}, which could run code, '
        f'so nothing of it was loaded; {TENSORS_ONLY}'
    )
    if match[1].rpartition('.')[2][:1].isupper():  # a class
        message += ', or allow that class by torch.serialization.add_safe_globals if you trust it'
    return message


def _explain_content(name: str, error: Exception, text: str) -> str:
    # torch puts general advice before and after what is the matter
    told = text.split('from a trusted source.')[-1].split('WeightsUnpickler error:')[-1]
    told = told.split('Check the documentation')[0].strip()[:160]
    if isinstance(error, UnpicklingError) and 'Unsupported operand' not in told:
        return (
            f'checkpoint {name} holds what could run code or do harm ({told}), '
            f'so nothing of it was loaded; {TENSORS_ONLY}'
        )
    return (
        f'checkpoint {name} cannot be read ({type(error).__name__}: {told}); '
        'it is damaged, half-copied or no checkpoint: copy or download it again'
    )
