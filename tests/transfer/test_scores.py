"""Transfer scores: values of the public code, sums written out, libraries as the other opinion, and bad input."""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import BayesianRidge
from sklearn.metrics import silhouette_samples
from tests.transfer.conftest import REFERENCE, ReferenceTask, reference_task, unit

from unseen.transfer import (
    emms,
    gbc,
    h_score,
    leep,
    logme,
    ncti,
    ncti_parts,
    nleep,
    sfda,
    silhouette,
    transrate,
)  # fmt: skip

Array = npt.NDArray[np.float64]
Score = Callable[[Array, npt.NDArray[np.int64]], float]
OF_FEATURES: dict[str, Score] = {
    "gbc_spherical": gbc,
    "gbc_diagonal": partial(gbc, spherical=False),
    "hscore": h_score,
    "transrate": transrate,
    "sfda": sfda,
    "logme_not_in_authors_code": logme,
    "ncti": ncti,
    "nleep": nleep,
    "silhouette": silhouette,
}


@pytest.fixture(scope="module")
def clusters() -> tuple[Array, npt.NDArray[np.int64]]:
    """Three classes of 30, 40 and 50 images that overlap, in 70 dimensions."""
    return make_blobs([30, 40, 50], n_features=70, cluster_std=8.0, random_state=0)


# ------------------------------------------------------------------ reference values
@pytest.mark.parametrize("name", ["gbc_spherical", "gbc_diagonal", "hscore", "transrate", "sfda",
                                  "logme_not_in_authors_code"])  # fmt: skip
def test_reference_values(task: ReferenceTask, name: str) -> None:
    assert OF_FEATURES[name](task.images, task.labels) == pytest.approx(task.values[name], abs=1e-8)


@pytest.mark.parametrize("name", ["set1", "set2", "set4"])
def test_reference_values_of_ncti(name: str) -> None:
    """Those with an exact decomposition; the public code's drawn one is off by 0.3 % on set2."""
    task = reference_task(name)
    found, values = ncti_parts(task.images, task.labels), task.values
    assert found.seli == pytest.approx(values["ncti_seli_fullsvd"], abs=1e-8)
    assert found.ncc == pytest.approx(values["ncti_ncc_fullsvd"], abs=1e-8)
    assert found.vc == pytest.approx(values["ncti_vc_fullsvd"], abs=1e-8)
    assert ncti(task.images, task.labels) == found.seli + found.ncc - found.vc
    if name != "set2":
        assert found.index == pytest.approx(values["ncti_single_model"], abs=1e-8)


def label_embeddings(classes: int, size: int = 6, sets: int = 3, seed: int = 1000) -> list[Array]:
    return list(np.random.default_rng(seed).normal(size=(classes, size, sets)).transpose(2, 0, 1))


def test_reference_value_of_emms() -> None:
    task = reference_task("set0")
    found = emms(task.images, task.labels, label_embeddings(10))
    assert found == pytest.approx(REFERENCE["emms"]["value"], abs=1e-8)


# ------------------------------------------------------------------ by hand, and other opinions
def test_gbc_by_hand() -> None:
    """Variances (1, 4) and (4, 9), means at (0, 0) and (3, 0).

    Diagonal: B = 9 / (8 · 2.5) + ½ [ln(2.5 · 6.5) - ½ ln(4 · 36)]; spherical, with
    2.5 and 6.5, whose mean is 4.5: B = 9 / (8 · 4.5) + ½ [ln 4.5 - ½ ln(2.5 · 6.5)].
    """
    square = np.array([[1.0, 1], [1, -1], [-1, 1], [-1, -1]])
    features = np.concatenate([square * [1, 2], square * [2, 3] + [3, 0]])
    labels = np.repeat([4, 9], 4)
    diagonal = 9 / 20 + (math.log(2.5 * 6.5) - math.log(4 * 36) / 2) / 2
    spherical = 9 / 36 + (math.log(4.5) - math.log(2.5 * 6.5) / 2) / 2
    assert gbc(features, labels, spherical=False) == pytest.approx(-2 * math.exp(-diagonal))
    assert gbc(features, labels) == pytest.approx(-2 * math.exp(-spherical))


