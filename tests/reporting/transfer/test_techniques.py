"""Which technique is best is said only where it is better than every other, over the tasks of all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from unseen.reporting.transfer.points import Point
from unseen.reporting.transfer.techniques import compare_techniques


def points(
    gains: Mapping[str, np.ndarray], outcome: str = "gain", others: Mapping[str, str] | None = None
) -> list[Point]:
    return [
        Point(
            "clip",
            technique,
            f"k{at}",
            {},
            {outcome: value},
            dict.fromkeys((others or {}).get(technique, "xy"), 0.0),
            1,
        )
        for technique, of in gains.items()
        for at, value in enumerate(of.tolist())
        if np.isfinite(value)
    ]


def test_a_difference_of_two_changes_ends_at_one() -> None:
    """Differences of .1, .9 and .9: t reaches to 1.78, and two accuracies differ by 1 at most."""
    differences, _, _ = compare_techniques(
        points({"full": np.zeros(3) - 1e-3, "lora": -np.array([0.1, 0.9, 0.9]) - 1e-3}, "mean_change")
    )
    assert differences[0].difference == pytest.approx(1.9 / 3)
    assert differences[0].high == 1
    assert differences[0].low < 0


def test_the_best_of_three_by_hand() -> None:
    base = np.array([0.1, 0.3, 0.2, 0.5, 0.4, 0.6])
    step = np.array([0.10, 0.12, 0.14, 0.11, 0.13, 0.15])
    differences, (best,), notes = compare_techniques(
        points({"full": base + step, "lora": base, "bitfit": base - step})
    )
    assert [(one.first, one.second) for one in differences] == [
        ("full", "lora"),
        ("full", "bitfit"),
        ("lora", "bitfit"),
    ]
    # all six differences have one sign: 2 of 64 flips
    assert [one.p for one in differences] == pytest.approx([2 / 64] * 3)
    assert [one.p_adjusted for one in differences] == pytest.approx([3 * 2 / 64] * 3)
    assert differences[0].difference == pytest.approx(step.mean())
    half = 2.570582 * step.std(ddof=1) / np.sqrt(6)
    assert differences[0].high == pytest.approx(step.mean() + half)
    assert (best.technique, best.p, best.corrected) == (
        "full",
        pytest.approx(2 / 64),
        pytest.approx(2 / 64),
    )
    assert best.written
    assert notes == []


def test_one_rival_that_is_as_good_names_none() -> None:
    base = np.array([0.1, 0.3, 0.2, 0.5, 0.4, 0.6])
    rival = base + np.array([0.01, -0.01, 0.01, -0.01, 0.01, -0.02])
    _, (best,), _ = compare_techniques(points({"full": base, "lora": rival, "bitfit": base - 0.3}))
    assert best.technique == "full"
    assert not best.written


def test_five_tasks_name_none() -> None:
    base = np.arange(5) / 10
    _, (best,), _ = compare_techniques(points({"full": base + 1, "lora": base}))
    assert best.p == pytest.approx(2 / 32)
    assert not best.written


def test_only_tasks_of_all_techniques_count() -> None:
    full, lora = np.array([0.5, 0.6, 0.9]), np.array([0.1, 0.2, np.nan])
    (difference,), _, notes = compare_techniques(points({"full": full, "lora": lora}))
    assert (difference.n, difference.difference) == (2, pytest.approx(0.4))
    assert notes == [
        "clip: techniques are compared in gain over 2 of 3 tasks; not all have k2, or not with the same other tasks."
    ]


def test_forgetting_is_compared_over_the_same_other_tasks() -> None:
    change = np.array([-0.1, -0.2])
    differences, best, notes = compare_techniques(
        points({"full": change, "lora": change / 2}, "mean_change", {"lora": "xyz"})
    )
    assert (differences, best) == ([], [])
    assert "over 0 of 2 tasks" in notes[0]


def test_a_probe_does_not_win_by_construction() -> None:
    change = np.array([-0.1, -0.2, -0.3])
    differences, _, notes = compare_techniques(
        points({"full": change, "lora": change / 2, "probe": 0 * change}, "mean_change")
    )
    assert [(one.first, one.second) for one in differences] == [("full", "lora")]
    assert notes == ["clip: probe changes no other task, and is not compared in forgetting."]
