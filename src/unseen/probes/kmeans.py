"""Lloyd's k-means from greedy k-means++ starts, all starts in one matrix product, on the device of the features.

The same algorithm, stopping rule, and stream of random numbers as `sklearn.cluster.KMeans`, so that a seed gives the
clusters that scikit-learn and the papers get from it. (With many samples times many clusters, a draw between
neighbours can depend on the last bit of a sum; there scikit-learn itself changes with its number of threads.)

Shapes: N samples, D features, C clusters, S starts, T candidates for a further center.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

MAX_STEPS = 300
TOLERANCE = 1e-4  # of the mean variance: the sum of squared center moves that ends a start
_CENTERS_AT_ONCE = 128  # starts that have so many centers together share a product


@dataclass(frozen=True)
class Clustering:
    """The result of one start.

    Attributes:
        assigned: Cluster of each sample, (N,), on the CPU.
        inertia: Sum of squared distances to the own cluster's center.
    """

    assigned: Tensor
    inertia: float


def cluster(features: Tensor, num_clusters: int, *, n_init: int, seed: int) -> list[Clustering]:
    """Return the clusterings of `n_init` starts, in the order of the starts.

    Args:
        features: (N, D) float32.
        num_clusters: C, 1..N.
        n_init: S.
        seed: Of all starts together, as scikit-learn's `random_state`.
    """
    points = features - features.mean(0)  # (N, D); distances stay, and smaller numbers round less
    firsts, uniform = _random_numbers(len(points), num_clusters, n_init=n_init, seed=seed)
    starts = _plus_plus(points, firsts.to(points.device), uniform)  # (S, C)
    together = max(1, _CENTERS_AT_ONCE // num_clusters)
    return [one for group in torch.split(starts, together) for one in _lloyd(points, points[group])]


def best_clustering(found: Sequence[Clustering]) -> Clustering:
    """Return the clustering with the least inertia; of equal ones the first."""
    return min(found, key=lambda one: one.inertia)


def _random_numbers(num_samples: int, num_clusters: int, *, n_init: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return what scikit-learn draws: first samples (S, 1), and uniform numbers (S, C-1, T) for further centers."""
    random = np.random.RandomState(seed)
    even, shape = np.full(num_samples, 1 / num_samples), (num_clusters - 1, 2 + int(np.log(num_clusters)))
    drawn = [(random.choice(num_samples, p=even), random.uniform(size=shape)) for _ in range(n_init)]
    firsts = torch.tensor([[first] for first, _ in drawn])
    return firsts, torch.from_numpy(np.stack([uniform for _, uniform in drawn]))


def _plus_plus(points: Tensor, candidates: Tensor, uniform: Tensor) -> Tensor:
    """Return the samples (S, C) that greedy k-means++ starts from (Arthur & Vassilvitskii 2007, section 5).

    Of T samples, drawn with chances as their squared distance from the centers so far, the one becomes a center that
    leaves the least sum of squared distances. Distances are computed in float64 and kept in float32, and summed in
    float32, as scikit-learn does: a draw between thousands of samples depends on the last digit.

    Args:
        points: (N, D) float32.
        candidates: First samples, (S, 1).
        uniform: (S, C-1, T) in [0, 1), on the CPU.
    """
    num_samples, further = len(points), uniform.shape[1]
    exact = points.double()
    squares = exact.square().sum(1)  # (N,)
    ones = points.new_ones(num_samples)
    # squared distance to the nearest center so far, (S, 1, N)
    nearest = points.new_full((len(uniform), 1, num_samples), torch.inf)
    chosen = []  # each (S, 1)
    for place in range(further + 1):
        flat = candidates.flatten()  # (S T,)
        found = squares + squares[flat, None] - 2 * (exact[flat] @ exact.T)  # (S T, N)
        found = found.float().clamp_min(0).view(len(uniform), -1, num_samples).minimum(nearest)  # (S, T, N)
        sums = found @ ones  # (S, T)
        best = sums.argmin(1, keepdim=True)  # (S, 1)
        nearest = found.take_along_dim(best[..., None], 1)
        chosen.append(candidates.gather(1, best))
        if place < further:
            heights = nearest[:, 0].cpu().cumsum(1)  # (S, N); CUDA's adds in another order each time
            levels = uniform[:, place] * sums.gather(1, best).cpu()  # (S, T)
            drawn = torch.searchsorted(heights.to(levels.dtype), levels).clamp_max_(num_samples - 1)
            candidates = drawn.to(points.device)
    return torch.cat(chosen, 1)


