"""What to do about videos that cannot be read, and how many of them are too many."""

from __future__ import annotations

import hashlib
import logging

import torch
from mmengine.dist import get_rank
from mmengine.logging import print_log
from torch.utils.data import get_worker_info

from mmxclip.errors import ConfigError, DataError

POLICIES = ('raise', 'replace', 'count')
MAX_WORKERS = 1024
_PROBES = 32


class SharedNames:
    """A set of names in shared memory, which all loader workers read and extend.

    It forgets rather than errs: beyond its capacity, or when two workers write
    at the same instant, a name may not be kept, and :meth:`add` calls it new again.

    Args:
        capacity: number of names; 8 bytes each.
    """

    def __init__(self, capacity: int) -> None:
        self._slots = torch.zeros(capacity, dtype=torch.int64).share_memory_()

    def add(self, name: str) -> bool:
        """Add ``name``, and say whether it is new."""
        value, slot = self._find(name)
        if slot is not None and int(self._slots[slot]) == value:
            return False
        if slot is not None:
            self._slots[slot] = value
        return True

    def __contains__(self, name: str) -> bool:
        value, slot = self._find(name)
        return slot is not None and int(self._slots[slot]) == value

    def _find(self, name: str) -> tuple[int, int | None]:
        """The name's value, and the slot that holds it or could."""
        data = name.encode('utf-8', 'surrogateescape')
        digest = hashlib.blake2b(data, digest_size=8).digest()
        value = int.from_bytes(digest, 'big', signed=True) or 1  # 0 is a free slot
        for probe in range(_PROBES):
            slot = (value + probe) % len(self._slots)
            if int(self._slots[slot]) in (0, value):
                return value, slot
        return value, None


class BadVideos:
    """Counts videos that cannot be read, over all loader workers of a process.

    Args:
        policy: ``'raise'`` ends the run. ``'replace'`` leaves such a video out,
            so that a training set draws another sample, until they are too
            many. ``'count'`` puts a marked placeholder in its place, which is
            scored as wrong and listed (:class:`VideoAccMetric`).
        max_share: with ``'replace'``, the share of attempts, 0 to 1, above
            which the run fails.
        min_attempts: the share is taken of at least so many attempts, so that
            one bad video among the first few is not too many.
    """

    def __init__(self, policy: str, max_share: float = 0.05, min_attempts: int = 100) -> None:
        if policy not in POLICIES:
            raise ConfigError(f'on_error={policy!r} is not known; expected one of {POLICIES}')
        if not 0 <= max_share <= 1:
            raise ConfigError(f'max_bad_share={max_share} must lie between 0 and 1')
        self.policy = policy
        self.max_share = max_share
        self.min_attempts = min_attempts
        self._logged = SharedNames(1 << 14)
        # Attempts, failures and distinct names, a row for each worker: two that
        # wrote to one number would lose counts.
        self._counts = torch.zeros((MAX_WORKERS, 3), dtype=torch.int64).share_memory_()

    @property
    def attempts(self) -> int:
        """Videos opened so far."""
        return int(self._counts[:, 0].sum())

    @property
    def failures(self) -> int:
        """Those of them that could not be read."""
        return int(self._counts[:, 1].sum())

    @property
    def distinct(self) -> int:
        """Different videos among those that could not be read."""
        return int(self._counts[:, 2].sum())

    def opened(self) -> None:
        """Count an attempt."""
        self._counts[_row(), 0] += 1

    def failed(self, error: DataError, filename: str) -> None:
        """Count a failure; log each name once.

        Raises:
            DataError: by policy, or when too many videos are bad.
        """
        if self.policy == 'raise':
            raise DataError(
                f"{error}; or set on_error='replace' of RobustDecordInit to draw another sample in "
                "training, 'count' to score it as wrong in testing"
            ) from error
        self._counts[_row(), 1] += 1
        if self._logged.add(filename):
            self._counts[_row(), 2] += 1
            # other ranks' warnings are not shown
            level = logging.WARNING if get_rank() == 0 else logging.ERROR
            print_log(f'bad video: {error}', logger='current', level=level)
        if self.policy == 'replace':
            self.check_share(error)

    def check_share(self, last: DataError) -> None:
        """Fail when too many videos are bad."""
        attempts, failures = self.attempts, self.failures
        if failures > self.max_share * max(attempts, self.min_attempts):
            raise DataError(
                f'{failures} of {attempts} attempts to read a video failed '
                f'({failures / attempts:.1%}; {self.distinct} videos), more than '
                f'max_bad_share={self.max_share:g} allows; the last: {last}. The log names each: '
                'repair them, leave them out, or raise max_bad_share'
            )

    def summary(self) -> str:
        """The counts in words."""
        return (
            f'{self.distinct} bad videos, met {self.failures} times in {self.attempts} attempts, '
            f'were {"replaced" if self.policy == "replace" else "counted as wrong"}'
        )


def _row() -> int:
    worker = get_worker_info()
    return 0 if worker is None else 1 + worker.id % (MAX_WORKERS - 1)
