"""Agreement of k-means clusters with the classes: the g_i of arXiv 2402.14095 and 2405.01524."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics.cluster import (
    adjusted_mutual_info_score,
    contingency_matrix,
    expected_mutual_information,
    normalized_mutual_info_score,
)

from unseen.probes.discovery import DISCOVERY_SCORES, discovery_scores
from unseen.probes.image_bootstrap import entropy, nmi_sd
from unseen.probes.inputs import ProbeWarning, checked_embeddings, checked_labels, unit_scaled
from unseen.probes.kmeans import best_clustering, cluster
from unseen.probes.threads import one_thread

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClusterAgreement:
    """How k-means clusters agree with classes.

    Attributes:
        nmi: Normalised mutual information, 0..1, of the start with the least inertia.
        ami: Adjusted mutual information of the same start, (nmi - chance) / (1 - chance): 0 on average over permuted
            labels, 1 for clusters that are the classes.
        chance: The NMI that the same clusters have on average with randomly permuted labels: above zero, and the
            more so the fewer samples there are.
        start_sd: Standard deviation (ddof 1) of the NMI over the single starts: how much of a difference is
            luck of the start, had there been but one. NaN with one start.
        image_sd: Standard deviation of the NMI over resampled images, see `image_bootstrap.py`. NaN if not asked for.
    """

    nmi: float
    ami: float
    chance: float
    start_sd: float
    image_sd: float


class _Clusters(NamedTuple):
    points: torch.Tensor  # (N, D) as k-means takes them
    targets: torch.Tensor  # (N,) classes 0..C-1
    assigned: torch.Tensor  # (N,) clusters of the best start


def kmeans_nmi(
    embeddings: torch.Tensor | npt.ArrayLike,
    labels: torch.Tensor | npt.ArrayLike,
    *,
    num_clusters: int | None = None,
    n_init: int = 10,
    seed: int = 42,
) -> float:
    """Normalised mutual information, 0..1, of k-means clusters and classes; see `kmeans_agreement`."""
    return _agreement(embeddings, labels, num_clusters, n_init, seed, None)[0].nmi


def kmeans_agreement(
    embeddings: torch.Tensor | npt.ArrayLike,
    labels: torch.Tensor | npt.ArrayLike,
    *,
    num_clusters: int | None = None,
    n_init: int = 10,
    seed: int = 42,
    image_bootstrap: int | None = None,
) -> ClusterAgreement:
    """NMI of k-means clusters and classes, its chance level, and how much it depends on the start.

    Lloyd's k-means in float32 from k-means++ starts, the best of `n_init` by inertia (see `kmeans.py`); NMI is
    divided by the arithmetic mean of the two entropies, I(U; V) / ((H(U) + H(V)) / 2). Features are used raw. With
    `n_init=1` and `seed=42` these are the numbers of arXiv 2402.14095 and 2405.01524, whose single start
    scatters by up to 0.07 (standard deviation over seeds); hence ten.

    The chance level is exact, not sampled: permuting labels leaves both entropies as they are, and the expected
    mutual information is known in closed form (Vinh, Epps, Bailey, JMLR 2010, eq. 24a).

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        num_clusters: Clusters to look for; by default the number of classes present.
        n_init: Number of k-means++ starts.
        seed: Seed of the starts, and of the resampling; 0 is a seed.
        image_bootstrap: Number of resamplings of the images, at least 2; None: none.

    Returns:
        The scores; NaN for a single class, where they are undefined. Constant features give 0 and a warning.

    Raises:
        ValueError: If the inputs are malformed, not finite, or fewer than `num_clusters`.
    """
    return _agreement(embeddings, labels, num_clusters, n_init, seed, image_bootstrap)[0]


def cluster_scores(
    features: torch.Tensor,
    labels: torch.Tensor | npt.ArrayLike,
    *,
    n_init: int,
    seed: int,
    image_bootstrap: int | None,
    discovery: bool,
) -> dict[str, float]:
    """`kmeans_agreement` as scores by name; one start has no spread. `discovery` adds `discovery_scores`."""
    found, clusters = _agreement(features, labels, None, n_init, seed, image_bootstrap)
    scores = {"nmi": found.nmi, "ami": found.ami, "nmi_chance": found.chance}
    if n_init > 1:
        scores["nmi_start_sd"] = found.start_sd
    if image_bootstrap is not None:
        scores["nmi_image_sd"] = found.image_sd
    if discovery:
        scores |= _discovery(clusters, n_init, seed)
    return scores


def _agreement(
    embeddings: torch.Tensor | npt.ArrayLike,
    labels: torch.Tensor | npt.ArrayLike,
    num_clusters: int | None,
    n_init: int,
    seed: int,
    image_bootstrap: int | None,
) -> tuple[ClusterAgreement, _Clusters | None]:
    """Return the agreement, and the clusters; None for a single class."""
    features = checked_embeddings(embeddings)  # (N, D)
    names, labelled = checked_labels(labels, len(features))
    if n_init < 1:
        raise ValueError(f"n_init must be at least 1, got {n_init}")
    clusters = len(names) if num_clusters is None else num_clusters
    if not 1 <= clusters <= len(features):
        raise ValueError(f"num_clusters must be between 1 and N={len(features)}, got {clusters}")
    if len(names) == 1:
        return ClusterAgreement(*(math.nan,) * 5), None

    points = unit_scaled(features).float()
    with one_thread(features.device):
        found = cluster(points, clusters, n_init=n_init, seed=seed)
    assigned = best_clustering(found).assigned
    targets, best = labelled.numpy(), assigned.numpy()
    distinct = len(np.unique(best))
    if distinct < clusters:
        warnings.warn(
            f"k-means found {distinct} distinct of {clusters} clusters: the embeddings have too few "
            "distinct points (constant or repeated features)",
            ProbeWarning,
            stacklevel=3,
        )
    singles = [_nmi(targets, one.assigned.numpy()) for one in found]
    table = contingency_matrix(targets, best, sparse=True).astype(np.int64)  # (C, K)
    agreement = ClusterAgreement(
        nmi=_nmi(targets, best),
        ami=float(adjusted_mutual_info_score(targets, best, average_method="arithmetic")),
        chance=_expected_nmi(table),
        start_sd=float(np.std(singles, ddof=1)) if n_init > 1 else math.nan,
        image_sd=nmi_sd(table.toarray(), draws=image_bootstrap, seed=seed) if image_bootstrap else math.nan,
    )
    return agreement, _Clusters(points, labelled, assigned)


def _discovery(clusters: _Clusters | None, n_init: int, seed: int) -> dict[str, float]:
    if clusters is None:
        return dict.fromkeys(DISCOVERY_SCORES, math.nan)
    return discovery_scores(*clusters, n_init=n_init, seed=seed)


def _nmi(targets: IntArray, assigned: IntArray) -> float:
    # Clusters numbered by first appearance: equal partitions give equal floats, whatever start found them.
    _, first, inverse = np.unique(assigned, return_index=True, return_inverse=True)
    renumbered = np.argsort(np.argsort(first))[inverse]  # (N,)
    return float(normalized_mutual_info_score(targets, renumbered, average_method="arithmetic"))


def _expected_nmi(table: csr_matrix) -> float:
    """Return the mean NMI of clusters and all permutations of the labels, whose table (C, K) is given."""
    entropies = [entropy(np.asarray(table.sum(axis)).ravel()) for axis in (0, 1)]
    return float(expected_mutual_information(table, table.sum()) / np.mean(entropies))
