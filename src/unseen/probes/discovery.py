"""Category discovery: how many images k-means clusters name right, with the number of classes given and estimated.

Legend: N images, D features, C classes, K clusters.
"""

from __future__ import annotations

import math

import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import pairwise_distances, silhouette_score
from sklearn.metrics.cluster import contingency_matrix
from torch import Tensor

from unseen.probes.inputs import at_most
from unseen.probes.kmeans import best_clustering, cluster
from unseen.probes.threads import one_thread

_MOST_IMAGES = 2000  # on which the number of classes is estimated; the silhouette compares all pairs
_MOST_CLUSTERS = 50
DISCOVERY_SCORES = ("cluster_accuracy", "cluster_accuracy_estimated", "class_count_error")


def cluster_accuracy(labels: npt.ArrayLike, assigned: npt.ArrayLike) -> float:
    """Accuracy of clusters, 0..1: the share of images whose cluster stands for their class.

    Each cluster stands for one class at most, and a class for one cluster at most, in the way that makes the share
    largest (Hungarian algorithm): ACC of novel class discovery (Han, Vedaldi and Zisserman, ICCV 2019). Images of
    clusters that are left over count as wrong.

    Args:
        labels: Classes, (N,).
        assigned: Clusters, (N,).

    >>> cluster_accuracy([7, 7, 7, 8, 8, 9], [0, 0, 1, 1, 1, 1])  # 0 is 7, 1 is 8
    0.6666666666666666
    """
    table = contingency_matrix(labels, assigned)  # (C, K)
    return float(table[linear_sum_assignment(table, maximize=True)].sum() / table.sum())


def discovery_scores(
    features: Tensor, targets: Tensor, assigned: Tensor, *, n_init: int, seed: int
) -> dict[str, float]:
    """Accuracy of clusters with C given and estimated, and the error of the estimate.

    The estimate is the number of k-means clusters whose mean silhouette is largest (Rousseeuw 1987), the smallest of
    several; of 2 to 50, and at most the square root of the number of images, on at most 2,000 of them.

    Args:
        features: (N, D) float32, as k-means takes them.
        targets: Classes 0..C-1, (N,), on the CPU.
        assigned: Clusters that k-means finds with C given, (N,), on the CPU; they are not searched again.
        n_init: Number of k-means starts.
        seed: Of the starts, and of the choice of the images.

    Returns:
        `cluster_accuracy`; `cluster_accuracy_estimated` and `class_count_error`, the estimate minus C: NaN for fewer
        than four images, and where no number of clusters can be found (constant features).
    """
    classes, rows = int(targets.max()) + 1, at_most(_MOST_IMAGES, len(features), seed)
    whole, some = len(rows) == len(features), features[rows.to(features.device)]

    def clusters(points: Tensor, number: int) -> Tensor:
        with one_thread(points.device):
            return best_clustering(cluster(points, number, n_init=n_init, seed=seed)).assigned

    distances = pairwise_distances(some.double().cpu().numpy())  # (n, n)
    sampled: dict[int, Tensor] = {}
    silhouettes: dict[int, float] = {}
    for number in range(2, min(_MOST_CLUSTERS, math.isqrt(len(rows))) + 1):
        found = assigned if whole and number == classes else clusters(some, number)
        if int(found.bincount().count_nonzero()) == number:  # else the features have fewer distinct points
            sampled[number] = found
            silhouettes[number] = float(silhouette_score(distances, found.numpy(), metric="precomputed"))
    given = cluster_accuracy(targets.numpy(), assigned.numpy())
    if not silhouettes:
        return dict(zip(DISCOVERY_SCORES, (given, math.nan, math.nan), strict=True))
    estimate = max(silhouettes, key=lambda number: silhouettes[number])
    known = {classes: assigned} | (sampled if whole else {})
    discovered = known[estimate] if estimate in known else clusters(features, estimate)
    by_estimate = cluster_accuracy(targets.numpy(), discovered.numpy())
    return dict(zip(DISCOVERY_SCORES, (given, by_estimate, float(estimate - classes)), strict=True))
