"""How many of a sample's nearest neighbours share its class (arXiv 2402.14095, 2405.01524), exactly.

The search is exhaustive: O(N^2 D) time, and memory for blocks of rows of the distance matrix only. It is done in
float32, and in float64 wherever rounding could change the order, so its results are those of float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probes.image_bootstrap import mean_sd
from unseen.probes.inputs import checked_embeddings, checked_labels, unit_scaled
from unseen.probes.threads import one_thread, product

_TIE = 1e-13  # squared distances that differ by less, relative to |x|^2 and their own size, are equal
_UNIT = 2.0**-24  # relative rounding error of float32
_MOST_OPEN = 32  # samples of a row whose order float32 leaves open, beyond which all are compared in float64
_PAIR_VALUES = 2**21  # features of samples that are compared at once
# Distances of a block: 64 and 512 MiB. On a CPU 4,096 samples are one block, whose product x @ x.T takes half the time.
_CPU_BLOCK, _GPU_BLOCK = 2**24, 2**27


@dataclass(frozen=True)
class NeighborAgreement:
    """Share of nearest other samples with the same label, 0..1.

    Attributes:
        at_1: Share for the single nearest neighbour, NN@1.
        at_k: Share among the k nearest, averaged over samples, NN@k.
        ceiling: The most that `at_k` could be: mean_i min(n_{y_i} - 1, k) / k with n_c samples in class c. Far below 1
            when k exceeds the class sizes; values with different ceilings do not compare.
        r_precision: Share among the n_{y_i} - 1 nearest. It can always reach 1, so classes and sets of different sizes
            compare. Samples that are the only one of their class are left out; NaN if that leaves none.
        k: Neighbours used: the k asked for, at most N - 1.
    """

    at_1: float
    at_k: float
    ceiling: float
    r_precision: float
    k: int


def neighbor_agreement(
    embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike, *, k: int
) -> NeighborAgreement:
    """Share of each sample's nearest other samples (Euclidean) that have its label.

    The papers use k = 500, the size of an unseen class. The sample itself is left out by its index, so an identical
    copy of it does count. Samples that are equally far at the last place share the places that are left: each tie
    counts with the average over all ways to break it, so that the result depends neither on the order of the samples
    nor on the number of threads, and constant features score the chance level mean_i (n_{y_i} - 1) / (N - 1).

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        k: Neighbours to look at; more than N - 1 are cut to N - 1, and the result says so.

    Returns:
        The shares, their ceiling and the k used; NaN with k = 0 for a single sample.

    Raises:
        ValueError: If k < 1 or the inputs are malformed or not finite.
    """
    return _agreement(embeddings, labels, k)[0]


def _agreement(
    embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike, k: int
) -> tuple[NeighborAgreement, Tensor, Tensor]:
    """Return the agreement, the shares of each sample that it averages (3, N), and their classes (N,)."""
    features = checked_embeddings(embeddings)  # (N, D)
    _, targets = checked_labels(labels, len(features), features.device)
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    k = min(k, len(features) - 1)
    if k == 0:
        undefined = features.new_full((3, len(features)), math.nan)
        return NeighborAgreement(*(math.nan,) * 4, k), undefined, targets
    with one_thread(features.device):
        shares = _same_label_shares(features, targets, k)  # (3, N)
    mates = targets.bincount()[targets] - 1  # (N,), other samples with the same label
    ceiling = float((mates.clamp(max=k).double() / k).mean())
    at_1, at_k, precision = shares.nanmean(1).tolist()  # of R-precision NaN where there are no mates
    return NeighborAgreement(at_1, at_k, ceiling, precision, k), shares, targets.sort(stable=True).values


def r_precision(embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike) -> float:
    """The attribute of this name of `neighbor_agreement`, which needs no k."""
    return neighbor_agreement(embeddings, labels, k=1).r_precision


def neighbor_probe(
    features: Tensor, labels: Tensor | npt.ArrayLike, *, k: int, image_bootstrap: int | None
) -> dict[str, float]:
    """`neighbor_agreement` as scores by name, their chance levels, and their spread over resampled images if asked for.

    The spread is exact, so the number of resamplings does not enter.
    """
    found, shares, targets = _agreement(features, labels, k)
    chance, r_precision_chance = neighbor_chance(labels)
    names = ("nn1_image_sd", "nnk_image_sd", "r_precision_image_sd") if image_bootstrap else ()
    spread = {name: mean_sd(share, targets) for name, share in zip(names, shares, strict=False)}
    return {
        "nn1": found.at_1,
        "nnk": found.at_k,
        "nnk_ceiling": found.ceiling,
        "r_precision": found.r_precision,
        "nn_chance": chance,
        "r_precision_chance": r_precision_chance,
    } | spread


def neighbor_chance(labels: Tensor | npt.ArrayLike) -> tuple[float, float]:
    """Return what neighbours drawn at random score: NN@1 and NN@k alike, and R-precision.

    Each of the others of a sample is of its class with probability (n_y - 1) / (N - 1), so whatever the number of
    neighbours, the mean of this over the samples is expected; over those that have class mates for R-precision.

    Args:
        labels: Any integers, (N,).

    Returns:
        Both, 0..1; NaN for a single sample, and for R-precision without any class mates.
    """
    _, targets = checked_labels(labels, len(labels))  # type: ignore[arg-type]
    if len(targets) < 2:
        return math.nan, math.nan
    expected = (targets.bincount()[targets] - 1).double() / (len(targets) - 1)  # (N,)
    return float(expected.mean()), float(expected[expected > 0].mean())


def _same_label_shares(features: Tensor, targets: Tensor, k: int) -> Tensor:
    """Return the share of same-label samples among the 1, k, and n_y - 1 nearest others, (3, N), class by class.

    Squared distances are |y|^2 - 2 xy, short of the |x|^2 that all of a row have in common, and counted from a sample
    near the mean, which keeps small differences far from the origin, and whole numbers whole.
    """
    points = unit_scaled(features).double()
    points = points - points[(points - points.mean(0)).square().sum(1).argmin()]
    points = points[targets.argsort(stable=True)]  # so that same labels are neighbouring columns
    search = _Search(points, points.float(), points.square().sum(1))
    step = max(1, (_GPU_BLOCK if points.is_cuda else _CPU_BLOCK) // len(points))
    ends = targets.bincount().cumsum(0).tolist()
    shares = points.new_empty(3, len(points))
    for first in range(0, len(points), step):
        block = slice(first, min(first + step, len(points)))
        distances = search.distances(block)
        for start, end in zip([0, *ends], ends, strict=False):
            rows = slice(max(start, block.start), min(end, block.stop))
            if rows.start < rows.stop:
                inside = distances[rows.start - first : rows.stop - first]
                ranks = [1, k, end - start - 1]
                for place, (rank, last) in enumerate(zip(ranks, _nth_smallest(inside, ranks), strict=True)):
                    shares[place, rows] = search.shares(inside, rows, slice(start, end), rank, last)
    return shares


@dataclass(frozen=True)
class _Search:
    """Neighbours by distances in float32; where its rounding leaves the order open, in float64."""

    points: Tensor  # (N, D) float64
    single: Tensor  # the same in float32
    squares: Tensor  # |x|^2, (N,) float64

    def distances(self, rows: slice) -> Tensor:
        """Return squared distances (B, N) float32, infinite to the sample itself."""
        found = product(self.single[rows], self.single.T).mul_(-2).add_(self.squares.float())
        own = torch.arange(len(found), device=found.device)
        found[own, rows.start + own] = torch.inf
        return found

    def shares(self, distances: Tensor, rows: slice, same: slice, rank: int, last: Tensor) -> Tensor:
        """Return the share of the label's samples `same` among the `rank` nearest of each row, (B,); NaN for rank 0.

        The rows, all of that label, have the distances (B, N); `last` is that of the last of the nearest, (B,).
        """
        if rank == 0:
            return self.squares.new_full((len(distances),), torch.nan)
        # off by it may be both that are compared, and the limits
        slack = 3 * self._rounding(self.squares[rows], last.double())
        low, high = (last - slack).float(), (last + slack).float()
        nearer = distances < low[:, None]
        open_ = (distances <= high[:, None]) ^ nearer
        left = rank - _count(nearer)  # places that the open ones share
        hits, opened = _count(nearer[:, same]).double(), _count(open_)
        many = opened > _MOST_OPEN
        if many.any():
            open_[many], opened[many] = False, 0
        row, column = _places(open_)
        slot = torch.arange(len(row), device=row.device) - (opened.cumsum(0) - opened)[row]
        exact = self.points.new_full((len(distances), _MOST_OPEN), torch.inf)
        exact[row, slot] = self._exact(row + rows.start, column)
        mates = torch.zeros_like(exact, dtype=torch.bool)
        mates[row, slot] = (column >= same.start) & (column < same.stop)
        hits += _tied_hits(exact, mates, self.squares[rows], left.clamp(1, _MOST_OPEN))
        again = many.nonzero()[:, 0]
        if len(again):
            hits[again] = self._hits_in_float64(again + rows.start, same, rank)
        return hits / rank

    def _rounding(self, squares: Tensor, last: Tensor) -> Tensor:
        """Return a bound of the error of float32 distances that may count, (B,) (Higham 2002, section 3.1).

        A dot product of D terms is off by at most D u |x||y|. A sample within the distance d of x has |y| <= |x| + d;
        twice that leaves room for the error of d itself, and what is longer is too far to be taken for a neighbour.
        """
        reach = 2 * (squares.sqrt() + (last + squares).clamp_min(0).sqrt())
        longest = torch.minimum(reach, self.squares.max().sqrt())
        return (
            _UNIT * (2 * (self.points.shape[1] + 4) * squares.sqrt() * longest + 2 * longest.square()) + 1e-30
        )

    def _exact(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the squared distances of pairs in float64, (P,)."""
        step = max(1, _PAIR_VALUES // self.points.shape[1])
        pairs = zip(torch.split(rows, step), torch.split(columns, step), strict=True)
        parts = [self.squares[y] - 2 * (self.points[x] * self.points[y]).sum(1) for x, y in pairs]
        return torch.cat(parts) if parts else self.squares.new_empty(0)

    def _hits_in_float64(self, rows: Tensor, same: slice, rank: int) -> Tensor:
        """Return the number of same-label samples among the `rank` nearest of some rows, (B,)."""
        mates = torch.zeros(len(self.points), dtype=torch.bool, device=rows.device)
        mates[same] = True
        found = []
        for some in torch.split(rows, max(1, _CPU_BLOCK // len(self.points))):
            distances = product(-2 * self.points[some], self.points.T).add_(self.squares)
            distances[torch.arange(len(some), device=some.device), some] = torch.inf
            found.append(_tied_hits(distances, mates, self.squares[some], torch.full_like(some, rank)))
        return torch.cat(found)


def _count(mask: Tensor) -> Tensor:
    """Return how many of each row are true, (B,)."""
    # on a CPU NumPy's is faster than torch's sum
    return mask.sum(1) if mask.is_cuda else torch.from_numpy(np.count_nonzero(mask.numpy(), axis=1))


def _places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return row and column of all that is true, row by row."""
    # on a CPU NumPy's is faster than torch's nonzero
    flat = mask.view(-1).nonzero()[:, 0] if mask.is_cuda else torch.from_numpy(np.flatnonzero(mask.numpy()))
    return flat // mask.shape[1], flat % mask.shape[1]


def _nth_smallest(distances: Tensor, ranks: Sequence[int]) -> Tensor:
    """Return the distances of the nearest samples of these ranks in each row, (R, B); of rank 0 it means nothing."""
    places = [max(0, rank - 1) for rank in ranks]
    if distances.is_cuda:
        return distances.topk(max(ranks), largest=False).values[:, places].T
    nearest, found = distances.numpy(), {}
    for place in sorted(set(places), reverse=True):  # each among the nearest of the one before
        # faster than torch's kthvalue and topk, and than NumPy's for several places at once
        nearest = np.partition(nearest, place)[:, : place + 1]
        found[place] = torch.from_numpy(nearest[:, place])
    return torch.stack([found[place] for place in places])


def _tied_hits(distances: Tensor, same: Tensor, squares: Tensor, places: Tensor) -> Tensor:
    """Return how many of the `places` (B,) nearest have the same label, (B,); equally far ones share the last places.

    `distances` is (B, W) float64, `same` (B, W) or (W,), `squares` is |x|^2 of the rows, (B,).
    """
    last = distances.sort(1).values.gather(1, places[:, None] - 1)  # (B, 1)
    slack = _TIE * (squares[:, None] + (last + squares[:, None]).clamp_min(0))
    within, nearer = distances <= last + slack, distances < last - slack
    sure, hits = (nearer & same).sum(1), (within & same).sum(1)
    left, tied = places - nearer.sum(1), within.sum(1) - nearer.sum(1)
    return sure + (hits - sure) * (left.double() / tied)