def _lloyd(points: Tensor, centers: Tensor) -> list[Clustering]:
    """Iterate each start's centers (S, C, D) until the assignments or the centers stay."""
    num_starts, num_clusters, width = centers.shape
    # NumPy's variance, as scikit-learn's: torch's takes four times as long
    least_move = TOLERANCE * float(np.var(points.cpu().numpy(), axis=0).mean())
    assigned = torch.full((num_starts, len(points)), -1, device=points.device)  # (S, N)
    sums = torch.zeros(num_starts, num_clusters, width, dtype=torch.float64, device=points.device)
    ended = [False] * num_starts
    refilled: dict[int, Clustering] = {}
    for _ in range(MAX_STEPS):
        active = [start for start in range(num_starts) if not ended[start]]
        before, old = assigned[active], centers[active]
        now = _nearest(points, old)
        sums[active] += _change_of_sums(points, before, now, num_clusters)
        counts = torch.stack([one.bincount(minlength=num_clusters) for one in now])  # (S', C)
        new = (sums[active] / counts.clamp_min(1)[..., None]).float()
        moves = (new - old).double().square().sum((1, 2))
        assigned[active], centers[active] = now, new
        facts = torch.stack([(now == before).all(1), moves <= least_move, (counts == 0).any(1)]).tolist()
        for start, same, rests, empty in zip(active, *facts, strict=True):
            ended[start] = same or rests or empty
            if empty:
                refilled[start] = _with_empty_clusters(points, old[active.index(start)])
            elif rests and not same:  # the centers moved a last time after these samples were assigned
                assigned[start] = _nearest(points, centers[start : start + 1])[0]
        if all(ended):
            break
    for start in range(num_starts):
        if not ended[start]:
            assigned[start] = _nearest(points, centers[start : start + 1])[0]
    return [
        refilled[start] if start in refilled else _ended(points, centers[start], assigned[start])
        for start in range(num_starts)
    ]


def _nearest(points: Tensor, centers: Tensor) -> Tensor:
    """Return the nearest of each start's centers (S, C, D) to each sample, (S, N)."""
    flat = centers.flatten(0, 1)  # (S C, D)
    closeness = torch.addmm(flat.square().sum(1, keepdim=True), flat, points.T, beta=-0.5)  # (S C, N)
    return closeness.view(*centers.shape[:2], -1).argmax(1)


def _change_of_sums(points: Tensor, before: Tensor, now: Tensor, num_clusters: int) -> Tensor:
    """Return what the sums of the clusters' samples gain, (S, C, D), when assignments (S, N) change.

    After a few steps few samples change, and only those are touched. `before` is -1 where there was none.
    """
    changed = (now != before).any(0).nonzero()[:, 0]  # (N',)
    if not len(changed):
        return points.new_zeros(())
    old, new = before[:, None, changed], now[:, None, changed]  # (S, 1, N')
    # one row more, for samples that come from nowhere
    signs = points.new_zeros(len(now), num_clusters + 1, len(changed))
    signs.scatter_(1, old % (num_clusters + 1), -1.0)
    signs.scatter_(1, new, (new != old).float())
    return (signs[:, :num_clusters].flatten(0, 1) @ points[changed]).view(len(now), num_clusters, -1)


def _ended(points: Tensor, centers: Tensor, assigned: Tensor) -> Clustering:
    inertia = (points - centers[assigned]).square().sum(dtype=torch.float64)
    return Clustering(assigned.cpu(), float(inertia))


def _with_empty_clusters(points: Tensor, centers: Tensor) -> Clustering:
    """Go on with scikit-learn, which has rules for clusters that lost all their samples (repeated points)."""
    model = KMeans(len(centers), init=centers.cpu().numpy(), n_init=1, algorithm="lloyd", max_iter=MAX_STEPS)
    with warnings.catch_warnings():
        # of fewer distinct points than clusters the caller warns in clearer words
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(points.cpu().numpy())
    return Clustering(torch.from_numpy(model.labels_.astype(np.int64)), float(model.inertia_))
