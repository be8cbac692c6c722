"""The orders of a few outcomes over tasks: what could have come out if outcomes had nothing to do with the tasks."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from unseen.reporting.statistics.association import PERMUTATIONS

ALL_UP_TO = 8  # 8! = 40,320
_SEED = 20240731
_DIGITS = 9  # statistics that differ by less than this share are equal but for rounding


@lru_cache(maxsize=16)
def orders(n: int) -> NDArray[np.intp]:
    """Return all n! orders of n places, or of more than eight the given one and 9,999 drawn ones: (P, n)."""
    if n <= ALL_UP_TO:
        found = np.array(list(itertools.permutations(range(n))), dtype=np.intp)
    else:
        drawn = np.tile(np.arange(n), (1 + PERMUTATIONS, 1))
        drawn[1:] = np.random.default_rng(_SEED).permuted(drawn[1:], axis=1)
        found = drawn
    found.setflags(write=False)  # shared by all callers
    return found


def share_reaching(of_orders: NDArray[np.float64]) -> float:
    """Return the share of orders whose statistic is as large as that of the first, which is the one found.

    >>> share_reaching(np.array([2.0, 1.0, 2.0, 0.0]))
    0.5
    """
    scale = float(np.abs(of_orders).max()) or 1.0
    return float((of_orders >= of_orders[0] - scale * 10.0**-_DIGITS).mean())


def smallest_p(n: int) -> float:
    """Return the smallest two-sided p that n different outcomes can have by their order.

    >>> round(smallest_p(4), 3), round(smallest_p(6), 4), smallest_p(9)
    (0.083, 0.0028, 0.0001)
    """
    return 2 / math.factorial(n) if n <= ALL_UP_TO else 1 / (1 + PERMUTATIONS)
