"""How much of the accuracy of a group of benchmarks all biases together predict, on networks that were left out.

Legend: n networks, B biases, G groups, S shuffles. R² is 1 − Σ(y − ŷ)²/Σ(y − mean of all y)²: left out, it is below 0
where the prediction is worse than the mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.reporting.biases.networks import Networks
from unseen.reporting.statistics.intervals import Floats

SHUFFLES = 199  # of linear models
FOREST_SHUFFLES = 19  # at least, of all groups together: a forest takes 50 ms
_TREES = 50
_FOREST_NETWORKS = 20  # below, a tree has a handful of leaves and none of it can be told from chance
_SEED = 20240401
Judged = tuple[float, float, str, float, float, int, float]  # of a Regression, from r2 on
_PENALTIES = np.logspace(-2, 4, 13)  # of ridge, chosen within each fit


@dataclass(frozen=True)
class Regression:
    """One model of one group's accuracy by all biases; NaN where a number is undefined."""

    subset: str
    group: str
    model: str  # ols, ols_products (with all products of two biases), ridge, forest
    n: int  # networks that have everything
    predictors: int
    r2: float  # in sample: it rises with every predictor, whatever that is
    r2_left_out: float
    left_out: str  # how: leave-one-out, or out-of-bag
    shuffled_mean: float  # of r2_left_out where the biases are shuffled over the networks
    shuffled_high: float  # 95 % of the shuffles lie below
    shuffles: int
    p: float  # share of shuffles, and the sample itself, that reach r2_left_out


def regressions(networks: Networks, subset: str = "total") -> list[Regression]:
    """Return how well all biases together predict each group.

    Models: ordinary least squares of the six biases; the same with their 15 products; ridge with a penalty chosen by
    leave-one-out inside each fit; a random forest of 50 trees. Linear models leave out one network at a time, a forest
    judges each network by the trees that have not seen it. A linear model with as many predictors as networks is left
    out, and a forest of fewer than 20 networks. Shuffles of a forest are shared
    by the groups: where the biases tell nothing, R² does not depend on the scale of y.

    Args:
        networks: Those with a gap in any bias or group are left out.
        subset: What these networks are called.
    """
    every = np.stack([*networks.biases.values(), *networks.groups.values()], axis=1)
    whole = np.isfinite(every).all(axis=1)
    columns = np.ptp(every[whole], axis=0) > 0 if whole.any() else np.zeros(every.shape[1], bool)
    number = len(networks.biases)
    x = every[whole][:, :number][:, columns[:number]]  # (n, B)
    y = every[whole][:, number:]  # (n, G)
    n, kept = x.shape
    if n < 4 or not kept or not columns[number:].all():
        return []
    groups, rows = list(networks.groups), []
    for name, predictors, model in _linear_models(kept):
        if n <= predictors + 2:  # left-out fits would have no freedom
            continue
        for group, numbers in zip(groups, _judge_linear(model, x, y), strict=True):
            rows.append(Regression(subset, group, name, n, predictors, *numbers))
    if n >= _FOREST_NETWORKS:
        for group, numbers in zip(groups, _judge_forest(x, y), strict=True):
            rows.append(Regression(subset, group, "forest", n, kept, *numbers))
    return rows


def _linear_models(biases: int) -> Iterator[tuple[str, int, Any]]:
    from sklearn.linear_model import LinearRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    products = PolynomialFeatures(degree=2, interaction_only=True, include_bias=False)
    yield "ols", biases, make_pipeline(StandardScaler(), LinearRegression())
    pairs = math.comb(biases, 2)
    yield "ols_products", biases + pairs, make_pipeline(StandardScaler(), products, LinearRegression())
    yield "ridge", biases, make_pipeline(StandardScaler(), RidgeCV(_PENALTIES, alpha_per_target=True))


def _judge_linear(model: Any, x: Floats, y: Floats) -> list[Judged]:
    from sklearn.model_selection import LeaveOneOut, cross_val_predict

    orders = np.random.default_rng(_SEED).permuted(np.tile(np.arange(len(y)), (SHUFFLES, 1)), axis=1)
    # shuffling y gives what shuffling the rows of x would, and all shuffles are targets of one fit
    targets = np.concatenate([y, *(y[order] for order in orders)], axis=1)  # (n, G (1 + S))
    left_out = _r2(targets, cross_val_predict(model, x, targets, cv=LeaveOneOut())).reshape(1 + SHUFFLES, -1)
    inside = _r2(y, model.fit(x, y).predict(x))
    return [
        (float(inside[at]), *_against(left_out[0, at], left_out[1:, at], "leave-one-out"))
        for at in range(y.shape[1])
    ]


def _judge_forest(x: Floats, y: Floats) -> list[Judged]:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(_SEED)
    groups = y.shape[1]
    found, shuffled = [], []
    for at in range(groups):
        model = RandomForestRegressor(_TREES, oob_score=True, random_state=0).fit(x, y[:, at])
        found.append((float(model.score(x, y[:, at])), float(model.oob_score_)))
        for _ in range(math.ceil(FOREST_SHUFFLES / groups)):
            shuffled.append(float(model.fit(x, rng.permutation(y[:, at])).oob_score_))
    return [(inside, *_against(unseen, np.array(shuffled), "out-of-bag")) for inside, unseen in found]


def _r2(y: Floats, predicted: Floats) -> Floats:
    """Return (T,) R² of T targets, (n, T) each."""
    r2: Floats = 1 - ((y - predicted) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return r2


def _against(found: float, shuffled: Floats, how: str) -> tuple[float, str, float, float, int, float]:
    p = (1 + int((shuffled >= found).sum())) / (1 + len(shuffled))
    return float(found), how, float(shuffled.mean()), float(np.quantile(shuffled, 0.95)), len(shuffled), p
