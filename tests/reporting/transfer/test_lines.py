"""Lines over tasks by hand and against SciPy and statsmodels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from reporting.transfer.made_runs import TASKS, write, write_tasks
from scipy import stats

from unseen.reporting.transfer.lines import lines
from unseen.reporting.transfer.points import read_tasks


def test_a_line_by_hand(tmp_path: Path) -> None:
    # gain = 0.1 + 0.5 iimm, exactly
    write_tasks(tmp_path, np.arange(5) / 10, 0.1 + 0.05 * np.arange(5))
    (line,) = lines(read_tasks([tmp_path]).points)
    assert (line.outcome, line.measure, line.n) == ("gain", "iimm", 5)
    assert (line.slope, line.intercept, line.r2, line.tau) == pytest.approx((0.5, 0.1, 1, 1))
    assert line.error == pytest.approx(0, abs=1e-12)
    # the mean of the four others misses by .05 · |place - mean of the others| = .125, .0625, 0, .0625, .125
    assert line.error_of_mean == pytest.approx(0.075)
    # of 120 orders the one found and its reverse; without an error only these two
    assert (line.p_order, line.error_p, line.tau_p) == pytest.approx((2 / 120, 2 / 120, 2 / 120))
    assert line.p_adjusted == pytest.approx(2 * 2 / 120)
    assert line.may_be_written


def test_against_scipy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, 0.5, size=(2, 5))
    write_tasks(tmp_path, x, y)
    (line,) = lines(read_tasks([tmp_path]).points)
    fit = stats.linregress(x, y)
    assert (line.slope, line.p, line.r2) == pytest.approx((fit.slope, fit.pvalue, fit.rvalue**2))
    half = stats.t.ppf(0.975, 3) * fit.stderr
    assert (line.low, line.high) == pytest.approx((fit.slope - half, fit.slope + half))
    assert line.weighted_tau == pytest.approx(stats.weightedtau(x, y).statistic)
    by_permutation = stats.permutation_test(
        (y,),
        lambda drawn: abs(stats.pearsonr(x, drawn).statistic),
        permutation_type="pairings",
        alternative="greater",
    )
    assert line.p_order == pytest.approx(by_permutation.pvalue)


def test_the_error_by_chance_is_that_of_all_orders(tmp_path: Path) -> None:
    import itertools

    x, y = np.array([0.1, 0.2, 0.4, 0.5]), np.array([0.1, 0.3, 0.2, 0.4])
    write_tasks(tmp_path, x, y)
    (line,) = lines(read_tasks([tmp_path]).points)

    def left_out(outcomes: np.ndarray) -> float:
        kept = [np.arange(4) != out for out in range(4)]
        fits = [np.polyfit(x[k], outcomes[k], 1) for k in kept]
        return float(np.mean([abs(outcomes[at] - np.polyval(fit, x[at])) for at, fit in enumerate(fits)]))

    errors = [left_out(np.array(order)) for order in itertools.permutations(y)]
    assert (line.error, line.error_by_chance) == pytest.approx((left_out(y), np.mean(errors)))
    assert line.error_p == pytest.approx(np.mean(np.array(errors) <= left_out(y) + 1e-12))


def test_a_line_that_rests_on_one_task_is_none(tmp_path: Path) -> None:
    for place, task in enumerate(TASKS[:5]):
        write(tmp_path / "one", task, float(task == "e"), 0.1 * place)
        write(tmp_path / "two", task, float(task in "de"), 0.1 * place)
    assert lines(read_tasks([tmp_path / "one"]).points) == []
    assert len(lines(read_tasks([tmp_path / "two"]).points)) == 1


def test_three_tasks_and_constant_outcomes_have_no_line(tmp_path: Path) -> None:
    write_tasks(tmp_path / "three", (0.1, 0.2, 0.3), (0.1, 0.2, 0.3))
    write_tasks(tmp_path / "constant", (0.1, 0.2, 0.3, 0.4, 0.5), [0.25] * 5)
    assert lines(read_tasks([tmp_path / "three"]).points) == []
    assert lines(read_tasks([tmp_path / "constant"]).points) == []


def test_a_value_that_is_no_number_costs_its_task_only(tmp_path: Path) -> None:
    write_tasks(tmp_path, (math.inf, 0.1, 0.2, 0.3, math.nan, 0.5), 0.1 * np.arange(6))
    (line,) = lines(read_tasks([tmp_path]).points)
    assert line.n == 4


def test_other_measures_do_not_count_against_the_iimm(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for task, x in zip(TASKS[:6], range(6), strict=False):
        scores = {f"score_{number}": float(rng.normal()) for number in range(20)}
        write(tmp_path, task, x / 10, 0.1 + x / 20, measures=scores)
    found = {line.measure: line for line in lines(read_tasks([tmp_path]).points)}
    assert found["iimm"].p_adjusted == pytest.approx(2 * 2 / 720)
    others = [line for name, line in found.items() if name != "iimm"]
    assert len(others) == 20
    smallest = min(others, key=lambda line: line.p_order)
    assert smallest.p_adjusted == pytest.approx(min(1, 2 * 20 * smallest.p_order))
