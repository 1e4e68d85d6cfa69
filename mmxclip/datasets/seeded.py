"""Random samples that depend on the seed, the epoch and the sample, and on nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.registry import DATASETS as ROOT_DATASETS

from mmxclip.registry import DATASETS


@contextmanager
def seeded(key: Sequence[int]) -> Iterator[None]:
    """Seed ``random``, NumPy and torch's CPU generator with ``key``, and restore them after.

    Args:
        key: whole numbers from 0; any difference gives an unrelated stream.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    words = np.random.SeedSequence(list(key)).generate_state(12)
    try:
        random.seed(words[:4].tobytes())
        np.random.seed(words[4:8])
        # torch.manual_seed would reseed accelerators as well
        torch.default_generator.manual_seed(int(words[8:10].view(np.uint64)[0]))
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


@DATASETS.register_module()
class SeededDataset:
    """A dataset whose random transforms give the same for the same seed, epoch and index.

    MMEngine seeds each loader worker once, so what a sample looks like depends
    on the number of workers and processes; and workers that do not persist are
    seeded alike in each epoch, so that each epoch brings the same crops and
    flips. Here each sample is seeded on its own, together with what a dataset
    draws when it replaces a broken video. The random state of the process that
    asks is left as it was, so the model's random numbers do not depend on
    whether samples are loaded in its process.

    :class:`ResumableEpochBasedTrainLoop` wraps its dataset so by itself.

    Args:
        dataset: a dataset or its config; wrappers such as ``RepeatDataset`` go
            inside, so that repeated samples differ.
        seed: a whole number from 0.
    """

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = ROOT_DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.seed = seed
        # shared memory: reaches workers that live as long as the loader
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Draw anew; to be called before an epoch's samples are asked for."""
        self._epoch.fill_(epoch)

    def set_seed(self, seed: int) -> None:
        """Change the seed; to be called before workers are started."""
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        with seeded((self.seed, int(self._epoch), index)):
            return self.dataset[index]

    def __getattr__(self, name: str) -> Any:
        # Not the special methods: through ``__getitems__`` a loader would reach
        # past the seeding, and through ``__setstate__`` copying would not end.
        if name.startswith('__') or 'dataset' not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.dataset, name)
