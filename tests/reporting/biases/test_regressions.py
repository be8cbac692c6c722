"""All biases together, against statsmodels, by hand, and on noise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm

from unseen.reporting.biases.networks import GROUPS, Networks, published_networks
from unseen.reporting.biases.regressions import Regression, regressions


@pytest.fixture(scope="module")
def networks() -> Networks:
    return published_networks()


@pytest.fixture(scope="module")
def rows(networks: Networks) -> dict[tuple[str, str], Regression]:
    return {(row.model, row.group): row for row in regressions(networks)}


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("products", [False, True])
def test_least_squares_is_that_of_statsmodels(
    networks: Networks, rows: dict[tuple[str, str], Regression], group: str, products: bool
) -> None:
    y = networks.groups[group]
    z = [(of - of.mean()) / of.std() for of in networks.biases.values()]
    pairs = [one * other for one, other in itertools.combinations(z, 2)] if products else []
    fit = sm.OLS(y, sm.add_constant(np.column_stack([*z, *pairs]))).fit()
    left_out = fit.get_influence().resid_press
    row = rows["ols_products" if products else "ols", group]
    assert row.predictors == (21 if products else 6)
    assert row.r2 == pytest.approx(fit.rsquared, abs=1e-8)
    about_mean = y - y.mean()
    assert row.r2_left_out == pytest.approx(1 - left_out @ left_out / (about_mean @ about_mean), abs=1e-8)


def test_known_numbers(rows: dict[tuple[str, str], Regression]) -> None:
    inside = [rows["ols", group].r2 for group in GROUPS]
    left_out = [rows["ols", group].r2_left_out for group in GROUPS]
    assert inside == pytest.approx([0.8961, 0.7979, 0.5266, 0.7316], abs=1e-4)
    assert left_out == pytest.approx([0.7844, 0.6617, 0.2087, 0.6614], abs=1e-4)


def test_every_model_beats_shuffled_biases_on_id(rows: dict[tuple[str, str], Regression]) -> None:
    for model, smallest in (("ols", 1 / 200), ("ridge", 1 / 200), ("forest", 1 / 21)):
        row = rows[model, "ID"]
        assert row.p == pytest.approx(smallest)
        assert row.shuffled_mean < row.shuffled_high < row.r2_left_out < row.r2
        assert row.shuffled_high < 0.1


def test_biases_that_tell_nothing_predict_nothing(networks: Networks) -> None:
    rng = np.random.default_rng(0)
    noise = {bias: rng.normal(size=len(networks)) for bias in networks.biases}
    rows = regressions(replace(networks, biases=noise))
    assert all(row.r2 > 0 for row in rows)
    assert all(row.r2_left_out < 0.1 for row in rows)
    # 16 tests, four of which are of one group each; at .05 more than four are found by chance in 1 % of cases
    assert sum(row.p <= 0.05 for row in rows) <= 4


def test_too_few_networks_for_a_model_leave_it_out(networks: Networks) -> None:
    # 15 networks have no freedom for 21 predictors; 6 not for 6
    assert {row.model for row in regressions(networks.subsets()["AT"])} == {"ols", "ridge"}
    assert regressions(networks.only(range(6))) == []


def test_gaps_and_constant_biases(networks: Networks) -> None:
    gap = networks.biases["shape_bias"].copy()
    gap[:3] = np.nan
    changed = {**networks.biases, "shape_bias": gap, "cb_center_freq": np.ones(len(networks))}
    rows = regressions(replace(networks, biases=changed))
    assert {row.n for row in rows} == {45}
    assert {row.predictors for row in rows} == {5, 15}  # and 10 products
