"""Work on blocks of rows, side by side in threads, with results that do not depend on how many threads there are.

numpy lets go of the interpreter in its products and sorts, so plain threads use every core. Each thread's BLAS is
held to one thread: the blocks, not the cores, decide the order of every sum, and a busy machine loses no time to
workers that spin while they wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


class RowThreads:
    """Threads that share out blocks of rows; made by `row_threads`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def map(self, task: Callable[[slice], Result], num_rows: int, block: int) -> list[Result]:
        """Return task(rows) for each block of at most `block` rows, in the order of the rows."""
        blocks = [slice(start, min(start + block, num_rows)) for start in range(0, num_rows, block)]
        if len(blocks) == 1:
            return [task(blocks[0])]
        return list(self._pool.map(task, blocks))

    def run(self, tasks: Sequence[Callable[[], None]]) -> None:
        """Call every task, the first ones first."""
        if len(tasks) == 1:
            tasks[0]()
        else:
            list(self._pool.map(lambda task: task(), tasks))


@contextmanager
def row_threads() -> Iterator[RowThreads]:
    """Give as many threads as torch uses (OMP_NUM_THREADS, or a rank's share of the cores), BLAS held to one each.

    The pool lives no longer than the block: an idle thread would not survive the fork of a sweep's next job.
    """
    threads = torch.get_num_threads()  # before the limit, which torch's threads obey, too
    with (
        _libraries().limit(limits=1),
        ThreadPoolExecutor(threads, thread_name_prefix="probe") as pool,
    ):
        yield RowThreads(pool)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()  # it looks through all loaded libraries, which takes milliseconds
