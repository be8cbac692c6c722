"""All probes of one layer under one set of settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from unseen.probes.clustering import kmeans_agreement
from unseen.probes.inputs import checked_embeddings, checked_labels
from unseen.probes.linear import linear_probe_accuracy
from unseen.probes.neighbors import neighbor_scores
from unseen.probes.row_blocks import row_threads

# Values (N x D) of a layer whose probes run side by side. Fewer: numpy's calls are so short that threads wait for the
# interpreter. More: each probe alone has work for all threads, and together they would hold much memory.
_SIDE_BY_SIDE = range(2**18, 2**22)

PROBE_NAMES = (
    "nmi",
    "nmi_chance",
    "nmi_start_sd",
    "nn1",
    "nnk",
    "nnk_ceiling",
    "r_precision",
    "linear_probe",
)


@dataclass(frozen=True)
class ProbeSuite:
    """Settings of the probes.

    Attributes:
        n_init: k-means starts; 1 gives the numbers of arXiv 2402.14095 and 2405.01524.
        seed: Seed of the k-means starts and of the linear probe's split.
        k: Neighbours of `nnk`. The papers use the size of the largest unseen class for the seen set too,
            so a caller with several sets gives it; None takes the largest class of the labels at hand.
        linear: Whether to run the linear probe.
        standardize: Whether the linear probe scales each feature to mean 0 and variance 1.
    """

    n_init: int = 10
    seed: int = 42
    k: int | None = None
    linear: bool = True
    standardize: bool = False

    def __post_init__(self) -> None:
        if self.n_init < 1:
            raise ValueError(f"n_init must be at least 1, got {self.n_init}")
        if self.k is not None and self.k < 1:
            raise ValueError(f"k must be at least 1 or None, got {self.k}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be between 0 and 2**32 - 1, got {self.seed}")

    @property
    def names(self) -> tuple[str, ...]:
        """The probes that this suite runs, in the order of `PROBE_NAMES`."""
        absent = {"linear_probe"} if not self.linear else set()
        if self.n_init == 1:
            absent.add("nmi_start_sd")  # one start has no spread
        return tuple(name for name in PROBE_NAMES if name not in absent)


def run_probes(
    embeddings: torch.Tensor | npt.ArrayLike, labels: torch.Tensor | npt.ArrayLike, suite: ProbeSuite
) -> dict[str, float]:
    """Scores of one layer by probe name, in the order of `suite.names`.

    Distances between samples are computed once for all neighbour probes. Of middling layers the probes run side by
    side.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        suite: Settings.

    Returns:
        One float per name; NaN where a probe is undefined (see each).

    Raises:
        ValueError: If the inputs are malformed, or contain NaN or infinity because the network diverged.
    """
    features = checked_embeddings(embeddings)  # (N, D)
    _, targets = checked_labels(labels, len(features))
    k = int(np.bincount(targets).max()) if suite.k is None else suite.k

    def neighbors() -> dict[str, float]:
        agreement, precision = neighbor_scores(features, labels, k=k)
        return {
            "nn1": agreement.at_1,
            "nnk": agreement.at_k,
            "nnk_ceiling": agreement.ceiling,
            "r_precision": precision,
        }

    def clusters() -> dict[str, float]:
        found = kmeans_agreement(features, labels, n_init=suite.n_init, seed=suite.seed)
        return {"nmi": found.nmi, "nmi_chance": found.chance, "nmi_start_sd": found.start_sd}

    def linear() -> dict[str, float]:
        if not suite.linear:
            return {}
        accuracy = linear_probe_accuracy(features, labels, seed=suite.seed, standardize=suite.standardize)
        return {"linear_probe": accuracy}

    probes = (
        linear,
        clusters,
        neighbors,
    )  # the last has most to share out, so it fills what the others leave
    with row_threads() as threads:
        together = features.size in _SIDE_BY_SIDE
        found = threads.side_by_side(probes) if together else [probe() for probe in probes]
    scores = {name: value for part in found for name, value in part.items()}
    return {name: scores[name] for name in suite.names}