def test_gbc_of_classes_without_variance_takes_the_least_one() -> None:
    """B = 0.04² / (8 · 1e-4) = 2."""
    features = [[0.0], [0.0], [0.04], [0.04]]
    assert gbc(features, [0, 0, 1, 1]) == pytest.approx(-2 * math.exp(-2))


def test_h_score_is_the_trace_written_out(clusters: tuple[Array, npt.NDArray[np.int64]]) -> None:
    features, labels = clusters
    between = np.array([features[labels == label].mean(axis=0) for label in labels])
    expected = np.trace(np.linalg.pinv(np.cov(features.T)) @ np.cov(between.T))
    assert h_score(features, labels) == pytest.approx(expected, abs=1e-9)


def test_h_score_of_fewer_images_than_dimensions_is_all_that_is_possible() -> None:
    """Any labels of 20 points in 50 dimensions are a linear function of them."""
    rng = np.random.default_rng(0)
    assert h_score(rng.normal(size=(20, 50)), np.arange(20) % 4) == pytest.approx(3, abs=1e-9)


def test_transrate_by_hand() -> None:
    """Centred: -3, -1, 1, 3. R(Z) = ½ ln(1 + 5e4); each class {±3, ±1} has the sum of squares 10, too: mean 5."""
    assert transrate([[0.0], [2], [4], [6]], [0, 0, 1, 1]) == pytest.approx(0, abs=1e-12)
    # classes {-3, 3} and {-1, 1}: mean squares 9 and 1
    expected = (math.log1p(5e4) - (math.log1p(9e4) + math.log1p(1e4)) / 2) / 2
    assert transrate([[0.0], [2], [4], [6]], [0, 1, 1, 0]) == pytest.approx(expected, abs=1e-12)


def test_transrate_by_either_gram_matrix() -> None:
    """Forty dimensions and classes of ten: the classes' rates come from 10 x 10 matrices."""
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(50, 40)), np.arange(50) % 5
    centred = features - features.mean(axis=0)

    def rate(rows: Array) -> float:
        return float(np.linalg.slogdet(np.eye(40) + rows.T @ rows / (len(rows) * 1e-4))[1] / 2)

    expected = rate(centred) - np.mean([rate(centred[labels == one]) for one in range(5)])
    assert transrate(features, labels) == pytest.approx(expected, abs=1e-9)


def test_sfda_is_scikit_learns_discriminant_analysis_twice(
    clusters: tuple[Array, npt.NDArray[np.int64]],
) -> None:
    """The shrinkage is 1e-10 there: exp(-5 times the largest variance)."""
    features, labels = clusters[0][:, :10], clusters[1]
    images = np.arange(len(labels))
    analysis = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-10)
    chances = analysis.fit(features, labels).predict_proba(features)
    means = np.array([features[labels == c].mean(axis=0) for c in range(3)])
    others = np.array([np.delete(means, c, axis=0).mean(axis=0) for c in labels])
    sure = (np.exp(chances) / np.exp(chances).sum(axis=1, keepdims=True))[images, labels][:, None]
    mixed = sure * features + (1 - sure) * others
    expected = analysis.fit(mixed, labels).predict_proba(mixed)[images, labels].mean()
    assert sfda(features, labels) == pytest.approx(expected, abs=1e-8)


def test_logme_is_the_evidence_of_bayesian_ridge(clusters: tuple[Array, npt.NDArray[np.int64]]) -> None:
    """Scikit-learn goes on to the maximum; LogME stops after 11 steps at most."""
    features, labels = clusters
    evidences = []
    for one in range(3):
        priors = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
        model = BayesianRidge(fit_intercept=False, compute_score=True, tol=1e-12, max_iter=10_000, **priors)
        evidences.append(model.fit(features, labels == one).scores_[-1] / len(labels))
    assert logme(features, labels) == pytest.approx(np.mean(evidences), abs=1e-3)


