"""The probes as a careful user writes them: scikit-learn on centred float32 features, NumPy for the neighbours.

Centring changes no score. On features far from the origin it saves the logistic regression most of its iterations.
scikit-learn's own neighbour search is slower than the product and partition here.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.model_selection import train_test_split

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
    features = features - features.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant layers and early stopping are no news here
        clusters = KMeans(n_clusters=num_classes, n_init=n_init, random_state=seed).fit_predict(features)
        nn1, nnk = neighbours(features, labels, k=k)
        train_x, test_x, train_y, test_y = train_test_split(
            features, labels, test_size=0.2, stratify=labels, random_state=seed
        )
        probe = LogisticRegression(C=1.0, max_iter=5000).fit(train_x, train_y)
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "nn1": nn1,
        "nnk": nnk,
        "linear_probe": float(probe.score(test_x, test_y)),
    }


def neighbours(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], *, k: int, rows: int = 500
) -> tuple[float, float]:
    """Return NN@1 and NN@k, from blocks of rows of the distances in float32."""
    squares, first, among = np.einsum("nd,nd->n", features, features), 0, 0
    for start in range(0, len(features), rows):
        distances = squares - 2 * features[start : start + rows] @ features.T
        own = labels[start : start + rows]
        distances[np.arange(len(own)), np.arange(start, start + len(own))] = np.inf
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        first += int((labels[distances.argmin(1)] == own).sum())
        among += int((labels[nearest] == own[:, None]).sum())
    return first / len(features), among / (k * len(features))
