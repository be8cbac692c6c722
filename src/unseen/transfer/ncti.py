"""Neural collapse informed transferability index (NCTI; Wang et al., ICCV 2023)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from unseen.transfer.inputs import SAME, Matrix, classes_of, finite, varies_from

_DIRECTIONS = 64


@dataclass(frozen=True)
class NctiParts:
    """The three terms of the index.

    Attributes:
        seli: Nuclear norm of the discriminant features: how much they span.
        ncc: Mean probability of the right class.
        vc: Logarithm of the sum over classes of the nuclear norm of their images' probabilities.
    """

    seli: float
    ncc: float
    vc: float

    @property
    def index(self) -> float:
        """Of one network: seli + ncc - vc. `seli`, which grows with the number of images, is most of it."""
        return self.seli + self.ncc - self.vc


def ncti(features: Matrix, labels: Matrix) -> float:
    """Return the index of one network, `ncti_parts(features, labels).index`; larger is better."""
    return ncti_parts(features, labels).index


def ncti_parts(features: Matrix, labels: Matrix) -> NctiParts:
    """Return the terms of the index.

    Features are projected on their 64 principal components by an exact decomposition, so that the same input gives the
    same value; the public code leaves the choice to scikit-learn, which draws random vectors for large inputs.

    Args:
        features: (N, D), N and D >= 64.
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, one class, fewer than 64 images or dimensions, no more images than classes,
            labels that do not match.
    """
    rows = finite(features, "features")
    targets = classes_of(labels, len(rows))
    if min(rows.shape) < _DIRECTIONS:
        raise ValueError(
            f"NCTI needs {_DIRECTIONS} images and dimensions at least, got {rows.shape[0]} images of {rows.shape[1]}"
        )
    classes = targets.max() + 1
    if classes == len(rows):
        raise ValueError(f"NCTI needs more images than classes, got {classes} of each")
    if not varies_from(rows, rows[0]):
        raise ValueError(SAME)
    pca = PCA(_DIRECTIONS, svd_solver="covariance_eigh")
    reduced = pca.fit_transform(rows)  # (N, 64)
    shrinkage = max(float(np.exp(-pca.explained_variance_[: _DIRECTIONS // 2].sum())), 1e-10)
    solver = {"solver": "svd"} if shrinkage == 1e-10 else {"solver": "eigen", "shrinkage": shrinkage}
    with warnings.catch_warnings():  # a class of one image has no spread, which is right
        warnings.filterwarnings("ignore", "Only one sample available")
        analysis = LinearDiscriminantAnalysis(**solver).fit(reduced, targets)
    directions = analysis.transform(reduced)  # (N, min(C - 1, 64))
    probabilities = analysis.predict_proba(reduced)  # (N, C)
    norms = [float(np.linalg.norm(probabilities[targets == one], "nuc")) for one in range(classes)]
    return NctiParts(
        seli=float(np.linalg.norm(directions - directions.mean(axis=0), "nuc")),
        ncc=float(probabilities[np.arange(len(rows)), targets].mean()),
        vc=float(np.log(sum(norms))),
    )