def test_logme_counts_directions_without_variance_by_the_prior() -> None:
    """Columns of zeros change neither the likelihood nor, through the prior's own precision, the evidence."""
    task = reference_task("set3")
    wider = np.hstack([task.images, np.zeros((301, 5))])
    assert logme(wider, task.labels) == pytest.approx(logme(task.images, task.labels), abs=1e-12)


def test_emms_is_the_sum_over_images_written_out(clusters: tuple[Array, npt.NDArray[np.int64]]) -> None:
    features, labels = clusters
    sets = label_embeddings(3, size=4)

    def standard(rows: Array) -> Array:
        return (rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-8)

    rows, targets = standard(features), np.stack([standard(one[labels]) for one in sets])  # (K, N, E)
    mapped = rows @ np.linalg.lstsq(rows, targets.mean(axis=0))[0]
    raw = np.linalg.lstsq(targets.reshape(3, -1).T, mapped.ravel())[0]
    # sparsemax by bisection of its threshold: the weights sum to 1
    low, high = raw.min() - 1, raw.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(raw - middle, 0).sum() > 1 else (low, middle)
    mixture = np.tensordot(np.maximum(raw - low, 0), targets, axes=1)
    expected = -((mapped - mixture) ** 2).sum() / len(rows) * 4
    assert emms(features, labels, sets) == pytest.approx(expected, abs=1e-8)


def test_emms_of_equal_sets_and_classes_that_are_not_there() -> None:
    task = reference_task("set0")
    (one, *_) = label_embeddings(10)
    alone = emms(task.images, task.labels, [one])
    assert emms(task.images, task.labels, [one, one]) == pytest.approx(alone, abs=1e-9)
    assert emms(task.images, task.labels, [np.vstack([one, 9 * one[:2]])]) == pytest.approx(alone, abs=1e-12)


def test_leep_by_hand() -> None:
    """Sums by class: (1.5, .5) and (.25, .75). P(0 | z) = 6/7 and 2/5, P(1 | z) = 1/7 and 3/5.

    Images: .75 · 6/7 + .25 · 2/5 twice, and .25 · 1/7 + .75 · 3/5.
    """
    probabilities = [[0.75, 0.25], [0.75, 0.25], [0.25, 0.75]]
    zero, one = 0.75 * 6 / 7 + 0.25 * 2 / 5, 0.25 / 7 + 0.75 * 3 / 5
    expected = (2 * math.log(zero) + math.log(one)) / 3
    assert leep(probabilities, [0, 0, 1]) == pytest.approx(expected)
    with_unused = np.hstack([probabilities, np.zeros((3, 1))])
    assert leep(with_unused, [5, 5, -2]) == pytest.approx(expected)


def test_nleep_tells_separate_clusters_and_not_random_labels() -> None:
    """Clusters far apart are found, which tells all; random labels leave ln 3 less what 15 clusters fit by chance."""
    features, labels = make_blobs([60] * 3, n_features=8, cluster_std=0.5, random_state=0)
    assert nleep(features, labels) == pytest.approx(0, abs=1e-6)
    shuffled = np.random.default_rng(0).permutation(labels)
    assert -math.log(3) < nleep(features, shuffled) < -math.log(3) + 0.15
    assert nleep(1e-6 * features, labels) == pytest.approx(0, abs=1e-6)


def test_silhouette_by_hand() -> None:
    """Points 0, 1 and 4, 6. Own 1, other 5: .8; own 1, other 4: .75; own 2, other 3.5: 3/7; own 2, other 5.5: 7/11."""
    found = silhouette([[0.0], [1], [4], [6]], [0, 0, 1, 1])
    assert found == pytest.approx((0.8 + 0.75 + 3 / 7 + 7 / 11) / 4)


