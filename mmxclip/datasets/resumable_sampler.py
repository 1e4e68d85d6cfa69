"""Going on in the middle of an epoch without loading what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from itertools import islice
from typing import Any

from mmengine.registry import DATA_SAMPLERS as ROOT_DATA_SAMPLERS
from torch.utils.data import Sampler

from mmxclip.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ResumableSampler(Sampler):
    """The order of another sampler, from a given place on.

    Args:
        sampler: a sampler or its config.
        dataset: passed to a sampler that is built here.
        seed: passed likewise.
    """

    def __init__(self, sampler: Any, dataset: Sized | None = None, seed: int | None = None) -> None:
        if isinstance(sampler, dict):
            sampler = ROOT_DATA_SAMPLERS.build(
                sampler, default_args=dict(dataset=dataset, seed=seed)
            )
        self.sampler = sampler
        self._skip = 0

    def skip(self, samples: int) -> None:
        """Leave out the first ``samples`` of this process in the next pass, and in that alone."""
        self._skip = samples

    def set_seed(self, seed: int) -> None:
        """Change the seed of the order."""
        self.sampler.seed = seed

    def __iter__(self) -> Iterator[int]:
        skip, self._skip = self._skip, 0
        return islice(iter(self.sampler), skip, None)

    def __len__(self) -> int:
        """Length of a whole pass, whatever is skipped."""
        return len(self.sampler)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or 'sampler' not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.sampler, name)
