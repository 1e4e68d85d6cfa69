"""Work side by side: every result once, and an orderly end when something goes wrong."""

from __future__ import annotations

import threading
import time

import pytest

from mmxclip.preparation.parallel import Crew


class Squarer:
    """Squares numbers; fails at 13; waits at 99 until it is stopped."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.threads: set[int] = set()

    def __call__(self, item: int) -> int:
        self.threads.add(threading.get_ident())
        if item == 13:
            raise ValueError('thirteen')
        if item == 99:
            assert self.stopped.wait(20)
        time.sleep(0.001)
        return item * item

    def stop(self) -> None:
        self.stopped.set()


@pytest.mark.parametrize(('number', 'size'), [(0, 2), (1, 4), (30, 1), (30, 4)])
def test_results(number, size):
    crew = Crew(Squarer, size)
    results = sorted(crew.work(range(20, 20 + number), 'squaring'))
    assert results == [(i, i * i) for i in range(20, 20 + number)]
    assert all(worker.stopped.is_set() for worker in crew.workers)
    assert all(len(worker.threads) <= 1 for worker in crew.workers)


def test_failure_ends_all(capsys):
    crew = Crew(Squarer, 2)
    with pytest.raises(ValueError, match='thirteen'):
        list(crew.work([99, 13, *range(200, 300)], 'squaring'))
    assert all(worker.stopped.is_set() for worker in crew.workers)
    assert capsys.readouterr().err == ''


def test_leaving_early_ends_all():
    crew = Crew(Squarer, 2)
    work = crew.work([99, *range(5)], 'squaring')
    assert next(work)[0] in range(5)
    work.close()
    assert all(worker.stopped.is_set() for worker in crew.workers)
    assert not [t for t in threading.enumerate() if t.name.endswith('(_serve)')]
