"""A run within a process that has run others before, as if it were the first."""

from __future__ import annotations

import gc
import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.runner import Runner
from mmengine.utils import ManagerMixin
from mmengine.visualization import Visualizer

LOOPS = ('_train_loop', '_val_loop', '_test_loop')


@contextmanager
def isolated() -> Iterator[None]:
    """Give the block MMEngine's and torch's state of a fresh process, and take it back.

    MMEngine keeps loggers, message hubs, visualizers and default scopes for as
    long as the process lives, and whoever asks for the current one gets the
    latest. What the block adds to them is closed and removed. A run without a
    seed draws one from numpy's generator, which the run before has seeded: it
    is filled from the system anew. Switches of torch that a config can set are
    set back.
    """
    before = {manager: OrderedDict(manager._instance_dict) for manager in _managers()}
    switches = _switches()
    random.seed()
    np.random.seed()
    torch.seed()
    try:
        yield
    finally:
        _remove_instances(before)
        _restore_switches(*switches)
        gc.collect()  # a runner, its hooks and its loops hold one another
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def end_workers(runner: Runner) -> None:
    """End the loader workers of ``runner``; the garbage collector would wait for each."""
    for name in LOOPS:
        loader = getattr(getattr(runner, name, None), 'dataloader', None)
        if loader is not None and hasattr(loader, '_iterator'):
            loader._iterator = None


def _managers() -> list[Any]:
    """``ManagerMixin`` and every class below it; each keeps instances of its own."""
    found: list[Any] = [ManagerMixin]
    for manager in found:
        found += manager.__subclasses__()
    return found


def _remove_instances(before: dict[Any, OrderedDict]) -> None:
    for manager in _managers():
        old = before.get(manager, OrderedDict())
        for name, instance in manager._instance_dict.items():
            if name not in old:
                _close(instance)
        manager._instance_dict.clear()
        manager._instance_dict.update(old)


def _close(instance: Any) -> None:
    """Close the files of a logger or a visualizer."""
    if isinstance(instance, Visualizer):
        instance.close()
    for handler in getattr(instance, 'handlers', []):
        if hasattr(handler, 'baseFilename'):
            handler.close()


def _switches() -> tuple[bool, bool, bool]:
    return (
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )


def _restore_switches(benchmark: bool, deterministic: bool, algorithms: bool) -> None:
    torch.backends.cudnn.benchmark = benchmark
    torch.backends.cudnn.deterministic = deterministic
    torch.use_deterministic_algorithms(algorithms)
