"""What a checkpoint of MMEngine's Runner may ask for beyond tensors, and nothing else.

``torch.load(weights_only=True)`` calls no function that it does not know by
name. A Runner saves its message hub, which asks for NumPy arrays and scalars,
``HistoryBuffer`` and, for the methods of that class, ``builtins.getattr``. To
allow those themselves would give the protection away: ``getattr`` walks from
any object to any other; ``numpy.dtype`` takes a pickled state that makes the
bytes of a plain float array count as pointers to objects; and the state of a
``HistoryBuffer`` replaces methods for the whole process.

So each of these names is answered by a stand-in of this module, which takes
what a Runner writes and refuses the rest. Stand-ins are data without methods
that a file could call; :func:`settle` replaces them, after loading, by what
they stand for.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler

from mmxclip.checkpoints.yacs_stub import CONFIG_NODE, ConfigNode

STATISTICS = ('min', 'max', 'current', 'mean')
ANNEALING = ('_annealing_cos', '_annealing_linear')
PLAIN_DTYPE = re.compile(r'[biufc]\d{1,2}')
PLAIN_DTYPE_STATE = (None, None, None, -1, -1, 0)
"""Subarray, names, fields, item size, alignment, flags: none of its own."""

_lock = threading.RLock()


class Stand:
    """Stands for a value while its file is read."""

    value: Any


class DType(Stand):
    """Stands for ``numpy.dtype``: booleans, integers, floats and complex numbers only.

    Args:
        spec: kind and bytes, e.g. ``'f8'``.
        align: part of NumPy's pickles, without meaning here.
        copy: likewise.
    """

    def __init__(self, spec: str, align: bool = False, copy: bool = True) -> None:
        if type(spec) is not str or not PLAIN_DTYPE.fullmatch(spec):
            raise UnpicklingError(f'NumPy data type {spec!r} is not a plain number')
        self.value = np.dtype(spec)

    def __setstate__(self, state: tuple) -> None:
        if type(state) is not tuple or state[2:] != PLAIN_DTYPE_STATE or state[0] != 3:
            raise UnpicklingError(f'NumPy data type {self.value} with a state of its own: {state}')
        self.value = self.value.newbyteorder(state[1])


class Array(Stand):
    """Stands for ``numpy.ndarray``; made by :func:`reconstruct`."""

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        if type(dtype) is not DType or type(data) is not bytes:
            raise UnpicklingError('NumPy array that does not hold plain numbers')
        if type(shape) is not tuple or any(type(size) is not int or size < 0 for size in shape):
            raise UnpicklingError(f'NumPy array of shape {shape}')
        # ``frombuffer`` and ``reshape`` check that the bytes are as many as the shape wants
        flat = np.frombuffer(data, dtype.value) if data else np.empty(0, dtype.value)
        self.value = flat.reshape(shape, order='F' if fortran else 'C').copy('K')


class Buffer(Stand):
    """Stands for ``HistoryBuffer``.

    The statistics methods that a file brings are dropped: this process has its
    own, and what is registered here is what counts.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        logs, counts = (
            _settled_array(state['_log_history']),
            _settled_array(state['_count_history']),
        )
        if logs.ndim != 1 or logs.shape != counts.shape or type(state['max_length']) is not int:
            raise UnpicklingError(f'HistoryBuffer of {logs.shape} values and {counts.shape} counts')
        self.value = HistoryBuffer(max_length=state['max_length'])
        self.value._log_history, self.value._count_history = logs, counts


class Name(Stand):
    """Stands for a class or function that a file may mention and never call.

    Args:
        value: what the mention is settled to.
    """

    def __init__(self, value: Any) -> None:
        self.value = value


ONE_CYCLE = Name(OneCycleParamScheduler)


def reconstruct(subtype: type, shape: tuple, typecode: bytes) -> Array:
    """Stand in for NumPy's ``_reconstruct``: an array that gets its content later."""
    if subtype is not Array:
        raise UnpicklingError('NumPy array of a foreign class')
    return Array()


def scalar(dtype: DType, data: bytes) -> np.generic:
    """Stand in for NumPy's ``scalar``: one plain number."""
    if type(dtype) is not DType or type(data) is not bytes:
        raise UnpicklingError('NumPy scalar that is not a plain number')
    if len(data) != dtype.value.itemsize:
        raise UnpicklingError(f'NumPy scalar {dtype.value} of {len(data)} bytes')
    return np.frombuffer(data, dtype.value)[0]