def test_silhouette_is_the_mean_over_images(clusters: tuple[Array, npt.NDArray[np.int64]]) -> None:
    assert silhouette(*clusters) == pytest.approx(silhouette_samples(*clusters).mean())


# ------------------------------------------------------------------ what does not matter
@pytest.mark.parametrize("name", OF_FEATURES)
def test_neither_order_nor_names_of_classes_nor_place_matter(
    name: str, clusters: tuple[Array, npt.NDArray[np.int64]]
) -> None:
    features, labels = clusters
    score = OF_FEATURES[name]
    expected = score(features, labels)
    assert score(features, np.array([88, -3, 91])[labels]) == pytest.approx(expected, abs=1e-8)
    if name != "logme_not_in_authors_code":  # a regression without intercept
        assert score(features + 5, labels) == pytest.approx(expected, rel=1e-7)
    if name != "nleep":  # k-means starts at other images
        order = np.random.default_rng(1).permutation(len(labels))
        assert score(features[order], labels[order]) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", sorted(OF_FEATURES.keys() - {"gbc_diagonal"}))
def test_rotations_do_not_matter(name: str, clusters: tuple[Array, npt.NDArray[np.int64]]) -> None:
    features, labels = clusters
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(70, 70)))[0]
    score = OF_FEATURES[name]
    # the estimate of SFDA's shrinkage starts from sums of rows, which a rotation changes: both are 1e-10 here
    assert score(features @ rotation, labels) == pytest.approx(score(features, labels), rel=1e-6)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_the_input_stays_and_the_value_comes_again(
    name: str, clusters: tuple[Array, npt.NDArray[np.int64]]
) -> None:
    features, labels = (values.copy() for values in clusters)
    features.flags.writeable = labels.flags.writeable = False
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    score = OF_FEATURES[name]
    assert score(features, labels) == score(features, labels)
    np.testing.assert_array_equal(features, clusters[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_sfda_leaves_features_to_later_measures() -> None:
    """The public code mixes them in place, so that the IIMM taken afterwards is .1254 instead of .1062."""
    task = reference_task("set0")
    copy = task.images.copy()
    sfda(task.images, task.labels)
    emms(task.images, task.labels, label_embeddings(10))
    np.testing.assert_array_equal(task.images, copy)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_single_precision_and_tensors(name: str, clusters: tuple[Array, npt.NDArray[np.int64]]) -> None:
    """The input is rounded; all else is done in float64."""
    features, labels = clusters
    single = torch.from_numpy(features).float()
    found = OF_FEATURES[name](single, torch.from_numpy(labels))  # type: ignore[arg-type]
    assert found == OF_FEATURES[name](single.double().numpy(), labels)
    assert found == pytest.approx(OF_FEATURES[name](features, labels), rel=1e-4)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_shuffled_labels_score_less(name: str) -> None:
    features, labels = make_blobs([40] * 3, n_features=70, cluster_std=3.0, random_state=0)
    shuffled = np.random.default_rng(3).permutation(labels)
    if name == "ncti":  # its largest term, nuclear norm of directions scaled to unit variance, hardly knows
        assert ncti_parts(features, labels).ncc > ncti_parts(features, shuffled).ncc
    else:
        assert OF_FEATURES[name](features, labels) > OF_FEATURES[name](features, shuffled)


# ------------------------------------------------------------------ bad input
@pytest.mark.parametrize("name", OF_FEATURES)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("nan", "row 7 of features has NaN or infinity"),
        ("one class", "all images are of class 0: there must be two classes at least"),
        ("short", "labels must be one for each of 120 images, got shape (119,)"),
        ("flat", "features must be a table of rows and columns, at least one of each, got shape (120,)"),
        ("text", "labels must be integers, got dtype <U"),
    ],
)
def test_bad_input(
    name: str, change: str, message: str, clusters: tuple[Array, npt.NDArray[np.int64]]
) -> None:
    features, labels = clusters[0].copy(), clusters[1]
    if change == "nan":
        features[7, 3] = np.nan
    bad = {
        "nan": (features, labels),
        "one class": (features, 0 * labels),
        "short": (features, labels[:-1]),
        "flat": (features[:, 0], labels),
        "text": (features, labels.astype(str)),
    }[change]
    with pytest.raises(ValueError, match=re.escape(message)):
        OF_FEATURES[name](*bad)


