"""The state of all random number generators of a process, in types that load safely."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def capture() -> dict[str, Any]:
    """Return the state of ``random``, NumPy, torch and the current accelerator.

    It holds tensors and plain Python types alone, so that a checkpoint with it
    passes ``torch.load(weights_only=True)``.
    """
    version, words, python_gauss = random.getstate()
    numpy = np.random.get_state(legacy=False)
    state = {
        'python': [version, torch.tensor(words), python_gauss],
        'numpy': [
            torch.from_numpy(numpy['state']['key'].astype(np.int64)),
            int(numpy['state']['pos']),
            numpy['has_gauss'],
            numpy['gauss'],
        ],
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def restore(state: dict[str, Any]) -> None:
    """Set all generators to a state of :func:`capture`.

    Args:
        state: its tensors may lie on any device. A state of an accelerator
            that this machine lacks is left out.
    """
    version, words, python_gauss = state['python']
    random.setstate((version, tuple(words.tolist()), python_gauss))
    keys, position, has_gauss, gauss = state['numpy']
    keys = keys.cpu().numpy().astype(np.uint32)
    np.random.set_state(('MT19937', keys, position, has_gauss, gauss))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@contextmanager
def preserved() -> Iterator[None]:
    """Leave all generators as they were before."""
    state = capture()
    try:
        yield
    finally:
        restore(state)
