"""All probes of one layer under one set of settings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.clustering import kmeans_agreement, kmeans_nmi
from unseen.probes.inputs import checked_embeddings, checked_labels
from unseen.probes.linear import linear_probe_accuracy
from unseen.probes.neighbors import neighbor_scores
from unseen.probes.threads import one_thread

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
    embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike, suite: ProbeSuite
) -> dict[str, float]:
    """Scores of one layer by probe name, in the order of `suite.names`.

    Distances between samples are computed once for all neighbour probes.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        suite: Settings.

    Returns:
        One float per name; NaN where a probe is undefined (see each).

    Raises:
        ValueError: If the inputs are malformed, or contain NaN or infinity because the network diverged.
    """
    with ProbePool(embeddings.device if isinstance(embeddings, Tensor) else "cpu") as pool:
        return pool.submit(embeddings, labels, suite).result()


class ProbePool:
    """Runs probes of several layers side by side: on the CPU as many as torch has threads, with one thread each.

    Args:
        device: Where the embeddings are.

    Attributes:
        workers: Probes that run at a time.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._stack = ExitStack()
        self.workers = torch.get_num_threads() if self._device.type == "cpu" else 1

    def __enter__(self) -> ProbePool:
        self._stack.enter_context(one_thread(self._device))
        # a library sets warnings' filters for a moment, and two of them would restore each other's
        self._stack.enter_context(warnings.catch_warnings())
        self._executor = self._stack.enter_context(ThreadPoolExecutor(self.workers, "probe"))
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self._executor.shutdown(cancel_futures=True)
        self._stack.close()

    def submit(
        self, embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike, suite: ProbeSuite
    ) -> PendingScores:
        """Begin to score a layer; arguments and errors are those of `run_probes`."""
        features = checked_embeddings(embeddings)  # (N, D)
        _, targets = checked_labels(labels, len(features))
        k = int(targets.bincount().max()) if suite.k is None else suite.k
        probes: list[Callable[..., dict[str, float]]]
        probes = [probe for probe in (_linear, _neighbors, _clusters) if suite.linear or probe is not _linear]
        return PendingScores(
            suite.names, [self._executor.submit(probe, features, labels, suite, k) for probe in probes]
        )

    def submit_nmi(
        self,
        embeddings: Tensor | npt.ArrayLike,
        labels: Tensor | npt.ArrayLike,
        suite: ProbeSuite,
        *,
        name: str,
    ) -> PendingScores:
        """Begin to score a layer by its NMI only, which is called `name` in the result."""
        features = checked_embeddings(embeddings)

        def nmi() -> dict[str, float]:
            return {name: kmeans_nmi(features, labels, n_init=suite.n_init, seed=suite.seed)}

        return PendingScores((name,), [self._executor.submit(nmi)])


class PendingScores:
    """Scores of a layer whose probes may still run."""

    def __init__(self, names: Sequence[str], parts: Sequence[Future[dict[str, float]]]) -> None:
        self._names = names
        self._parts = parts

    def result(self) -> dict[str, float]:
        """Wait for the scores; return one float per name."""
        scores = {name: value for part in self._parts for name, value in part.result().items()}
        return {name: scores[name] for name in self._names}


def _linear(features: Tensor, labels: Any, suite: ProbeSuite, _: int) -> dict[str, float]:
    accuracy = linear_probe_accuracy(features, labels, seed=suite.seed, standardize=suite.standardize)
    return {"linear_probe": accuracy}


def _neighbors(features: Tensor, labels: Any, _: ProbeSuite, k: int) -> dict[str, float]:
    agreement, precision = neighbor_scores(features, labels, k=k)
    return {
        "nn1": agreement.at_1,
        "nnk": agreement.at_k,
        "nnk_ceiling": agreement.ceiling,
        "r_precision": precision,
    }


def _clusters(features: Tensor, labels: Any, suite: ProbeSuite, _: int) -> dict[str, float]:
    found = kmeans_agreement(features, labels, n_init=suite.n_init, seed=suite.seed)
    return {"nmi": found.nmi, "nmi_chance": found.chance, "nmi_start_sd": found.start_sd}
