"""Selectors: values worked out by hand, other implementations, and layers that have no such score."""

from __future__ import annotations

import math
import sys
from importlib import import_module
from inspect import signature
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

import unseen.layer_selection as selection
from unseen.probes import kmeans_nmi
from unseen.selector_table import DEFAULT, SELECTORS, Selector, chosen

COMPUTED = [selector for selector in SELECTORS.values() if selector.function and not selector.needs]


def value(selector: Selector, embeddings: object, labels: object, num_classes: int = 3) -> float:
    module, name = selector.function.split(":")
    given = {"labels": labels, "num_classes": num_classes, "n_init": 3, "seed": 0}
    return getattr(import_module(module), name)(embeddings, **{key: given[key] for key in selector.arguments})


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """Six classes of ten images each, 20 features, unequal variances."""
    random = np.random.default_rng(0)
    labels = np.arange(60) % 6
    means = 3 * random.normal(size=(6, 20))
    return means[labels] + random.normal(size=(60, 20)) * np.linspace(0.2, 2, 20), labels


# ------------------------------------------------------------------ the table
@pytest.mark.parametrize(
    "selector", [one for one in SELECTORS.values() if one.function], ids=lambda one: one.name
)
def test_a_selector_takes_what_its_entry_names(selector: Selector) -> None:
    module, name = selector.function.split(":")
    assert list(signature(getattr(import_module(module), name)).parameters) == [
        "embeddings",
        *selector.arguments,
    ]
    assert ("labels" in selector.arguments) == (
        selector.split == "seen"
    )  # no label of an unseen class is ever read


def test_what_needs_another_package_is_no_default() -> None:
    assert "silhouette_umap" not in DEFAULT
    assert [one.name for one in chosen("default")] == list(DEFAULT)
    assert chosen(["rankme"])[0].rule == "largest RankMe"
    assert chosen(["nc1"])[0].rule == "smallest neural-collapse ratio"


# ------------------------------------------------------------------ ranks
def test_equal_directions_count_as_many() -> None:
    """Plus and minus d unit vectors: d equal singular values, centred already; one direction, twice as long, is 1."""
    axes = np.concatenate([np.eye(4), -np.eye(4)])
    for measure in (selection.effective_rank, selection.participation_ratio):
        assert measure(axes) == pytest.approx(4)
        assert measure([[-1.0, -1.0], [3.0, 3.0]]) == pytest.approx(1)
    assert selection.rankme(axes) == pytest.approx(4, abs=1e-4)


def test_ranks_of_two_unequal_directions() -> None:
    """Points (±2, 0), (0, ±1): covariance eigenvalues 4 : 1, singular values 2 : 1."""
    points = [[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    entropy = lambda *shares: -sum(share * math.log(share) for share in shares)  # noqa: E731
    assert selection.participation_ratio(points) == pytest.approx(25 / 17)
    assert selection.effective_rank(points) == pytest.approx(math.exp(entropy(0.8, 0.2)))
    assert selection.rankme(points) == pytest.approx(math.exp(entropy(2 / 3, 1 / 3)), abs=1e-5)


def test_rankme_does_not_take_the_mean_away() -> None:
    """A constant row repeated is one direction; its covariance is zero."""
    constant = np.ones((5, 3))
    assert selection.rankme(constant) == pytest.approx(1, abs=1e-4)
    assert selection.effective_rank(constant) == selection.participation_ratio(0.1 * constant) == 0
    assert selection.rankme(np.zeros((5, 3))) == 0


def test_ranks_against_numpy(blobs) -> None:
    points, _ = blobs
    values = np.linalg.eigvalsh(np.cov(points.T))
    shares = values / values.sum()
    assert selection.participation_ratio(points) == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert selection.effective_rank(points) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))
    single = np.linalg.svd(points, compute_uv=False)
    shares = single / single.sum() + 1e-7
    assert selection.rankme(points) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


