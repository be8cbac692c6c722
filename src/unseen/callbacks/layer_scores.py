"""From the embeddings of one evaluation to its scores: gathered layer by layer, each layer scored by one rank.

Legend: N images of a set, n of this rank, B batch, D features, L layers, W ranks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from unseen.backbones.protocol import Tap
from unseen.callbacks.kept_layers import KeptLayers
from unseen.distributed import ProcessGroup, check_places, share_out
from unseen.full_precision import full_precision
from unseen.probes import PendingScores, ProbePool, ProbeSuite, ensemble_embeddings
from unseen.probes.inputs import NotFiniteError
from unseen.scores import (
    ACCURACY,
    CUE_PROBES,
    ENSEMBLE_PROBE,
    HEAD_LAYER,
    HEAD_NAME,
    INPUT_LAYER,
    INPUT_NAME,
    Generalization,
    Score,
    destroyed_probe,
    is_control,
    metric_name,
)
from unseen.selector_table import ROWS

_SHARE_OF_GPU = 1 / 4  # of its free memory, for the embeddings of one set of images
PROBED: ContextVar[str] = ContextVar("PROBED", default="")  # the layer that a probe's warning is about
Values = dict[tuple[str, int, str], float]  # {(split, layer, probe): value}


class EmbeddingBank:
    """Collects (B, D_l) batches of every layer on one device, in float32, beside labels and positions on the CPU.

    Held: n x sum(D_l) x 4 bytes; on the CPU where that is more than a quarter of a GPU's free memory.

    Args:
        num_layers: L.
        device: Where the embeddings are kept.
        num_images: n, or more.
    """

    def __init__(self, num_layers: int, device: torch.device | str = "cpu", num_images: int = 0) -> None:
        self._device = torch.device(device)
        self._num_images = num_images
        self._layers: list[list[Tensor]] = [[] for _ in range(num_layers)]
        self._labels: list[Tensor] = []
        self._indices: list[Tensor] = []

    def add(self, embeddings: Sequence[Tensor], labels: Tensor, indices: Tensor) -> None:
        """Add one batch: L tensors (B, D_l), labels (B,), positions (B,)."""
        if self._device.type == "cuda" and not self._labels:
            needed = 4 * self._num_images * sum(batch.shape[1] for batch in embeddings)
            if needed > _SHARE_OF_GPU * torch.cuda.mem_get_info(self._device)[0]:
                self._device = torch.device("cpu")
        for held, batch in zip(self._layers, embeddings, strict=True):
            held.append(batch.detach().to(self._device, torch.float32))
        self._labels.append(labels)
        self._indices.append(indices)

    @property
    def indices(self) -> Tensor:
        """(n,) positions in the order of arrival, on the CPU."""
        return torch.cat(self._indices).cpu() if self._indices else torch.empty(0, dtype=torch.long)

    @property
    def labels(self) -> Tensor:
        """(n,) labels in the order of arrival, on the CPU."""
        return torch.cat(self._labels).cpu() if self._labels else torch.empty(0, dtype=torch.long)

    @property
    def widths(self) -> list[int]:
        """D of each layer; 0 where nothing was added."""
        return [held[0].shape[1] if held else 0 for held in self._layers]

    def together(self, layers: Sequence[int]) -> Tensor:
        """Return (n, sum of D_l) of some layers side by side, which stay."""
        batches = [torch.cat(parts, 1) for parts in zip(*(self._layers[at] for at in layers), strict=True)]
        return torch.cat(batches) if batches else torch.empty(0, 0, device=self._device)

    def pop(self, layer: int) -> Tensor:
        """Return (n, D_l) of one layer and let go of it."""
        batches, self._layers[layer] = self._layers[layer], []
        return torch.cat(batches) if batches else torch.empty(0, 0, device=self._device)


class LayerScorer:
    """Scores the layers of a bank, and the raw pixels, with all ranks.

    Args:
        group: The ranks.
        device: Where the probes run.
        suite: Which probes, with which settings.
        on_phase: Told what is going on: a phrase, steps done, steps in all.
    """

    def __init__(
        self,
        group: ProcessGroup,
        device: torch.device,
        suite: ProbeSuite,
        on_phase: Callable[[str, int, int], None],
    ) -> None:
        self._group = group
        self._device = device
        self._suite = suite
        self._on_phase = on_phase

    def score(
        self,
        split: str,
        bank: EmbeddingBank,
        taps: Sequence[Tap],
        num_images: int,
        *,
        noise_level: float | None = None,
        kept: KeptLayers | None = None,
        colours: Tensor | None = None,
    ) -> Values:
        """Return the scores of every layer, equal on all ranks. Called by every rank; the bank is empty afterwards.

        Args:
            split: Of the images.
            bank: Of this rank.
            taps: The layers.
            num_images: N.
            noise_level: Of images with noise, which are scored by their NMI only.
            kept: Is offered every layer that this rank scores.
            colours: Of a cue, (N,) in the order of the images' positions; each layer is scored by its clusters'
                agreement with them, too.

        Raises:
            ValueError: A layer cannot be scored; it is named.
            RuntimeError: The ranks do not have every image once.
        """
        group = self._group
        places, targets, widths = self._shared(bank, num_images)
        owners = share_out(widths, group.world_size)
        if kept is not None:
            kept.labels, kept.owners, kept.colours = targets, owners, colours
        mine: Values = {}
        pending: deque[tuple[Tap, Tensor, PendingScores, PendingScores | None]] = deque()

        def finish_oldest() -> None:
            tap, embeddings, scores, of_colours = pending.popleft()
            self._on_phase(
                f"probing layer {tap.layer + 1}/{len(taps)} on {split} classes", tap.layer, len(taps)
            )
            with naming(tap.layer, tap.name, split, noise_level):
                found = scores.result() | _of_cue(of_colours)
            if noise_level is not None:
                found = {destroyed_probe(noise_level): found["nmi"]}
            mine.update({(split, tap.layer, probe): value for probe, value in found.items()})
            if kept is not None:
                kept.offer(tap.layer, embeddings, found["nmi"])

        with full_precision(self._device), ProbePool(self._device) as pool:
            for tap in sorted(taps, key=lambda tap: -widths[tap.layer]):  # the longest first
                if len(pending) == pool.workers:  # no more layers are held than are worked on
                    finish_oldest()
                embeddings = group.gather_rows(
                    bank.pop(tap.layer), places, widths[tap.layer], owner=owners[tap.layer]
                )
                if embeddings is not None:
                    embeddings = embeddings.to(self._device)
                    with naming(tap.layer, tap.name, split, noise_level):
                        scores = self._submit(pool, embeddings, targets, split, noise_level)
                        of_colours = self._submit_cue(pool, embeddings, colours)
                    pending.append((tap, embeddings, scores, of_colours))
                    del embeddings, scores, of_colours
            while pending:
                finish_oldest()
        return group.share(mine)

    def score_ensembles(self, bank: EmbeddingBank, taps: Sequence[Tap], num_images: int) -> Values:
        """Return the NMI of the unseen classes by the last two layers together, and by all layers.

        Each is written at the first of its layers. Called by every rank; the bank stays as it is. One rank holds all
        layers of all images at a time.
        """
        group, last = self._group, len(taps) - 1
        places, targets, widths = self._shared(bank, num_images)
        firsts = sorted({0, max(0, last - 1)})
        owners = share_out([sum(widths[first:]) for first in firsts], group.world_size)
        mine: Values = {}
        with full_precision(self._device), ProbePool(self._device) as pool:
            for number, (first, owner) in enumerate(zip(firsts, owners, strict=True)):
                self._on_phase("clustering layers together", number, len(firsts))
                rows = bank.together(range(first, last + 1))
                gathered = group.gather_rows(rows, places, sum(widths[first:]), owner=owner)
                if gathered is None:
                    continue
                with naming(first, f"{taps[first].name} to {taps[last].name}", "unseen"):
                    layers = torch.split(gathered.to(self._device), widths[first:], 1)
                    found = pool.submit(
                        ensemble_embeddings(layers), targets, self._suite.only("clusters")
                    ).result()
                mine["unseen", first, ENSEMBLE_PROBE] = found["nmi"]
        return group.share(mine)

    def _shared(self, bank: EmbeddingBank, num_images: int) -> tuple[list[Tensor], Tensor, list[int]]:
        """Return the positions (n,) of each rank's rows, the labels (N,) and D of each layer, on every rank.

        Raises:
            RuntimeError: The ranks do not have every image once.
        """
        group = self._group
        parts = group.share({group.rank: (bank.indices, bank.labels, bank.widths)})
        places = [parts[rank][0] for rank in range(group.world_size)]
        check_places(places, num_images)
        targets = torch.empty(num_images, dtype=torch.long)
        for indices, labels, _ in parts.values():
            targets[indices] = labels
        widths = [max(of_layer) for of_layer in zip(*(part[2] for part in parts.values()), strict=True)]
        return places, targets, widths

    def score_pixels(
        self, split: str, pixels: Tensor, labels: Tensor, colours: Tensor | None = None
    ) -> dict[tuple[str, str], float]:
        """Return {(split, probe): value} of raw pixels (N, D), and of a cue's colours (N,); called by one rank."""
        with (
            naming(INPUT_LAYER, INPUT_NAME, split),
            full_precision(self._device),
            ProbePool(self._device) as pool,
        ):
            embeddings = pixels.to(self._device)
            of_colours = self._submit_cue(pool, embeddings, colours)
            found = pool.submit(embeddings, labels, self._suite.of("")).result() | _of_cue(of_colours)
        return {(split, probe): value for probe, value in found.items()}

    def _submit(
        self, pool: ProbePool, embeddings: Tensor, targets: Tensor, split: str, noise_level: float | None
    ) -> PendingScores:
        """Begin all probes and selectors of a layer, of images with noise k-means only."""
        suite = self._suite.of(split) if noise_level is None else self._suite.only("clusters")
        return pool.submit(embeddings, targets, suite)

    def _submit_cue(
        self, pool: ProbePool, embeddings: Tensor, colours: Tensor | None
    ) -> PendingScores | None:
        """Begin to compare clusters with colours: the same clusters where there are as many colours as classes."""
        return None if colours is None else pool.submit(embeddings, colours, self._suite.only("clusters"))