ONES = np.ones((70, 64))
ONE_DIRECTION = unit(np.outer(np.arange(1, 71), np.linspace(1, 3, 64)))  # rows differ by rounding
TWO = np.arange(70) % 2
HALVES = np.full((70, 2), 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(gbc, [[1.0], [2], [3]], [5, 5, 8]), "class 8 has 1 image; this score needs 2 of each class"),
        (partial(sfda, ONES, TWO), "features do not vary within any class"),
        (partial(ncti, ONES[:63], TWO[:63]), "NCTI needs 64 images and dimensions at least, got 63 images of 64"),
        (partial(ncti, ONES[:, :63], TWO), "NCTI needs 64 images and dimensions at least, got 70 images of 63"),
        (partial(ncti, ONES, range(70)), "NCTI needs more images than classes, got 70 of each"),
        (partial(ncti, ONES, TWO), "features are all the same"),
        (partial(h_score, ONES, TWO), "features are all the same"),
        (partial(nleep, ONES, TWO), "features are all the same"),
        (
            partial(nleep, ONES[:19], TWO[:19]),
            "NLEEP fits 10 Gaussians for 2 classes and needs twice as many images, got 19",
        ),
        (partial(h_score, ONE_DIRECTION, TWO), "features are all the same"),
        (partial(sfda, ONE_DIRECTION, TWO), "features do not vary within any class"),
        (partial(sfda, ONE_DIRECTION + TWO[:, None], TWO), "features do not vary within any class"),
        (partial(ncti, ONE_DIRECTION, TWO), "features are all the same"),
        (partial(nleep, ONE_DIRECTION, TWO), "features are all the same"),
        (partial(logme, 0 * ONES, TWO), "features are all zero"),
        (partial(silhouette, ONES[:3], [0, 1, 2]), "each image is a class of its own"),
        (partial(leep, -HALVES, TWO), "probabilities must not be negative, got -0.5"),
        (partial(leep, 2 * HALVES, TWO), "row 0 of probabilities sums to 2, it must be 1"),
        (partial(emms, ONES, TWO, []), "EMMS needs label embeddings"),
        (
            partial(emms, ONES, TWO, [np.eye(2), np.eye(3)]),
            "label_embeddings[1] has shape (3, 3) and label_embeddings[0] (2, 2)",
        ),
        (partial(emms, ONES, TWO + 1, [np.eye(2)]), "label 2 has no class: with 2 classes labels go from 0 to 1"),
        (partial(emms, ONES, 0 * TWO, [np.eye(2)]), "all images are of class 0"),
        (partial(emms, ONES, TWO, [[[1.0], [np.inf]]]), "row 1 of label_embeddings[0] has NaN or infinity"),
    ],
)  # fmt: skip
def test_bad_input_of_one_score(call: Callable[[], float], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_ncti_of_a_class_with_one_image_warns_of_nothing() -> None:
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isfinite(ncti(0.01 * rng.normal(size=(70, 70)), [0, *[1, 2] * 34, 1]))


def test_scores_of_two_images_a_class_in_two_classes() -> None:
    """The least that all but NCTI and NLEEP take gives numbers."""
    features, labels = np.array([[0.0, 1], [0.1, 1], [1, 0], [1, 0.1]]), np.array([0, 0, 1, 1])
    for name, score in itertools.islice(OF_FEATURES.items(), 6):
        assert math.isfinite(score(features, labels)), name
    assert math.isfinite(emms(features, labels, [np.eye(2)]))