def empty_bytes(*args: Any) -> bytes:
    """Stand in for ``builtins.bytes``: how pickle writes ``b''``, the content of empty arrays."""
    if args:
        raise UnpicklingError('GLOBAL builtins.bytes was not an allowed global with arguments')
    return b''


def lookup(*args: Any) -> Callable:
    """Stand in for ``builtins.getattr``, through which pickle names a method of a class.

    Only what a Runner saves in this way is handed out: the statistics methods
    of ``HistoryBuffer`` and the annealing functions of one-cycle schedules.
    The unpickler still does not call them.
    """
    if len(args) == 2 and type(args[1]) is str:
        owner, name = args
        if owner is Buffer and name in STATISTICS:
            return vars(HistoryBuffer)[name]
        if owner is ONE_CYCLE and name in ANNEALING:
            return getattr(OneCycleParamScheduler, name)
    what = ', '.join(arg if type(arg) is str else type(arg).__name__ for arg in args[1:])
    raise UnpicklingError(f'GLOBAL builtins.getattr was not an allowed global for {what}')


def stand_ins() -> dict[str, Any]:
    """The allow-list: the name that a file asks for, and what answers to it."""
    listed: dict[str, Any] = {
        'builtins.getattr': lookup,
        'builtins.bytes': empty_bytes,
        'mmengine.logging.history_buffer.HistoryBuffer': Buffer,
        'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler': ONE_CYCLE,
        'numpy.ndarray': Array,
        'numpy.dtype': DType,
        CONFIG_NODE: ConfigNode,
    }
    for package in ('numpy.core', 'numpy._core'):  # before NumPy 2, and since
        listed[f'{package}.multiarray._reconstruct'] = reconstruct
        listed[f'{package}.multiarray.scalar'] = scalar
    for method in HistoryBuffer._statistics_methods.values():
        name = f'{getattr(method, "__module__", "")}.{getattr(method, "__qualname__", "")}'
        listed.setdefault(name, Name(method))  # registered by the user of this process
    return listed


@contextmanager
def allowed() -> Iterator[None]:
    """Let ``torch.load`` of this block, and of no other, use the stand-ins.

    What a program has allowed by ``torch.serialization.add_safe_globals`` stays
    allowed, except under a name that is on our list: a ``getattr`` from
    elsewhere does not get in.
    """
    ours = stand_ins()
    with _lock:  # torch keeps one list for all threads
        before = torch.serialization.get_safe_globals()
        kept = [entry for entry in before if _name(entry) not in ours]
        try:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(
                [*kept, *((stand, name) for name, stand in ours.items())]
            )
            yield
        finally:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals(before)


def _name(entry: Any) -> str:
    """The name under which torch would find an entry of its list."""
    return entry[1] if isinstance(entry, tuple) else f'{entry.__module__}.{entry.__qualname__}'


def settle(loaded: Any, seen: dict[int, Any] | None = None) -> Any:
    """Replace stand-ins by what they stand for, in place where that is possible.

    Args:
        loaded: what ``torch.load`` returned; dicts, lists and tuples are searched.
        seen: containers that have been searched, by identity.
    """
    seen = {} if seen is None else seen
    if isinstance(loaded, Stand):
        if not hasattr(loaded, 'value'):
            raise UnpicklingError(f'{type(loaded).__name__} without content')
        return loaded.value
    if type(loaded) not in (dict, OrderedDict, Counter, list, tuple):
        return loaded
    if id(loaded) in seen:
        return seen[id(loaded)]
    seen[id(loaded)] = loaded
    if type(loaded) is tuple:
        settled = tuple(settle(item, seen) for item in loaded)
        if any(new is not old for new, old in zip(settled, loaded, strict=True)):
            seen[id(loaded)] = settled
            return settled
        return loaded
    for key, item in list(enumerate(loaded) if type(loaded) is list else loaded.items()):
        settled = settle(item, seen)
        if settled is not item:
            loaded[key] = settled
    return loaded


def _settled_array(stand: Any) -> np.ndarray:
    if type(stand) is not Array:
        raise UnpicklingError('HistoryBuffer without arrays')
    return stand.value
