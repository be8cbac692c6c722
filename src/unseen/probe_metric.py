"""The probes as a metric for training loops of one's own.

Legend: N samples of an epoch, B batch, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from unseen.probes import ProbeSuite, run_probes


class ProbeMetric(Metric):
    """Scores of embeddings that come in batches, as a `torchmetrics.Metric`.

    torchmetrics compares cluster labels with classes (`NormalizedMutualInfoScore`); this clusters the embeddings first,
    and adds nearest neighbours and the linear probe. All embeddings are kept until `reset`. Under DDP they are
    gathered from all processes; a sampler that repeats samples to fill the last batch counts these twice.

    Args:
        probes: Which of `clusters`, `neighbors` and `linear`; None: all.
        settings: `n_init` and `seed` of k-means, `k` of NN@k, `standardize` of the linear probe.

    Raises:
        ValueError: A probe or setting is unknown, or its value not allowed.

    >>> metric = ProbeMetric(probes=["clusters"], n_init=1)
    >>> metric.update(torch.tensor([[0.0], [0.1]]), torch.tensor([0, 0]))
    >>> metric.update(torch.tensor([[5.0], [5.1]]), torch.tensor([1, 1]))
    >>> float(metric.compute()["nmi"])
    1.0
    """

    is_differentiable = False
    full_state_update = False
    embeddings: list[Tensor]
    labels: list[Tensor]

    def __init__(self, *, probes: Sequence[str] | None = None, **settings: Any) -> None:
        super().__init__()
        self._suite = ProbeSuite(probes=probes, **settings)
        self.add_state("embeddings", default=[], dist_reduce_fx="cat")
        self.add_state("labels", default=[], dist_reduce_fx="cat")

    def update(self, embeddings: Tensor, labels: Tensor) -> None:
        """Add embeddings (B, D) and integer labels (B,)."""
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
            raise ValueError(
                f"embeddings must have shape (B, D) and labels (B,), got {tuple(embeddings.shape)} and "
                f"{tuple(labels.shape)}"
            )
        self.embeddings.append(embeddings.detach())
        self.labels.append(labels.detach())

    def compute(self) -> dict[str, Tensor]:
        """Return each score as a tensor of no dimension, so that `self.log_dict` takes it."""
        if not len(self.embeddings):
            raise ValueError("there are no embeddings: call update(embeddings, labels) before compute()")
        embeddings = dim_zero_cat(self.embeddings)  # (N, D)
        scores = run_probes(embeddings, dim_zero_cat(self.labels), self._suite)
        return {name: torch.tensor(value, device=embeddings.device) for name, value in scores.items()}
