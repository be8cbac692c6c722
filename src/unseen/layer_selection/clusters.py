"""Choosing a layer by its k-means clusters: how far apart they are, whether starts agree, and NMI on seen classes."""

from __future__ import annotations

import itertools
import math
import threading

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from torch import Tensor

from unseen.probes.inputs import checked_embeddings, checked_labels, unit_scaled
from unseen.probes.kmeans import Clustering, best_clustering, cluster
from unseen.probes.threads import one_thread

_UMAP_NEIGHBORS, _UMAP_DIMENSIONS = 30, 50  # of arXiv 2406.02465
_UMAP_AT_A_TIME = threading.Lock()  # numba's threads are not made to be started from several


def kmeans_silhouette(
    embeddings: Tensor | npt.ArrayLike, num_classes: int, *, n_init: int = 10, seed: int = 42
) -> float:
    """Mean silhouette coefficient, -1..1, of the k-means clusters by Euclidean distance.

    The clusters are those whose NMI is g; scikit-learn's silhouette (Rousseeuw 1987). It takes all pairs of images.

    Args:
        embeddings: (N, D).
        num_classes: k, as many clusters.
        n_init: Number of k-means starts.
        seed: Of the starts.

    Returns:
        NaN where k-means finds fewer than k clusters (constant or repeated embeddings), and for k < 2 or k = N.

    Raises:
        ValueError: The embeddings are malformed, not finite, or fewer than `num_classes`.
    """
    features = _scaled(embeddings)
    assigned = _assigned(features, num_classes, n_init, seed)
    return (
        math.nan if assigned is None else float(silhouette_score(features.double().cpu().numpy(), assigned))
    )


def umap_silhouette(
    embeddings: Tensor | npt.ArrayLike, num_classes: int, *, n_init: int = 10, seed: int = 42
) -> float:
    """Silhouette of the same clusters where UMAP has reduced the embeddings to 50 dimensions.

    30 neighbours, least distance 0 (Lowe et al., arXiv 2406.02465). It needs umap-learn (`pip install 'unseen[umap]'`)
    and takes seconds. Arguments and result are those of `kmeans_silhouette`; NaN with fewer than five images, too.
    """
    from umap import UMAP

    features = _scaled(embeddings)
    assigned = _assigned(features, num_classes, n_init, seed)
    if assigned is None or len(features) < 5:
        return math.nan
    with _UMAP_AT_A_TIME:
        reduced = UMAP(
            n_neighbors=min(_UMAP_NEIGHBORS, len(features) - 1),
            n_components=min(
                _UMAP_DIMENSIONS, len(features) - 2
            ),  # its start is made of so many eigenvectors
            min_dist=0.0,
            random_state=seed,
            n_jobs=1,  # with a seed it has one thread anyway, and would warn
        ).fit_transform(features.cpu().numpy())
    return float(silhouette_score(reduced, assigned))


def start_agreement(
    embeddings: Tensor | npt.ArrayLike, num_classes: int, *, n_init: int = 10, seed: int = 42
) -> float:
    """Mean adjusted Rand index, at most 1, of the pairs of single k-means starts: stability (von Luxburg 2010).

    Arguments and errors are those of `kmeans_silhouette`.

    Returns:
        NaN with one start, and where the best start has fewer than k clusters, in which all starts agree.
    """
    found = _starts(_scaled(embeddings), num_classes, n_init, seed)
    if n_init < 2 or not _is_whole(best_clustering(found), num_classes):
        return math.nan
    assigned = [one.assigned.numpy() for one in found]
    return float(np.mean([adjusted_rand_score(*pair) for pair in itertools.combinations(assigned, 2)]))


def subset_nmi(
    embeddings: Tensor | npt.ArrayLike,
    labels: Tensor | npt.ArrayLike,
    num_classes: int,
    *,
    n_init: int = 10,
    seed: int = 42,
) -> float:
    """Mean NMI, 0..1, of k-means in subsets of `num_classes` of the classes, as if only these were there.

    For seen classes: the number of classes, on which NMI depends, is then that of the unseen ones. The network was
    trained on all of these classes, so they are not unseen; training again without some is `data.split_seed`.

    The classes are shuffled and cut into subsets; what is left over is in none. With fewer classes than `num_classes`,
    all of them are the one subset.

    Args:
        embeddings: (N, D).
        labels: (N,) classes.
        num_classes: Classes in a subset, at least 2.
        n_init: Number of k-means starts.
        seed: Of the starts and the subsets.

    Returns:
        NaN for one class.

    Raises:
        ValueError: The inputs are malformed, or not finite.
    """
    features = _scaled(embeddings)
    names, targets = checked_labels(labels, len(features))
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, got {num_classes}")
    if len(names) < 2:
        return math.nan
    size, order = min(num_classes, len(names)), np.random.RandomState(seed).permutation(len(names))
    found = []
    for first in range(0, len(order) - size + 1, size):
        rows = torch.isin(targets, torch.from_numpy(order[first : first + size]))
        best = best_clustering(_starts(features[rows.to(features.device)], size, n_init, seed))
        found.append(normalized_mutual_info_score(targets[rows].numpy(), best.assigned.numpy()))
    return float(np.mean(found))


def _scaled(embeddings: Tensor | npt.ArrayLike) -> Tensor:
    return unit_scaled(checked_embeddings(embeddings)).float()


def _starts(features: Tensor, num_classes: int, n_init: int, seed: int) -> list[Clustering]:
    if not 1 <= num_classes <= len(features):
        raise ValueError(f"num_classes must be between 1 and N={len(features)}, got {num_classes}")
    with one_thread(features.device):
        return cluster(features, num_classes, n_init=n_init, seed=seed)


def _assigned(features: Tensor, num_classes: int, n_init: int, seed: int) -> npt.NDArray[np.int64] | None:
    """Return the cluster of each image (N,) of the best start; None where a silhouette is not defined."""
    best = best_clustering(_starts(features, num_classes, n_init, seed))
    if not 2 <= num_classes < len(features) or not _is_whole(best, num_classes):
        return None
    assigned: npt.NDArray[np.int64] = best.assigned.numpy()
    return assigned


def _is_whole(found: Clustering, num_clusters: int) -> bool:
    return int(found.assigned.bincount().count_nonzero()) == num_clusters
