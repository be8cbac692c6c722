"""LEEP and NLEEP: how well source classes tell target classes (arXiv 2002.12462 and arXiv 2011.11200)."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from unseen.transfer.inputs import SAME, Floats, Matrix, classes_of, finite, varies_from
from unseen.wording import count

_COMPONENTS_PER_CLASS, _ENERGY = 5, 0.8


def leep(probabilities: Matrix, labels: Matrix) -> float:
    """Return the log expected empirical prediction (LEEP): mean of log Σ_z P(y_i | z) p_i(z); at most 0.

    Equation 2 of Nguyen et al., ICML 2020. P(y | z) is counted on the same images, each of which is of source class z
    to the degree p_i(z).

    Args:
        probabilities: (N, Z) of source classes, such as the zero-shot probabilities of a dual encoder; rows sum to 1.
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, negative or rows of another sum, one class, labels that do not match.

    Source classes that tell nothing leave the entropy of the labels; those that tell all give 0.

    >>> round(leep([[0.5, 0.5], [0.5, 0.5]], [0, 1]), 6), leep([[1, 0], [0, 1]], [0, 1])
    (-0.693147, 0.0)
    """
    rows = finite(probabilities, "probabilities")
    targets = classes_of(labels, len(rows))
    if rows.min() < 0:
        raise ValueError(f"probabilities must not be negative, got {rows.min():g}")
    sums = rows.sum(axis=1)
    off = np.abs(sums - 1)
    if off.max() > 1e-3:
        raise ValueError(f"row {off.argmax()} of probabilities sums to {sums[off.argmax()]:g}, it must be 1")
    joint = np.zeros((targets.max() + 1, rows.shape[1]))  # (C, Z)
    np.add.at(joint, targets, rows)
    marginal = joint.sum(axis=0)  # (Z,)
    conditional = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)  # P(y | z)
    expected = np.einsum(
        "nz,nz->n", rows, conditional[targets]
    )  # (N,), positive: the image itself was counted
    return float(np.log(expected).mean())


def nleep(features: Matrix, labels: Matrix, seed: int = 0) -> float:
    """Return LEEP with clusters of the features as source classes (NLEEP): at most 0.

    Li et al., CVPR 2021. See `mixture_probabilities`.

    Args:
        features: (N, D), ten images or more for each class on average.
        labels: (N,) integers.
        seed: Of the clusters' starting points.

    Raises:
        ValueError: In one sentence: NaN, one class, too few images, labels that do not match.
    """
    targets = classes_of(labels, len(finite(features, "features")))
    return leep(mixture_probabilities(features, int(targets.max()) + 1, seed), targets)


def mixture_probabilities(features: Matrix, classes: int, seed: int = 0) -> Floats:
    """Return for each image (N, 5 C) its membership in five Gaussians for each of C classes, fitted without labels.

    They are fitted to the principal components that hold 80 % of the variance. Variances are per component: a
    full covariance of so few images as one of 5 C Gaussians has would be singular. Of as many images as Gaussians each
    would be a cluster of its own, and the score 0 whatever the labels; twice as many are asked for, which still leaves
    it far above chance for labels that tell nothing: compare tasks with as many images a class.

    Raises:
        ValueError: There are fewer than 10 C images, or features do not vary.
    """
    rows = finite(features, "features")
    gaussians = _COMPONENTS_PER_CLASS * classes
    if len(rows) < 2 * gaussians:
        raise ValueError(
            f"NLEEP fits {gaussians:,} Gaussians for {count(classes, 'class', 'classes')} and needs twice as many "
            f"images, got {len(rows):,}"
        )
    if not varies_from(rows, rows[0]):
        raise ValueError(SAME)
    reduced = PCA(_ENERGY, svd_solver="full").fit_transform(rows)  # (N, D')
    reduced /= reduced.std()  # GaussianMixture adds 1e-6 to variances, whatever the features' scale is
    mixture = GaussianMixture(gaussians, covariance_type="diag", random_state=seed).fit(reduced)
    found: Floats = mixture.predict_proba(reduced)
    return found
