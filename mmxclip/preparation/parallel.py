"""Many long steps side by side, each in a thread that minds a process of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar('Item')
Result = TypeVar('Result')
Item_contra = TypeVar('Item_contra', contravariant=True)
Result_co = TypeVar('Result_co', covariant=True)


class Worker(Protocol[Item_contra, Result_co]):
    """What one thread works with."""

    def __call__(self, item: Item_contra, /) -> Result_co:
        """Work on one item."""
        ...

    def stop(self) -> None:
        """End the process behind it, from another thread and in the midst of work too."""
        ...


class Crew(Generic[Item, Result]):
    """Threads that work through items.

    Args:
        make_worker: makes what each thread works with.
        size: number of threads.
    """

    def __init__(self, make_worker: Callable[[], Worker[Item, Result]], size: int) -> None:
        self.workers = [make_worker() for _ in range(size)]

    def work(self, items: Sequence[Item], title: str) -> Iterator[tuple[Item, Result]]:
        """Items with their results, as they are done; a bar on a terminal shows how far it is.

        The first exception of a worker is raised here. When that happens, or the
        caller leaves early, all processes are ended, and what they were at is
        not given out.
        """
        todo: queue.SimpleQueue[Item] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[Item, Result] | BaseException] = queue.SimpleQueue()
        over = threading.Event()
        for item in items:
            todo.put(item)
        threads = [
            threading.Thread(target=_serve, args=(worker, todo, done, over), daemon=True)
            for worker in self.workers[: len(items)]
        ]
        try:
            for thread in threads:
                thread.start()
            with _bar() as bar:
                task = bar.add_task(title, total=len(items))
                for _ in items:
                    outcome = done.get()
                    if isinstance(outcome, BaseException):
                        raise outcome
                    bar.advance(task)
                    yield outcome
        finally:
            over.set()
            for worker in self.workers:
                worker.stop()
            for worker, thread in zip(self.workers, threads, strict=False):
                while thread.is_alive():  # it may have started a process since
                    worker.stop()
                    thread.join(0.1)


def _serve(
    worker: Worker[Item, Result],
    todo: queue.SimpleQueue[Item],
    done: queue.SimpleQueue[tuple[Item, Result] | BaseException],
    over: threading.Event,
) -> None:
    while not over.is_set():
        try:
            item = todo.get_nowait()
        except queue.Empty:
            return
        try:
            result = worker(item)
        except BaseException as error:  # raised again where the results are awaited
            done.put(error)
            return
        if not over.is_set():  # a result of a process that was ended is none
            done.put((item, result))


def _bar() -> Progress:
    console = Console(stderr=True)
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)
