"""The embeddings that outlive an evaluation: those of the first, the best and the last layer.

Legend: N images, D features, L layers, W ranks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from torch import Tensor

from unseen.distributed import ProcessGroup
from unseen.scores import Generalization

_LARGEST, _SMALLEST = 65504.0, 2.0**-14  # of the normal numbers of float16


class UnsavedEmbeddingsWarning(UserWarning):
    """The disk took the scores and not the embeddings."""


class EmbeddingsKeeper(Protocol):
    """What puts embeddings into a file."""

    def write_embeddings(self, write: Callable[[BinaryIO], object]) -> None:
        """Keep what `write` puts into a file."""


class KeptLayers:
    """Keeps what may be wanted of the layers that a rank scores, in any order, until the best one is known.

    At most three in float16: the first, the last, and the best so far. Layers of one width are scored shallow to deep,
    so that the last comes when the bank is empty and no gather is left.

    Args:
        num_layers: L.
    """

    def __init__(self, num_layers: int) -> None:
        self._last = num_layers - 1
        self._best: tuple[float, int] | None = None
        self._rows: dict[int, Tensor] = {}
        self.labels = torch.empty(0, dtype=torch.long)
        self.colours: Tensor | None = None  # of a cue
        self.owners = [0] * num_layers  # the rank that scores each layer

    def offer(self, layer: int, embeddings: Tensor, nmi: float) -> None:
        """Keep a copy of (N, D) if the layer is the first, the last, or the best so far (ties: the shallower)."""
        is_best = math.isfinite(nmi) and (
            self._best is None or (nmi, -layer) > (self._best[0], -self._best[1])
        )
        freed: Tensor | None = None
        if is_best:
            if self._best is not None and self._best[1] not in {0, self._last}:
                freed = self._rows.pop(self._best[1])
            self._best = (nmi, layer)
        if is_best or layer in {0, self._last}:
            self._rows[layer] = compact(embeddings, reuse=freed)

    def collect(self, group: ProcessGroup, best_layer: int) -> dict[int, Tensor]:
        """Return {layer: (N, D)} of the first, best and last layer at rank 0, {} elsewhere. Called by every rank."""
        found: dict[int, Tensor] = {}
        for layer in sorted({0, best_layer, self._last}):
            rows = group.bring(self._rows.pop(layer, None), source=self.owners[layer])
            if rows is not None:
                found[layer] = rows
        self._rows.clear()
        return found


def compact(embeddings: Tensor, *, reuse: Tensor | None = None) -> Tensor:
    """Return a float16 copy on the CPU, (N, D); float32 where the largest value is beyond what float16 holds well.

    The copy takes the place of `reuse` where it is as large: large pieces that come and go leave holes in the heap.

    >>> [compact(torch.tensor([[largest, 0.5]])).dtype for largest in (1.0, 7e4)]
    [torch.float16, torch.float32]
    """
    low, high = torch.aminmax(embeddings)
    largest = max(float(high), -float(low))
    fits = largest == 0 or _SMALLEST <= largest <= _LARGEST
    kind = torch.float16 if fits else torch.float32
    if reuse is not None and reuse.shape == embeddings.shape and reuse.dtype == kind:
        return reuse.copy_(embeddings)
    return embeddings.to("cpu", kind, copy=True)


def save_embeddings(
    kept: KeptLayers, group: ProcessGroup, best: Generalization, keeper: EmbeddingsKeeper
) -> None:
    """Write unseen_LAYER (N, D) of the first, best and last layer, unseen_labels (N,) and step, on rank 0.

    With a colour cue unseen_colours (N,), too. Called by every rank. A disk that does not take them is a warning: the
    scores are on it already.
    """
    layers = kept.collect(group, best.best_layer)
    if not layers:
        return
    arrays: dict[str, Any] = {f"unseen_{layer}": rows.numpy() for layer, rows in layers.items()}
    kind = np.int16 if int(kept.labels.max()) < 2**15 else np.int32
    arrays |= {"unseen_labels": kept.labels.numpy().astype(kind), "step": np.array(best.step, dtype=np.int64)}
    if kept.colours is not None:
        arrays["unseen_colours"] = kept.colours.numpy().astype(kind)
    try:
        keeper.write_embeddings(lambda file: np.savez(file, **arrays))
    except OSError as error:
        warnings.warn(
            f"the embeddings could not be saved ({error.strerror or error}), so the report will have no pictures of "
            "them; the scores were. probe.save_embeddings=false leaves them out",
            UnsavedEmbeddingsWarning,
            stacklevel=2,
        )
