"""Distances and the samples they belong to as single whole numbers, which sort faster than the two side by side.

The upper half of a key ranks as its float32 distance does: read as whole numbers, the bits of positive floats rank as
the floats, and those of negative ones the other way round. The lower half is the sample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from unseen.probes.inputs import IntArray

ABSENT = np.int64(0x7F80_0000_0000_0000)  # distance infinite, column 0

_MAGNITUDE = np.int32(2**31 - 1)  # all bits but the sign
_COLUMN = 2**32 - 1


def keys_of(distances: npt.NDArray[np.float32], columns: IntArray) -> IntArray:
    """Return the keys of distances, not NaN, and columns below 2^32, of any one shape."""
    bits = distances.view(np.int32)
    ranking = bits ^ ((bits >> 31) & _MAGNITUDE)
    return (ranking.astype(np.int64) << 32) | columns


def distances_and_columns(keys: IntArray) -> tuple[npt.NDArray[np.float32], IntArray]:
    """Return what `keys_of` was given."""
    ranking = (keys >> 32).astype(np.int32)
    bits = ranking ^ ((ranking >> 31) & _MAGNITUDE)
    return bits.view(np.float32), keys & _COLUMN
