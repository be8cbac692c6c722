"""LoRA (Hu et al., arXiv 2106.09685) on some of the matrices that are stacked in one weight.

peft can only change all of the queries, keys, values and the output of `nn.MultiheadAttention` together.
Legend: K stacked matrices, P of which are changed; I inputs, O outputs of a matrix, R rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class LowRank(nn.Module):
    """W + scale (A B)^T of each changed matrix W; A is drawn from N(0, .02^2), B begins at 0.

    A parametrization of `torch.nn.utils.parametrize`; where it accumulates, `keep_updates` must be called.

    Attributes:
        a: A (P, I, R) of the changed matrices.
        b: B (P, R, O).
        drift: Σ scale (A B)^T (K O, I) over past forward passes; None where nothing is accumulated.
    """

    drift: Tensor | None

    def __init__(
        self,
        weight: Tensor,
        *,
        stacked: int,
        changed: tuple[int, ...],
        rank: int,
        scale: float,
        accumulate: bool,
    ) -> None:
        super().__init__()
        rows, inputs = weight.shape
        self.a = nn.Parameter(0.02 * torch.randn_like(weight.new_empty(len(changed), inputs, rank)))
        self.b = nn.Parameter(weight.new_zeros(len(changed), rank, rows // stacked))
        self.register_buffer("drift", torch.zeros_like(weight) if accumulate else None)
        self._stacked, self._changed, self._scale = stacked, changed, scale

    @property
    def delta(self) -> Tensor:
        """The update (K O, I), 0 in the rows of matrices that are not changed."""
        updates = dict(zip(self._changed, self._scale * (self.a @ self.b).mT, strict=True))  # each (O, I)
        unchanged = self.a.new_zeros(self.b.shape[2], self.a.shape[1])
        return torch.cat([updates.get(place, unchanged) for place in range(self._stacked)])

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight (K O, I) that is used in place of the frozen one."""
        return weight + self.delta if self.drift is None else weight + self.drift + self.delta

    @torch.no_grad()
    def add_to_drift(self) -> None:
        """Keep the update for all forward passes to come, if that is wanted."""
        if self.drift is not None:
            self.drift += self.delta


def keep_updates(block: nn.Module, *_: Any) -> None:
    """Forward hook of a block: its weights may be read several times in a pass, or without a call of their module."""
    for module in block.modules():
        if isinstance(module, LowRank):
            module.add_to_drift()


def merge_low_rank(model: nn.Module) -> None:
    """Write every low-rank update into its weight: outputs stay, and the names are those before LoRA again."""
    for module, name in list(changed_weights(model)):
        made = type(
            module
        )  # by torch for this module, yet a deep copy has it as well, and merging changes it
        module.__class__ = type(made.__name__, made.__bases__, dict(vars(made)))
        parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def changed_weights(model: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield the module and the name of each weight with a low-rank update."""
    for module in model.modules():
        changes: Any = getattr(module, "parametrizations", {})
        for name, steps in changes.items():
            if any(isinstance(step, LowRank) for step in steps):
                yield module, name
