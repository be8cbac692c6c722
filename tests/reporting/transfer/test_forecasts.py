"""Forecasts of tasks by known ones: how far off they are, and what is forecast for a task that was only measured."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from reporting.transfer.made_runs import write, write_tasks

from unseen.reporting.transfer.forecasts import SUBSETS, _subsets, forecasts, known_tasks
from unseen.reporting.transfer.points import Point, read_tasks


def points(x: np.ndarray, y: np.ndarray) -> list[Point]:
    return [
        Point("clip", "full", f"k{at}", {"iimm": a}, {"gain": b}, {}, 1)
        for at, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True))
    ]


def test_forecasts_from_k_tasks_by_hand() -> None:
    x, y = np.array([0.0, 1, 2, 3, 5]), np.array([0.1, 0.5, 0.4, 0.9, 1.1])
    three, four = known_tasks(points(x, y))
    assert [(row.k, row.subsets) for row in (three, four)] == [(3, 10), (4, 5)]
    errors, of_mean, covered = [], [], []
    for chosen in map(list, itertools.combinations(range(5), 3)):
        found = sm.OLS(y[chosen], sm.add_constant(x[chosen])).fit()
        out = [at for at in range(5) if at not in chosen]
        frame = found.get_prediction(sm.add_constant(x[out], has_constant="add")).summary_frame()
        errors += np.abs(y[out] - frame["mean"]).tolist()
        of_mean += np.abs(y[out] - y[chosen].mean()).tolist()
        covered += ((frame["obs_ci_lower"] <= y[out]) & (y[out] <= frame["obs_ci_upper"])).tolist()
    assert (three.error, three.error_of_mean) == pytest.approx((np.mean(errors), np.mean(of_mean)))
    assert three.covered == pytest.approx(np.mean(covered))
    assert three.width > four.width  # t with one degree of freedom


def test_subsets_are_all_or_two_hundred_different_ones() -> None:
    assert len(_subsets(6, 3)) == 20
    drawn = {tuple(chosen) for chosen in _subsets(12, 6)}
    assert len(drawn) == SUBSETS
    assert all(len(set(chosen)) == 6 for chosen in drawn)


def test_a_measured_task_gets_a_forecast(tmp_path: Path) -> None:
    x, y = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.25, 0.28, 0.42])
    write_tasks(tmp_path, x, y)
    write(tmp_path, "new", 0.25, 0.0, technique="none")
    write(tmp_path, "far", 0.9, 0.0, technique="none")
    tasks = read_tasks([tmp_path])
    found = {one.task: one for one in forecasts(tasks.points, tasks.measured)}
    frame = sm.OLS(y, sm.add_constant(x)).fit().get_prediction([[1, 0.25]]).summary_frame()
    one = found["new"]
    assert (one.forecast, one.low, one.high) == pytest.approx(
        (frame["mean"][0], frame["obs_ci_lower"][0], frame["obs_ci_upper"][0])
    )
    assert (one.n, one.extrapolates, found["far"].extrapolates) == (4, False, True)
    # by the mean alone: t of 3 degrees of freedom times sd √(1 + 1/4)
    reach = 3.1824463 * y.std(ddof=1) * np.sqrt(1.25)
    assert (one.mean, one.mean_low, one.mean_high) == pytest.approx(
        (y.mean(), y.mean() - reach, y.mean() + reach)
    )
    assert found["far"].high == 1  # no more than all errors can be gained


def test_a_task_of_another_technique_gets_a_forecast_too(tmp_path: Path) -> None:
    write_tasks(tmp_path, (0.1, 0.2, 0.3), (0.1, 0.2, 0.25))
    write(tmp_path, "new", 0.25, 0.4, technique="lora")
    tasks = read_tasks([tmp_path])
    (one,) = forecasts(tasks.points, tasks.measured)  # lora has one task: nothing is forecast from it
    assert (one.technique, one.task, one.n) == ("full", "new", 3)
    assert one.high - one.low > 0.2  # one degree of freedom
