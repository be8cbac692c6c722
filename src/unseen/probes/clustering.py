"""Agreement of k-means clusters with the classes: the g_i of arXiv 2402.14095 and 2405.01524."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from unseen.probes.inputs import ProbeWarning, checked_embeddings, checked_labels, unit_scaled


def kmeans_nmi(
    embeddings: torch.Tensor | npt.ArrayLike,
    labels: torch.Tensor | npt.ArrayLike,
    *,
    num_clusters: int | None = None,
    n_init: int = 10,
    seed: int = 42,
) -> float:
    """Normalised mutual information, 0..1, of k-means clusters and classes.

    Lloyd's k-means in float32 from k-means++ starts, the best of `n_init` by inertia; NMI is divided by
    the arithmetic mean of the two entropies, I(U; V) / ((H(U) + H(V)) / 2). Features are used raw. With
    `n_init=1` and `seed=42` these are the numbers of arXiv 2402.14095 and 2405.01524, whose single start
    scatters by up to 0.07 (standard deviation over seeds); hence ten.

    Clustering runs on one thread: with more, scikit-learn adds partial sums in the order in which threads
    finish, and the same input could give another result. At N of a few thousand it costs no time, and on
    a busy machine saves much.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        num_clusters: Clusters to look for; by default the number of classes present.
        n_init: Number of k-means++ starts.
        seed: Seed of the starts; 0 is a seed.

    Returns:
        The NMI; NaN for a single class, where it is undefined. Constant features give 0 and a warning.

    Raises:
        ValueError: If the inputs are malformed, not finite, or fewer than `num_clusters`.
    """
    features = checked_embeddings(embeddings)  # (N, D)
    names, targets = checked_labels(labels, len(features))
    if n_init < 1:
        raise ValueError(f"n_init must be at least 1, got {n_init}")
    clusters = len(names) if num_clusters is None else num_clusters
    if not 1 <= clusters <= len(features):
        raise ValueError(f"num_clusters must be between 1 and N={len(features)}, got {clusters}")
    if len(names) == 1:
        return math.nan

    model = KMeans(n_clusters=clusters, n_init=n_init, algorithm="lloyd", random_state=seed)
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # says "fewer distinct points"; said better below
        assigned = model.fit_predict(unit_scaled(features).astype(np.float32))  # (N,)
    distinct, first = np.unique(assigned, return_index=True)  # (<= clusters,)
    if len(distinct) < clusters:
        warnings.warn(
            f"k-means found {len(distinct)} distinct of {clusters} clusters: the embeddings have too few "
            "distinct points (constant or repeated features)",
            ProbeWarning,
            stacklevel=2,
        )
    # Clusters numbered by first appearance: equal partitions give equal floats, whatever start found them.
    order = np.empty(clusters, dtype=np.int64)
    order[distinct[np.argsort(first)]] = np.arange(len(distinct))
    return float(normalized_mutual_info_score(targets, order[assigned], average_method="arithmetic"))
