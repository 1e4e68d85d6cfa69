"""Videos decoded beside the computing, in their order."""

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from torch import Tensor

from mmxclip.datasets.video_readers import stop_children_of
from mmxclip.errors import DataError, MMXCLIPError
from mmxclip.inference.downloads import download
from mmxclip.inference.pipelines import Preparation
from mmxclip.inference.videos import Video, is_address, name_of

MAX_THREADS = 16


def default_threads() -> int:
    """As many as there are cores for this process, up to 16."""
    return max(1, min(MAX_THREADS, len(os.sched_getaffinity(0))))


class Feeder:
    """Prepares videos in threads, each with a decoder process of its own.

    Threads and decoders start when they are first needed, and stay for later calls.

    Args:
        prepare: makes a tensor of a video.
        num_threads: how many videos are decoded at a time; None for the number of cores.
    """

    def __init__(self, prepare: Preparation, num_threads: int | None = None) -> None:
        self.prepare = prepare
        self.num_threads = num_threads or default_threads()
        self._pool: ThreadPoolExecutor | None = None
        self._owner = os.getpid()
        self._threads: list[int] = []

    def __call__(
        self, videos: Iterable[Video], ahead: int
    ) -> Iterator[tuple[str, Tensor | MMXCLIPError]]:
        """Names of videos, each with its pixels or with what is wrong with it.

        The first ones begin to be decoded at once, not when they are asked for.

        Args:
            videos: taken one by one, never far ahead of what is yielded.
            ahead: videos that may wait in memory beside those being decoded.
        """
        pool = self._started()
        left = enumerate(videos)
        waiting: deque[tuple[str, Future]] = deque()

        def submit(number: int) -> None:
            for index, video in islice(left, number):
                name = name_of(video, index)
                waiting.append((name, pool.submit(self.outcome, video, name)))

        def done() -> Iterator[tuple[str, Tensor | MMXCLIPError]]:
            try:
                while waiting:
                    name, future = waiting.popleft()
                    submit(1)
                    yield name, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

        submit(ahead + self.num_threads)
        return done()

    def outcome(self, video: Video, name: str) -> Tensor | MMXCLIPError:
        """Pixels of a video, ``(M, C, T, H, W)``, or what is wrong with it."""
        try:
            if not is_address(video):
                return self.prepare(video, name)
            with tempfile.TemporaryDirectory(prefix='mmxclip_') as folder:
                return self._downloaded(str(video), Path(folder))
        except MMXCLIPError as error:
            return error

    def _downloaded(self, address: str, folder: Path) -> Tensor:
        path = download(address, folder)
        try:
            return self.prepare(path, address)
        except DataError as error:
            raise DataError(str(error).replace(path, address)) from error

    def close(self) -> None:
        """End threads and decoders; a later call starts new ones."""
        if self._pool is not None and self._owner == os.getpid():
            _close(self._pool, self._threads)
        self._pool = None

    def _started(self) -> ThreadPoolExecutor:
        if self._pool is None or self._owner != os.getpid():
            threads: list[int] = []
            self._pool = ThreadPoolExecutor(
                self.num_threads,
                'mmxclip_decode',
                initializer=lambda: threads.append(threading.get_native_id()),
            )
            self._threads, self._owner = threads, os.getpid()
            weakref.finalize(self, _close, self._pool, threads)
        return self._pool


def _close(pool: ThreadPoolExecutor, threads: list[int]) -> None:
    pool.shutdown(wait=False, cancel_futures=True)
    stop_children_of(threads)
    threads.clear()  # the system gives their numbers to others