def _of_cue(pending: PendingScores | None) -> dict[str, float]:
    if pending is None:
        return {}
    found = pending.result()
    return {name: found[score] for score, name in CUE_PROBES.items()}


@contextmanager
def naming(layer: int, name: str, split: str, noise_level: float | None = None) -> Iterator[None]:
    """Name the layer in an error of a probe, and in `PROBED`."""
    noisy = "" if noise_level is None else f" with noise {noise_level:g}"
    name = f"layer {layer} ({name}), {split} classes{noisy}"
    token = PROBED.set(name)
    try:
        yield
    except ValueError as error:
        why = (
            ": the network has probably diverged; lower the learning rate or use a wider number format"
            if isinstance(error, NotFiniteError)
            else ""
        )
        raise ValueError(f"{name}: {error}{why}") from error
    finally:
        PROBED.reset(token)


def score_rows(
    step: int,
    epoch: int,
    taps: Sequence[Tap],
    *,
    layers: Mapping[tuple[str, int, str], float],
    baseline: Mapping[tuple[str, str], float],
    accuracy: float | None,
) -> list[Score]:
    """Return the rows of one evaluation: the head, the raw pixels, the layers.

    Args:
        step: Optimiser steps done.
        epoch: Passes over the seen training images begun.
        taps: The layers.
        layers: {(split, layer, probe): value}.
        baseline: {(split, probe): value} of the raw pixels.
        accuracy: Of the head on seen test images; None where it was not trained on their classes.
    """
    rows = []
    if accuracy is not None:
        rows.append(Score(step, epoch, "seen", HEAD_LAYER, HEAD_NAME, None, ACCURACY, accuracy))
    rows += [
        Score(step, epoch, split, INPUT_LAYER, INPUT_NAME, None, probe, value)
        for (split, probe), value in sorted(baseline.items())
    ]
    rows += [
        Score(step, epoch, split, layer, taps[layer].name, taps[layer].depth, probe, value)
        for (split, layer, probe), value in sorted(layers.items())
    ]
    return rows


def logged_numbers(rows: Sequence[Score], best: Generalization) -> dict[str, float]:
    """Return {metric name: value} for the loggers.

    The module logs the head's accuracy itself; controls and selectors would be hundreds of curves that nobody follows.
    """
    numbers = {
        metric_name(row.split, row.probe, row.layer, row.layer_name): row.value
        for row in rows
        if row.layer >= INPUT_LAYER and not is_control(row.probe) and row.probe not in ROWS
    }
    numbers[metric_name("unseen", "g")] = best.g
    numbers[metric_name("unseen", "best_layer")] = float(best.best_layer)
    return numbers