# ------------------------------------------------------------------ classes
def covariances(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S_W and S_B written as in the papers, each class with the same weight."""
    means = np.stack([points[labels == one].mean(0) for one in np.unique(labels)])
    within = [np.cov(points[labels == one].T, bias=True) for one in np.unique(labels)]
    return np.mean(within, axis=0), (means - means.mean(0)).T @ (means - means.mean(0)) / len(means)


def test_discriminants_against_the_papers_formulas(blobs) -> None:
    points, labels = blobs
    keep = np.flatnonzero((labels != 2) | (np.arange(60) < 30))  # a class with half as many images
    points, labels = points[keep], labels[keep]
    within, between = covariances(points, labels)
    nc1 = np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 6
    assert selection.neural_collapse(points, labels) == pytest.approx(nc1)
    whitened = np.linalg.inv(sqrtm(within + 1e-4 * np.trace(within) / 20 * np.eye(20)).real)
    values = np.linalg.eigvalsh(whitened @ between @ whitened).clip(0)
    shares = values / values.sum() + 1e-7
    # of the zeros beyond the six classes each adds 1e-7 ln 1e7 to the entropy in the paper, and nothing here
    assert selection.lidar(points, labels) == pytest.approx(
        np.exp(-(shares * np.log(shares)).sum()), abs=1e-4
    )


def test_classes_without_variation_are_collapsed() -> None:
    """Three corners of an equilateral triangle: two equal directions tell them apart."""
    corners = np.array([[1.0, 0.0], [-0.5, math.sqrt(0.75)], [-0.5, -math.sqrt(0.75)]])
    assert selection.neural_collapse(np.repeat(corners, 4, axis=0), np.repeat(range(3), 4)) == pytest.approx(
        0
    )
    assert selection.lidar(np.repeat(corners, 4, axis=0), np.repeat(range(3), 4)) == pytest.approx(
        2, abs=1e-4
    )


def test_equal_class_means_have_no_discriminant() -> None:
    points, labels = [[0.0], [2.0], [0.0], [2.0]], [0, 0, 1, 1]
    assert math.isnan(selection.neural_collapse(points, labels))
    assert math.isnan(selection.lidar(points, labels))


# ------------------------------------------------------------------ intrinsic dimension
def test_two_nn_by_hand() -> None:
    """The two nearest of 0, 1, 3, 8 are 1 and 3, 1 and 2, 2 and 3, 5 and 7 away; the largest ratio, 3, is left out."""
    ratios, heights = np.log([1.4, 1.5, 2.0]), -np.log(1 - np.array([1, 2, 3]) / 4)
    expected = (ratios @ heights) / (ratios @ ratios)
    assert selection.two_nn([[0.0], [1.0], [3.0], [8.0]]) == pytest.approx(expected)


@pytest.mark.parametrize(("dimensions", "error"), [(1, 0.15), (2, 0.3), (5, 0.8)])
def test_two_nn_finds_the_dimension_of_a_flat_surface(dimensions: int, error: float) -> None:
    random = np.random.default_rng(1)
    plane = random.uniform(size=(1000, dimensions)) @ random.normal(size=(dimensions, 30))
    assert selection.two_nn(plane) == pytest.approx(dimensions, abs=error)
    assert selection.two_nn(np.concatenate([plane, plane[:300]])) == pytest.approx(dimensions, abs=2 * error)


# ------------------------------------------------------------------ clusters
def test_silhouette_is_scikit_learns(blobs) -> None:
    points = blobs[0].astype(np.float32)
    assigned = KMeans(6, n_init=10, random_state=42).fit_predict(points)
    assert selection.kmeans_silhouette(points, 6) == pytest.approx(
        silhouette_score(points, assigned), abs=1e-6
    )


def test_starts_agree_on_clear_clusters_and_not_on_none(blobs) -> None:
    clear = [[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]]
    assert selection.start_agreement(clear, 3) == 1
    assert math.isnan(selection.start_agreement(clear, 3, n_init=1))
    noise = np.random.default_rng(0).normal(size=(200, 20))
    assert selection.start_agreement(noise, 6) < 0.5


def test_subsets_have_as_many_classes_as_are_unseen(blobs) -> None:
    """Of six classes there is one subset of six, and there are three pairs."""
    points, labels = blobs
    assert selection.subset_nmi(points, labels, 6) == pytest.approx(kmeans_nmi(points, labels))
    assert selection.subset_nmi(points, labels, 9) == pytest.approx(kmeans_nmi(points, labels))
    pairs = {
        (first, second): kmeans_nmi(points[rows], labels[rows])
        for first in range(6)
        for second in range(first)
        for rows in [np.isin(labels, (first, second))]
    }
    assert min(pairs.values()) <= selection.subset_nmi(points, labels, 2) <= max(pairs.values())


def test_subsets_that_are_apart_are_found_whatever_else_is_mixed() -> None:
    """Classes 0 and 1 are one heap, 2 and 3 are apart from all: only the pair (0, 1) cannot be told apart."""
    random = np.random.default_rng(0)
    labels = np.repeat(range(4), 25)
    points = np.array([0.0, 0.0, 50.0, 90.0])[labels, None] + random.normal(size=(100, 3))
    assert selection.subset_nmi(points[labels > 1], labels[labels > 1], 2) == 1
    assert selection.subset_nmi(points, labels, 4) < 0.95


def test_umap_gets_the_papers_settings_and_the_clusters_of_the_embeddings(blobs, monkeypatch) -> None:
    """umap-learn is no part of the tested set: that the arguments are right is all that is ours."""
    points, asked = blobs[0].astype(np.float32), {}

    class Fake:
        def __init__(self, **settings: object) -> None:
            asked.update(settings)

        def fit_transform(self, features: np.ndarray) -> np.ndarray:
            return features[:, :2]

    module = ModuleType("umap")
    module.UMAP = Fake
    monkeypatch.setitem(sys.modules, "umap", module)
    assigned = KMeans(6, n_init=10, random_state=42).fit_predict(points)
    found = selection.umap_silhouette(points, 6)
    assert found == pytest.approx(silhouette_score(points[:, :2], assigned), abs=1e-6)
    assert asked == {"n_neighbors": 30, "n_components": 50, "min_dist": 0.0, "random_state": 42, "n_jobs": 1}
    selection.umap_silhouette(points[:12], 2)
    assert (asked["n_neighbors"], asked["n_components"]) == (11, 10)


def test_umap_itself() -> None:
    pytest.importorskip("umap")
    random = np.random.default_rng(0)
    points = 20 * np.eye(30)[np.arange(90) % 3] + random.normal(size=(90, 30))
    assert selection.umap_silhouette(points, 3) > 0.8


# ------------------------------------------------------------------ all of them
@pytest.mark.parametrize("selector", COMPUTED, ids=lambda one: one.name)
def test_scale_type_and_form_change_nothing(selector: Selector, blobs) -> None:
    points, labels = blobs[0].astype(np.float32), blobs[1]
    plain = value(selector, points, labels)
    assert math.isfinite(plain)
    assert value(selector, torch.from_numpy(points), torch.from_numpy(labels)) == plain
    assert value(selector, points.tolist(), labels + 80) == pytest.approx(plain, rel=1e-6)
    for scale in (2.0**30, 2.0**-30):
        assert value(selector, scale * points, labels) == plain
    assert value(selector, points * np.float32(3e4), labels) == pytest.approx(plain, rel=1e-4)
    assert value(selector, points.astype(np.float64), labels) == pytest.approx(plain, rel=1e-6)
    turned = points @ np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    assert value(selector, turned, labels) == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("selector", COMPUTED, ids=lambda one: one.name)
def test_layers_that_have_no_such_score(selector: Selector) -> None:
    """Constant embeddings are the worst layer or none; fewer images than features are an ordinary case."""
    labels = np.arange(12) % 4
    for constant in (np.zeros((12, 5)), np.full((12, 5), 0.1, dtype=np.float32)):
        worst = value(selector, constant, labels)
        assert math.isnan(worst) or (selector.larger_is_better and worst <= 1.001)
    wide = np.random.default_rng(0).normal(size=(12, 50))
    assert math.isfinite(value(selector, wide, labels))
    if selector.split == "seen":
        assert math.isnan(value(selector, wide, np.zeros(12, dtype=int)))
    with pytest.raises(ValueError, match="embeddings contain NaN or infinity"):
        value(selector, np.where(wide > 2, np.nan, wide), labels)
