"""What to do about videos that cannot be read, and how many of them are too many."""

from __future__ import annotations

import logging
import zlib

import torch
from mmengine.logging import print_log

from mmxclip.errors import ConfigError, DataError

POLICIES = ('replace', 'count', 'raise')
_SLOTS = 1 << 14
_PROBES = 16


class SharedNames:
    """A set of names in shared memory, seen by all loader workers."""

    def __init__(self) -> None:
        self._slots = torch.zeros(_SLOTS, dtype=torch.int64).share_memory_()

    def add(self, name: str) -> bool:
        """Whether ``name`` is new. Beyond 16384 names all count as known."""
        data = name.encode('utf-8', 'surrogateescape')
        value = (zlib.crc32(data) << 31 | zlib.adler32(data) >> 1) + 1
        for probe in range(_PROBES):
            slot = (value + probe) % _SLOTS
            held = int(self._slots[slot])
            if held == value:
                return False
            if held == 0:
                self._slots[slot] = value
                return True
        return False


class BadVideos:
    """Counts videos that cannot be read, over all loader workers of a process.

    Args:
        policy: ``'replace'`` leaves such a video out, so that a training set
            draws another sample, until they are too many; ``'count'`` puts a
            marked placeholder in its place, which is scored as wrong and listed
            (:class:`VideoAccMetric`); ``'raise'`` ends the run.
        max_share: with ``'replace'``, the share of attempts, 0 to 1, above
            which the run fails.
        min_attempts: attempts before the share is judged.
    """

    def __init__(self, policy: str, max_share: float = 0.05, min_attempts: int = 20) -> None:
        if policy not in POLICIES:
            raise ConfigError(f'on_error={policy!r} is not known; expected one of {POLICIES}')
        if not 0 <= max_share <= 1:
            raise ConfigError(f'max_bad_share={max_share} must lie between 0 and 1')
        self.policy = policy
        self.max_share = max_share
        self.min_attempts = min_attempts
        self._names = SharedNames()
        self._counts = torch.zeros(2, dtype=torch.int64).share_memory_()  # attempts, failures

    @property
    def attempts(self) -> int:
        """Videos opened so far."""
        return int(self._counts[0])

    @property
    def failures(self) -> int:
        """Those of them that could not be read."""
        return int(self._counts[1])

    def opened(self) -> None:
        """Count an attempt."""
        self._counts[0] += 1

    def failed(self, error: DataError, filename: str) -> None:
        """Count a failure; log each name once.

        Raises:
            DataError: by policy, or when too many videos are bad.
        """
        if self.policy == 'raise':
            raise error
        self._counts[1] += 1
        if self._names.add(filename):
            print_log(f'bad video: {error}', logger='current', level=logging.WARNING)
        if self.policy == 'count' or self.attempts < self.min_attempts:
            return
        share = self.failures / self.attempts
        if share > self.max_share:
            raise DataError(
                f'{self.failures} of {self.attempts} videos could not be read ({share:.1%}), more '
                f'than max_bad_share={self.max_share:g}; the last: {error}. The log names each: '
                'repair them, leave them out, or raise max_bad_share'
            )
