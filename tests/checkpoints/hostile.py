"""Files that ask for more than a checkpoint may, each with what the refusal says."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OneCycleParamScheduler
from numpy._core.multiarray import _reconstruct, scalar


class Call:
    """Pickles as a call of ``function``, followed by ``state`` for what it returns."""

    def __init__(self, function: Callable, *args: Any, state: Any = None) -> None:
        self.reduced = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> tuple:
        return self.reduced


class OwnText(str):
    """Text that is not what it seems."""


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def walk(*names: str) -> Any:
    """``getattr`` from ``HistoryBuffer`` on, name by name."""
    found: Any = HistoryBuffer
    for name in names:
        found = Call(getattr, found, name)
    return found


def array_call(
    dtype: Any, data: Any = b'A' * 16, shape: Any = (2,), kind: type = np.ndarray
) -> Call:
    return Call(_reconstruct, kind, (0,), b'b', state=(1, shape, dtype, False, data))


def lying_dtype(spec: str = 'f8', *rest: Any) -> Call:
    return Call(np.dtype, spec, False, True, state=(3, '<', *rest))


def buffer_call(**state: Any) -> Call:
    plain = dict(_log_history=np.ones(2), _count_history=np.ones(2), max_length=9)
    return Call(object.__new__, HistoryBuffer, state={**plain, **state})


MARK = 'ran.txt'  # in the folder where the test runs
FIELDS = (None, ('a',), {'a': (np.dtype('f8'), 0)}, -1, -1, 0)
POINTERS = (None, ('a',), {'a': (np.dtype('O'), 0)}, -1, -1, 0)
ASKING = {
    'os.system': (Call(os.system, f'touch {MARK}'), r'asks for \w+\.system'),
    'subprocess': (Call(subprocess.call, ['touch', MARK]), r'asks for \w+\.call'),
    'eval': (Call(eval, f"open('{MARK}', 'w')"), 'asks for eval'),
    'exec': (Call(exec, f"open('{MARK}', 'w')"), 'asks for exec'),
    'open': (Call(open, MARK, 'w'), r'asks for \w*\.?open'),
    'import': (Call(__import__, 'antigravity'), 'asks for __import__'),
    'partial': (Call(partial(open, MARK, 'w')), r'asks for functools\.partial'),
    'torch.load': (Call(torch.load, 'x.pth'), r'asks for torch\.serialization\.load'),
    'own class': (Call(OwnText, 'min'), r'asks for .*\.OwnText.*or allow that class'),
    'getattr init': (walk('__init__'), r'asks for builtins\.getattr'),
    'getattr globals': (walk('min', '__globals__'), r'asks for builtins\.getattr'),
    'getattr init globals': (walk('__init__', '__globals__'), r'asks for builtins\.getattr'),
    'getattr class': (walk('__class__'), r'asks for builtins\.getattr'),
    'getattr subclasses': (walk('__mro__'), r'asks for builtins\.getattr'),
    'getattr statistics': (walk('statistics'), r'asks for builtins\.getattr'),
    'getattr table': (walk('_statistics_methods'), r'asks for builtins\.getattr'),
    'getattr of array': (Call(getattr, np.ndarray, 'tofile'), r'asks for builtins\.getattr'),
    'getattr of dtype': (Call(getattr, np.dtype, '__new__'), r'asks for builtins\.getattr'),
    'getattr of text': (Call(getattr, 'x', 'format'), r'asks for builtins\.getattr'),
    'getattr of scheduler': (
        Call(getattr, OneCycleParamScheduler, '__init__'),
        r'asks for builtins\.getattr',
    ),
    'getattr default': (Call(getattr, HistoryBuffer, 'min', 1), r'asks for builtins\.getattr'),
    'getattr bytes': (Call(getattr, HistoryBuffer, b'min'), r'asks for builtins\.getattr'),
    'getattr text class': (Call(getattr, HistoryBuffer, OwnText('min')), r'asks for .*OwnText'),
    'method called': (Call(HistoryBuffer.min, 1), 'could run code or do harm'),
    'schedule called': (Call(OneCycleParamScheduler._annealing_cos, 1, 2, 3), 'could run code'),
    'bytes of any size': (Call(bytes, 1 << 50), r'asks for builtins\.bytes'),
    'object array': (
        np.array([Call(os.system, f'touch {MARK}')], dtype=object),
        'not a plain number',
    ),
    'object dtype': (array_call(np.dtype('O'), [1, 2]), 'not a plain number'),
    'structured dtype': (np.zeros(2, [('a', 'f8')]), 'not a plain number'),
    'text dtype': (np.array(['a']), 'not a plain number'),
    'record class': (np.zeros(2, [('a', 'f8')]).view(np.recarray), 'asks for numpy'),
    'fields': (array_call(lying_dtype('f8', *FIELDS)), 'state of its own'),
    'pointers': (array_call(lying_dtype('f8', *POINTERS)), 'not a plain number'),
    'flags': (array_call(lying_dtype('f8', None, None, None, -1, -1, 63)), 'state of its own'),
    'subarray': (
        array_call(lying_dtype('f8', (np.dtype('f4'), (9,)), None, None, -1, -1, 0)),
        'state of its own',
    ),
    'foreign array class': (array_call(np.dtype('f8'), kind=OrderedDict), 'foreign class'),
    'too few bytes': (array_call(np.dtype('f8'), shape=(3,)), 'cannot reshape'),
    'too many bytes': (array_call(np.dtype('f8'), shape=(1,)), 'cannot reshape'),
    'negative shape': (array_call(np.dtype('f8'), shape=(-2,)), 'of shape'),
    'list for bytes': (array_call(np.dtype('f8'), [1.0, 2.0]), 'does not hold plain numbers'),
    'object scalar': (Call(scalar, np.dtype('O'), b'A' * 8), 'not a plain number'),
    'short scalar': (Call(scalar, np.dtype('f8'), b'A'), 'of 1 bytes'),
    'long scalar': (Call(scalar, np.dtype('f8'), b'A' * 16), 'of 16 bytes'),
    'buffer without arrays': (Call(HistoryBuffer), 'Buffer without content'),
}


def renamed(source: Path, target: Path, old: bytes, new: bytes) -> Path:
    """Copy a checkpoint with other names in its pickle."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, 'w') as copy:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith('data.pkl'):
                assert old in data
                data = data.replace(old, new)
            copy.writestr(entry.filename, data)
    return target
