"""Predictions that ``tools/test.py --dump`` has written, read without running code."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mmxclip.checkpoints.allow_list import Stand, settle, stand_ins
from mmxclip.errors import DataError


class Dumped(NamedTuple):
    """Labels of N videos: true and predicted ``(N,)`` int64, and the number of classes."""

    truth: np.ndarray
    guess: np.ndarray
    num_classes: int


class ForeignNameError(Exception):
    """A file asks for a name that no dump needs."""


class DumpedTensor(Stand):
    """Stands for a tensor of the file, as a NumPy array."""


def read_dump(path: str | Path) -> Dumped:
    """True and predicted labels.

    Args:
        path: a pickle of MMEngine's ``DumpResults`` with ``gt_label`` and ``pred_score``.

    Raises:
        DataError: the file is absent, damaged, asks for what could run code, or
            holds something else.
    """
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise DataError(f'predictions {path} cannot be read ({error.strerror})') from error
    try:
        samples = settle(DumpUnpickler(io.BytesIO(data)).load())
    except MemoryError:
        raise  # no fault of the file
    except ForeignNameError as error:
        raise DataError(
            f'predictions {path} asks for {error}, which could run code, so nothing of it was '
            'loaded; expected what tools/test.py --dump writes'
        ) from error
    except Exception as error:  # a broken pickle can raise nearly anything
        raise DataError(
            f'predictions {path} cannot be read ({type(error).__name__}: {str(error)[:120]}); '
            'expected what tools/test.py --dump writes'
        ) from error
    return _labels(samples, path)


class DumpUnpickler(pickle.Unpickler):
    """An unpickler that knows tensors and plain numbers of NumPy by name, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Answer a name of the file by a stand-in.

        Raises:
            ForeignNameError: for every other name; nothing is imported.
        """
        known = allowed_names().get(f'{module}.{name}')
        if known is None:
            raise ForeignNameError(f'{module}.{name}')
        return known


def allowed_names() -> dict[str, Callable]:
    """Names that a dump may ask for, and what answers to them."""
    names: dict[str, Callable] = {
        name: stand for name, stand in stand_ins().items() if name.startswith('numpy.')
    }
    names['builtins.bytes'] = stand_ins()['builtins.bytes']
    names['_codecs.encode'] = encode_latin
    names['collections.OrderedDict'] = OrderedDict
    names['torch._utils._rebuild_tensor_v2'] = rebuild_tensor
    names['torch.storage._load_from_bytes'] = load_storage
    return names


def encode_latin(text: str, encoding: str) -> bytes:
    """Stand in for ``_codecs.encode``, by which older pickles write bytes."""
    if type(text) is not str or encoding != 'latin1':
        raise pickle.UnpicklingError(f'text in the encoding {encoding!r:.40}')
    return text.encode('latin1')


def load_storage(data: bytes) -> torch.TypedStorage:
    """Stand in for torch's loader of a storage, which would trust its bytes."""
    if type(data) is not bytes:
        raise pickle.UnpicklingError('a storage that is not made of bytes')
    try:
        storage = torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:  # torch's text is an advice to trust the file
        raise pickle.UnpicklingError('a storage that is damaged or could run code') from error
    if type(storage) is not torch.TypedStorage:
        raise pickle.UnpicklingError(f'a {type(storage).__name__} in place of a storage')
    return storage


def rebuild_tensor(
    storage: Any, offset: int, size: tuple, stride: tuple, requires_grad: Any, hooks: Any
) -> DumpedTensor:
    """Stand in for torch's function of that name; the place in the storage is checked."""
    numbers = (offset, *size, *stride)
    if type(storage) is not torch.TypedStorage or len(size) != len(stride):
        raise pickle.UnpicklingError('a tensor without a storage')
    if any(type(number) is not int or number < 0 for number in numbers):
        raise pickle.UnpicklingError(f'a tensor of shape {size} and strides {stride}')
    length = storage._untyped_storage.nbytes() // storage.dtype.itemsize
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and last >= length:
        raise pickle.UnpicklingError(f'a tensor that ends at {last} of {length} values')
    empty = torch.empty(0, dtype=storage.dtype)
    tensor = empty.set_(storage._untyped_storage, offset, size, stride)
    stand = DumpedTensor()
    stand.value = (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy().copy()
    return stand


def _labels(samples: Any, path: str | Path) -> Dumped:
    if not isinstance(samples, list) or not samples:
        raise DataError(f'predictions {path} hold no list of videos, or an empty one')
    truth, guess, counts = [], [], set()
    for index, sample in enumerate(samples):
        label, scores = (_array(sample, key) for key in ('gt_label', 'pred_score'))
        if (
            label is None
            or scores is None
            or label.size != 1
            or scores.ndim != 1
            or not len(scores)
        ):
            raise DataError(
                f'predictions {path}: video {index} has no gt_label of one class with a '
                'pred_score for each class; expected the dump of a recognizer'
            )
        truth.append(int(label.item()))
        guess.append(int(scores.argmax()))
        counts.add(len(scores))
    (num_classes, *more) = sorted(counts)
    if more or not all(0 <= label < num_classes for label in truth):
        raise DataError(f'predictions {path}: labels and scores do not count the same classes')
    return Dumped(np.array(truth), np.array(guess), num_classes)


def _array(sample: Any, key: str) -> np.ndarray | None:
    value = sample.get(key) if isinstance(sample, dict) else None
    return value if isinstance(value, np.ndarray) and value.dtype.kind in 'iuf' else None
