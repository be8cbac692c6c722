"""The probes as they are usually written: scikit-learn, one call after the other, one layer after the other."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

PROBES = ("nmi", "nn1", "nnk", "linear_probe")


def score_layer(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    k: int,
    n_init: int = 1,
    seed: int = 42,
) -> dict[str, float]:
    """Return NMI, NN@1, NN@k and the linear probe's accuracy of (N, D) features.

    The definitions are those of docs/measures.md; only ties between equally far neighbours are broken otherwise.
    """
    num_classes = len(np.unique(labels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant layers and early stopping are no news here
        clusters = KMeans(n_clusters=num_classes, n_init=n_init, random_state=seed).fit_predict(features)
        neighbours = NearestNeighbors(n_neighbors=k + 1, algorithm="brute").fit(features)
        nearest = neighbours.kneighbors(features, return_distance=False)[
            :, 1:
        ]  # (N, k), without the sample itself
        same = labels[nearest] == labels[:, None]
        train_x, test_x, train_y, test_y = train_test_split(
            features, labels, test_size=0.2, stratify=labels, random_state=seed
        )
        probe = LogisticRegression(C=1.0, max_iter=5000).fit(train_x, train_y)
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "nn1": float(same[:, 0].mean()),
        "nnk": float(same.mean()),
        "linear_probe": float(probe.score(test_x, test_y)),
    }
