"""Keys sort as the distances they hold."""

from __future__ import annotations

import numpy as np

from unseen.probes.distance_keys import ABSENT, distances_and_columns, keys_of

DISTANCES = [
    -np.inf,
    -3e38,
    -2.0,
    -1.5,
    -1e-45,
    -0.0,
    0.0,
    1e-45,
    1.0,
    np.nextafter(np.float32(1), 2),
    3e38,
    np.inf,
]


def test_sorting_keys_sorts_the_distances_with_their_columns():
    distances = np.array(DISTANCES, dtype=np.float32)
    columns = 2**31 - 1 - np.arange(len(distances))
    shuffled = np.random.default_rng(0).permutation(len(distances))
    found, where = distances_and_columns(np.sort(keys_of(distances[shuffled], columns[shuffled])))
    assert found.tobytes() == distances.tobytes()  # to the bit, the sign of zero included
    assert where.tolist() == columns.tolist()


def test_equal_distances_rank_by_column():
    keys = keys_of(np.full(3, -4.0, dtype=np.float32), np.array([7, 0, 2**32 - 1]))
    assert distances_and_columns(np.sort(keys))[1].tolist() == [0, 7, 2**32 - 1]


def test_absent_is_behind_all_that_is_there():
    distances, columns = distances_and_columns(np.array([ABSENT]))
    assert (distances.item(), columns.item()) == (np.inf, 0)
    assert keys_of(np.array([3e38], dtype=np.float32), np.array([2**32 - 1])) < ABSENT
