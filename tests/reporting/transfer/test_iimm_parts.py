"""Parts of the IIMM side by side, its halves in other weights, and what choosing a weight is worth."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.reporting.transfer.iimm_parts import WEIGHTS, of_parts, weights
from unseen.reporting.transfer.points import Point

RNG = np.random.default_rng(3)
INTRA, INTER = RNG.uniform(size=(2, 6))


def points(gain: np.ndarray, **more: np.ndarray) -> list[Point]:
    return [
        Point(
            "clip", "full", f"k{at}",
            {"iimm": (INTRA[at] + INTER[at]) / 2, "intra": INTRA[at], "inter": INTER[at]}
            | {name: values[at] for name, values in more.items() if np.isfinite(values[at])},
            {"gain": value}, {}, 1,
        )
        for at, value in enumerate(gain.tolist())
    ]  # fmt: skip


def test_parts_side_by_side() -> None:
    gap = np.array([0.1, np.nan, 0.3, 0.4, 0.2, 0.6])
    (row,) = of_parts(points(2 * INTRA + 1, gap=gap, correct=np.ones(6)))
    assert row.r2["intra"] == pytest.approx(1)
    assert row.r2["inter"] == pytest.approx(np.corrcoef(INTER, INTRA)[0, 1] ** 2)
    # a part that a task lacks would be over other tasks; one that does not vary has none
    assert set(row.r2) == {"iimm", "inter", "intra"}
    assert row.n == 6


def test_weights_find_the_half_that_gain_follows() -> None:
    rows, (choice,) = weights(points(2 * INTRA + 1))
    assert [row.w for row in rows] == list(WEIGHTS)
    assert rows[-1].r2 == pytest.approx(1)
    assert rows[0].r2 == pytest.approx(np.corrcoef(INTER, INTRA)[0, 1] ** 2)
    assert (choice.best_w, choice.lowest_w, choice.highest_w) == (1, 1, 1)
    assert (choice.best_error, choice.nested_error) == pytest.approx((0, 0), abs=1e-12)
    assert choice.error == pytest.approx(next(row.error for row in rows if row.w == 0.5))


def test_choosing_a_weight_without_a_relation_is_worth_nothing() -> None:
    rng = np.random.default_rng(4)
    choices = [weights(points(rng.normal(size=6)))[1][0] for _ in range(60)]
    assert all(one.best_error <= one.error for one in choices)
    # the best of 11 looks better than the IIMM; chosen without the task, it is worse
    assert np.mean([one.best_error for one in choices]) < np.mean([one.error for one in choices])
    assert np.mean([one.nested_error for one in choices]) > np.mean([one.error for one in choices])


def test_nested_error_by_hand() -> None:
    gain = np.array([0.3, 0.1, 0.5, 0.2, 0.7, 0.4])
    _, (choice,) = weights(points(gain))
    errors = []
    for out in range(6):
        kept = [at for at in range(6) if at != out]
        found = []
        for w in WEIGHTS:
            x = w * INTRA + (1 - w) * INTER
            inner = []
            for inside in kept:
                rest = [at for at in kept if at != inside]
                inner.append(abs(gain[inside] - np.polyval(np.polyfit(x[rest], gain[rest], 1), x[inside])))
            last = abs(gain[out] - np.polyval(np.polyfit(x[kept], gain[kept], 1), x[out]))
            found.append((float(np.mean(inner)), float(last)))
        errors.append(min(found)[1])
    assert choice.nested_error == pytest.approx(np.mean(errors))


def test_four_tasks_choose_no_weight() -> None:
    rows, choices = weights(points(2 * INTRA + 1)[:4])
    assert len(rows) == 11
    assert choices == []
