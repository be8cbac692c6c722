"""Threads that share out work: order, nesting, errors, and one limit on BLAS for all."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from threadpoolctl import threadpool_info

from unseen.probes.row_blocks import RowThreads, row_threads


@pytest.fixture(params=[1, 2, 5])
def count(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_results_come_in_the_order_of_the_rows(count: int) -> None:
    with row_threads() as threads:
        found = threads.map(lambda rows: (rows.start, rows.stop), 10, 4)
        assert found == [(0, 4), (4, 8), (8, 10)]
        assert threads.map(lambda rows: rows, 0, 4) == []


def test_tasks_share_out_their_own_work_even_if_all_threads_are_taken(count: int) -> None:
    with row_threads() as threads:

        def task() -> int:
            return sum(threads.map(lambda rows: sum(threads.map(lambda _: 1, 6, 1)), 4, 1))

        assert threads.side_by_side([task] * 7) == [24] * 7


def test_all_threads_work_at_once(count: int) -> None:
    meeting = threading.Barrier(count, timeout=20)
    with row_threads() as threads:
        threads.run([meeting.wait] * count)  # type: ignore[list-item]
        assert sorted(threads.side_by_side([meeting.wait] * count)) == list(range(count))


def test_an_error_ends_the_work(count: int) -> None:
    """The error is the task's, nothing begins after it, and what has begun has ended."""
    begun, ended, raised = [], [], threading.Event()

    def task(rows: slice) -> None:
        begun.append(rows.start)
        if rows.start == 0:
            raised.set()
            raise ZeroDivisionError
        raised.wait(20)
        time.sleep(0.05)  # the error is on its way
        ended.append(rows.start)

    with row_threads() as threads:
        with pytest.raises(ZeroDivisionError):
            threads.map(task, 1000, 1)
        assert len(begun) <= 2 * count
        assert set(begun) == {0, *ended}


@pytest.mark.parametrize("in_caller", [True, False])
def test_an_error_of_any_thread_is_the_callers(in_caller: bool) -> None:
    """Ctrl-C, say, which arrives in the main thread while the other one works."""
    before, meeting, ended = torch.get_num_threads(), threading.Barrier(2, timeout=20), []

    def task() -> None:
        meeting.wait()
        if (threading.current_thread() is threading.main_thread()) == in_caller:
            raise KeyboardInterrupt
        time.sleep(0.05)
        ended.append(True)

    torch.set_num_threads(2)
    try:
        with row_threads() as threads, pytest.raises(KeyboardInterrupt):
            threads.run([task, task, pytest.fail])
        assert ended == [True]
    finally:
        torch.set_num_threads(before)


def test_all_libraries_have_one_thread_in_each(count: int) -> None:
    with row_threads() as threads:
        found = threads.side_by_side(
            [lambda: {library["num_threads"] for library in threadpool_info()}] * count
        )
    assert found == [{1}] * count


def test_filters_of_warnings_are_as_before(count: int) -> None:
    """Though those that change them for a moment leave in the order in which they came."""
    before, entered = list(warnings.filters), threading.Barrier(min(count, 2), timeout=20)
    left = threading.Event()

    def change(first: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", BytesWarning)
            entered.wait()
            if not first and count > 1:
                left.wait(20)
        left.set()

    with row_threads() as threads:
        threads.side_by_side([partial(change, True), partial(change, False)])
    assert warnings.filters == before


def test_a_block_inside_shares_the_threads_and_leaves_the_limit() -> None:
    before = blas_threads()
    with row_threads() as outer:
        assert blas_threads() == {1}
        with row_threads() as inner:
            assert inner is outer
        assert blas_threads() == {1}
        assert outer.map(lambda rows: rows.start, 4, 2) == [0, 2]
    assert blas_threads() == before


def test_the_threads_know_where_they_belong(count: int) -> None:
    def inner() -> RowThreads:
        with row_threads() as threads:
            return threads

    with row_threads() as outer:
        assert outer.side_by_side([inner] * 4) == [outer] * 4
    with row_threads() as later:
        assert later is not outer


def test_another_thread_waits_its_turn() -> None:
    before, entered, found = blas_threads(), threading.Event(), []

    def second() -> None:
        with row_threads() as threads:
            entered.set()
            found.extend([blas_threads(), threads.map(lambda rows: rows.start, 4, 2)])

    other = threading.Thread(target=second)
    with row_threads():
        other.start()
        assert not entered.wait(0.1)
    other.join(20)
    assert found == [{1}, [0, 2]]
    assert blas_threads() == before
