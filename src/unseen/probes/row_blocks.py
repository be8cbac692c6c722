"""Work on blocks of rows, side by side in threads, with results that do not depend on how many threads there are.

numpy lets go of the interpreter in its products and sorts, so plain threads use every core. Each thread's BLAS and
OpenMP are held to one thread: the blocks, not the cores, decide the order of every sum, and a busy machine loses no
time to workers that spin while they wait for each other.
"""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, partial
from typing import TypeVar, cast

import torch
from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


class RowThreads:
    """Threads that share out work; made by `row_threads`."""

    def __init__(self, pool: ThreadPoolExecutor, count: int) -> None:
        self._pool = pool
        self._count = count

    def map(self, task: Callable[[slice], Result], num_rows: int, block: int) -> list[Result]:
        """Return task(rows) for each block of at most `block` rows, in the order of the rows."""
        blocks = [slice(start, min(start + block, num_rows)) for start in range(0, num_rows, block)]
        if len(blocks) == 1:
            return [task(blocks[0])]
        results: list[Result | None] = [None] * len(blocks)

        def put(number: int) -> None:
            results[number] = task(blocks[number])

        self.run([partial(put, number) for number in range(len(blocks))])
        return cast(list[Result], results)

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Call every task, the first ones first.

        The calling thread does its share, and all of it where the others are busy, so a task may call this again.
        """
        waiting, helpers = deque(tasks), []
        try:
            for _ in range(min(self._count, len(tasks)) - 1):
                helpers.append(self._pool.submit(_work_off, waiting))
            _work_off(waiting)
        finally:
            waiting.clear()  # of an error
            begun = [helper for helper in helpers if not helper.cancel()]
            wait(begun)
        for helper in begun:
            helper.result()

    def side_by_side(self, tasks: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return what the tasks return, which are called by as many threads at once as there are.

        Inside a task they are called one after the other: the threads may all be waiting for such tasks.
        """
        if self._count == 1 or getattr(_mine, "working", False):
            return [task() for task in tasks]
        with warnings.catch_warnings():  # libraries set filters for a moment, and restore them out of turn
            return list(self._pool.map(lambda task: task(), tasks))


def _work_off(waiting: deque[Callable[[], None]]) -> None:
    while True:
        try:
            task = waiting.popleft()
        except IndexError:
            return
        try:
            task()
        except BaseException:
            waiting.clear()
            raise


# .threads: those of the block that this thread is in, or works for; .working: it works for it
_mine = threading.local()
_one_at_a_time = threading.Lock()  # most libraries' limit is the whole process's


@contextmanager
def row_threads() -> Iterator[RowThreads]:
    """Give as many threads as torch uses (OMP_NUM_THREADS, or a rank's share of the cores), BLAS held to one each.

    Inside another such block, and in its threads, the same ones are given. They live no longer than the outermost
    block: an idle thread would not survive the fork of a sweep's next job.
    """
    outer: RowThreads | None = getattr(_mine, "threads", None)
    if outer is not None:
        yield outer
        return

    def begin_work() -> None:
        _mine.threads, _mine.working = threads, True
        _libraries().limit(limits=1)  # OpenMP's is each thread's own; it ends with the thread

    with _one_at_a_time:
        threads: RowThreads
        count = torch.get_num_threads()  # before the limit, which torch's threads obey, too
        with (
            _libraries().limit(limits=1),
            ThreadPoolExecutor(count, "probe", initializer=begin_work) as pool,
        ):
            threads = RowThreads(pool, count)
            try:
                _mine.threads = threads
                yield threads
            finally:
                _mine.threads = None


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # it looks through all loaded libraries, which takes milliseconds
