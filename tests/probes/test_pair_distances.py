"""Distances of all pairs: right, each worked out once where memory allows, and in bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch

from unseen.probes import pair_distances
from unseen.probes.pair_distances import for_squared_distances
from unseen.probes.row_blocks import row_threads


@pytest.fixture(autouse=True)
def _few_are_enough(monkeypatch):
    monkeypatch.setattr(pair_distances, "_LEAST_VALUES", 0)


def all_distances(points):
    """Our distances of points (N, D), whole, (N, N)."""
    features = np.ascontiguousarray(points.T)
    squares = np.einsum("nd,nd->n", points, points)
    whole = np.full((len(points),) * 2, np.nan, dtype=np.float32)
    visits = np.zeros(len(points), dtype=int)

    def use(rows, distances):
        whole[rows] = distances
        visits[rows] += 1

    with row_threads() as threads:
        for_squared_distances(features, squares, use, threads, most_rows=4)
    assert (visits == 1).all()
    return whole


def integers(samples, features):
    """Points whose products are exact in float32."""
    return np.random.default_rng(0).integers(-9, 9, size=(samples, features)).astype(np.float32)


def test_hand_worked():
    # 0, 1 and 3 on a line: |y|^2 - 2 x.y for x = 0: 0 1 9; x = 1: 0 1-2 9-6; x = 3: 0 1-6 9-18.
    points = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    assert all_distances(points).tolist() == [[0, 1, 9], [0, -1, 3], [0, -5, -9]]


def test_few_values_are_worked_out_again(monkeypatch):
    monkeypatch.setattr(pair_distances, "_LEAST_ROWS", 4)
    points = integers(50, 5)
    with_tiles = all_distances(points)
    monkeypatch.setattr(pair_distances, "_LEAST_VALUES", 50 * 5 + 1)
    monkeypatch.setattr(pair_distances, "_Tiles", None)  # not asked for
    assert np.array_equal(all_distances(points), with_tiles)


@pytest.mark.parametrize("samples", [1, 6, 7, 8, 50])  # one block, a whole number of them, a remainder
@pytest.mark.parametrize("kept_tiles", [0, 1, 3, 1000])
def test_every_tile_is_filled_whatever_is_kept(monkeypatch, samples, kept_tiles):
    monkeypatch.setattr(pair_distances, "_SIDE", 7)
    monkeypatch.setattr(pair_distances, "_MOST_KEPT", kept_tiles * 4 * 7**2)
    points = integers(samples, 5)
    exact = np.square(points).sum(axis=1) - 2 * points @ points.T
    assert np.array_equal(all_distances(points), exact)


@pytest.mark.parametrize(("kept_tiles", "products"), [(1000, 36), (16, 36), (0, 64), (1, 57)])
def test_a_pair_is_worked_out_once_where_memory_allows(monkeypatch, kept_tiles, products):
    # Eight blocks: 8 tiles on the diagonal and 28 above it. At most 4 x 4 wait at once: after half of the blocks, each
    # has one for every later block. With room for one, each block but the last spares the next one tile.
    monkeypatch.setattr(pair_distances, "_SIDE", 10)
    monkeypatch.setattr(pair_distances, "_MOST_KEPT", kept_tiles * 4 * 10**2)
    # several threads may keep a tile before they drop the last one
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    made = []
    points = integers(80, 3)
    fill = pair_distances._Tiles.fill

    def counting(self, out, left, rows, columns, *, keep):
        made.append((columns.start, rows.start) not in self.kept)
        fill(self, out, left, rows, columns, keep=keep)
        assert len(self.kept) <= kept_tiles

    monkeypatch.setattr(pair_distances._Tiles, "fill", counting)
    all_distances(points)
    assert len(made) == 64
    assert sum(made) == products


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(pair_distances, "_MOST_KEPT", 4 * 2**20)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # each works on a tile of its own
    points = np.random.default_rng(0).normal(size=(4500, 4)).astype(np.float32)
    features, squares = np.ascontiguousarray(points.T), np.einsum("nd,nd->n", points, points)
    with row_threads() as threads:
        tracemalloc.start()
        for_squared_distances(features, squares, lambda _rows, _block: None, threads, most_rows=500)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    two_blocks, tiles_at_work = 2 * 4 * 500 * 4500, 4 * 2**20
    assert peak < two_blocks + 4 * 2**20 + tiles_at_work  # 26 MB; all distances would be 81
