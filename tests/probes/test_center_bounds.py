"""Bounds on distances to moving centers: never wrong, and worth their work."""

from __future__ import annotations

import numpy as np
import pytest

from unseen.probes import center_bounds
from unseen.probes.center_bounds import CenterBounds
from unseen.probes.row_blocks import row_threads


@pytest.mark.parametrize(("most_groups", "left_open"), [(128, 0.8), (7, 0.99)])
def test_bounds_of_groups_hold_and_leave_out_more(monkeypatch, most_groups, left_open):
    monkeypatch.setattr(center_bounds, "_MOST_GROUPS", most_groups)
    random = np.random.default_rng(0)
    points = random.normal(size=(600, 12)).astype(np.float32)
    squares = np.einsum("nd,nd->n", points, points)
    every, one = np.arange(600), np.array([0])
    centers = points[random.choice(600, 40, replace=False)][None]  # (1, 40, 12)
    bounds = CenterBounds(1, 600, 40)
    with row_threads() as threads:
        assert np.array_equal(bounds.open_rows(one, threads), every)  # nothing is known yet
        assigned = bounds.renew(points, squares, centers, one, every, threads)  # (1, 600)
        for far in (3, 17, 30):  # one center goes far, the others a little
            moves = np.full((1, 40), 0.02)
            moves[0, far] = 1.5
            shift = random.normal(size=centers.shape)
            shift *= (moves / np.linalg.norm(shift, axis=2))[:, :, None]
            centers = (centers + shift).astype(np.float32)
            bounds.follow(one, assigned, moves + 1e-6)  # the centers are rounded
            coarse = np.count_nonzero(bounds.own[0] >= bounds.other[0])
            rows = bounds.open_rows(one, threads)
            exact = np.linalg.norm(points[:, None].astype(np.float64) - centers, axis=2)  # (600, 40)
            own = exact[every, assigned[0]]
            exact[every, assigned[0]] = np.inf
            assert (own <= bounds.own[0]).all()
            assert (exact.min(axis=1) >= bounds.other[0]).all()
            assert np.array_equal(rows, np.flatnonzero(bounds.own[0] >= bounds.other[0]))
            assert len(rows) < left_open * coarse
            assigned[:, rows] = bounds.renew(points, squares, centers, one, rows, threads)


def test_bounds_follow_the_centers():
    # One start, two clusters: center 0 moves by 3, center 1 by 1. Of sample 0, in cluster 0, the own center may be 3
    # farther and the other one 1 nearer; of sample 1, in cluster 1, 1 farther and 3 nearer.
    bounds = CenterBounds(1, 2, 2)
    bounds.own[:], bounds.other[:] = [[5.0, 6.0]], [[9.0, 8.0]]
    bounds.follow(np.array([0]), np.array([[0, 1]]), np.array([[3.0, 1.0]]))
    assert bounds.own.tolist() == [[8, 7]]
    assert bounds.other.tolist() == [[8, 5]]
