"""The weights in a TorchScript archive, without running what it holds.

``torch.jit.load`` runs code of the archive (``__setstate__`` of a module), and
TorchScript can write files. The attributes of the modules, however, are one
pickle of tensors, numbers and plain objects, and that is all that is read here.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

STORAGE_DTYPES = {
    'DoubleStorage': torch.float64,
    'FloatStorage': torch.float32,
    'HalfStorage': torch.float16,
    'BFloat16Storage': torch.bfloat16,
    'LongStorage': torch.int64,
    'IntStorage': torch.int32,
    'ShortStorage': torch.int16,
    'CharStorage': torch.int8,
    'ByteStorage': torch.uint8,
    'BoolStorage': torch.bool,
    'ComplexDoubleStorage': torch.complex128,
    'ComplexFloatStorage': torch.complex64,
}


def is_torchscript(path: str | Path) -> bool:
    """Whether a file is a TorchScript archive, told by the names of its parts."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split('/')[1:] == ['constants.pkl'] for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def read_state_dict(path: str | Path) -> OrderedDict[str, Tensor]:
    """Read all tensors that are attributes of the archive's modules.

    Args:
        path: a TorchScript archive.

    Returns:
        What ``torch.jit.load(path).state_dict()`` holds, on the CPU, by the
        same names.

    Raises:
        pickle.UnpicklingError: the archive holds other things than modules of
            tensors and plain values.
    """
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.split('/')[1:] == ['data.pkl']]
        if len(pickles) != 1:
            raise pickle.UnpicklingError(f'{len(pickles)} files data.pkl, expected one')
        with archive.open(pickles[0]) as file:
            reader = _Reader(file, archive, pickles[0].removesuffix('data.pkl'))
            module = reader.load()
        return OrderedDict(_tensors(module, reader.module_type, ''))


class _Reader(pickle.Unpickler):
    """An unpickler that imports nothing: every name is answered from a table.

    Args:
        file: ``data.pkl``.
        archive: where the storages are.
        folder: the archive's top folder, with a slash.
    """

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self._archive = archive
        self._folder = folder
        self._storages: dict[str, Tensor] = {}
        # A file can set attributes on what it names. Nothing named outlives the reader.
        self.module_type = type('ScriptModule', (), {})
        self._known: dict[str, Any] = {
            'collections.OrderedDict': OrderedDict,
            'torch._utils._rebuild_tensor_v2': _Call(_rebuild),
            'torch.jit._pickle.restore_type_tag': _Call(_first),
        }
        for kind in ('int', 'tensor', 'double', 'bool'):
            self._known[f'torch.jit._pickle.build_{kind}list'] = _Call(_first)
        self._known |= {f'torch.{name}': dtype for name, dtype in STORAGE_DTYPES.items()}

    def find_class(self, module: str, name: str) -> Any:
        """Answer a name from the table; classes of the archive are bags of attributes."""
        if module.split('.')[0] == '__torch__':
            return self.module_type
        if f'{module}.{name}' not in self._known:
            raise pickle.UnpicklingError(f'GLOBAL {module}.{name} was not an allowed global')
        return self._known[f'{module}.{name}']

    def persistent_load(self, pid: Any) -> Tensor:
        """Read a storage: ``('storage', dtype, key, device, number of elements)``."""
        _, dtype, key, _, size = pid
        if not isinstance(dtype, torch.dtype):
            raise pickle.UnpicklingError(f'storage {key} of an unknown type')
        if key not in self._storages:
            entry = self._archive.getinfo(f'{self._folder}data/{key}')
            if (
                entry.compress_type != zipfile.ZIP_STORED
                or entry.file_size != size * dtype.itemsize
            ):
                raise pickle.UnpicklingError(f'storage {key} is not {size} values of {dtype}')
            data = bytearray(self._archive.read(entry))
            empty = torch.empty(0, dtype=dtype)  # ``frombuffer`` refuses no bytes
            self._storages[key] = torch.frombuffer(data, dtype=dtype) if data else empty
        return self._storages[key]


def _rebuild(storage: Tensor, offset: int, size: tuple, stride: tuple, *_: Any) -> Tensor:
    """Rebuild a tensor as a view of its storage; torch checks that it lies within."""
    return storage.as_strided(size, stride, offset)


def _first(value: Any, *_: Any) -> Any:
    """Return a list or dict without the type that TorchScript notes beside it."""
    return value


class _Call:
    """A function on which a file can set no attributes."""

    __slots__ = ('_function',)

    def __init__(self, function: Callable) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


def _tensors(module: Any, module_type: type, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Walk through modules, depth first; own tensors come before those of sub-modules."""
    attributes = vars(module) if isinstance(module, module_type) else {}
    for name, value in attributes.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
    for name, value in attributes.items():
        if isinstance(value, module_type):
            yield from _tensors(value, module_type, f'{prefix}{name}.')
