"""Distances of all pairs of samples in float32, a block of rows at a time, of large sets most of them worked out once.

The inner product x.y serves the row of x and the row of y. What a block has with later samples is kept, as tiles of the
matrix, until those have their turn; where that would take too much memory, they work it out again. What is kept
depends on the number of samples alone, so neither the number of threads nor free memory changes a bit.

Shapes: N samples, D features, B rows of a block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from unseen.probes.inputs import Float32Array
from unseen.probes.row_blocks import RowThreads

# Rows and columns of a tile: enough for a fast product. At a power of two, the elements of a column would meet in a few
# places of the cache, and the transpose take three times as long.
_SIDE = 500
# Features of all samples; with fewer, working a product out again takes less time than passing it on.
_LEAST_VALUES = 2**22
_LEAST_ROWS = 256  # of a block without tiles: enough for a fast product
# Bytes of tiles kept by a process; enough for all of them up to N = 20,000. Two blocks, 4,000 N bytes, come on top.
_MOST_KEPT = 400 * 2**20


def for_squared_distances(
    features: Float32Array,
    squares: Float32Array,
    use: Callable[[slice, Float32Array], None],
    threads: RowThreads,
    *,
    most_rows: int,
) -> None:
    """Call `use` with rows and their squared distances to all samples, less the |x|^2 of the row's own sample, (B, N).

    Args:
        features: (D, N): a product takes a tenth less time than with rows of features.
        squares: Squared norms |y|^2, (N,).
        use: Gets every row once, in any of the threads. It may change the distances; they do not last.
        threads: Share out the work. While they use one block's distances, they fill the next one's.
        most_rows: B at most. Where pairs are not worked out once, B is at least what makes a product fast.
    """
    num_samples = features.shape[1]
    if features.size < _LEAST_VALUES:

        def work_out_and_use(rows: slice) -> None:
            distances = (-2 * features[:, rows].T) @ features  # (B, N)
            distances += squares
            use(rows, distances)

        threads.map(work_out_and_use, num_samples, max(_LEAST_ROWS, most_rows))
        return
    side = min(_SIDE, num_samples)
    step = max(1, min(side // 2, most_rows))
    columns = [slice(first, min(first + side, num_samples)) for first in range(0, num_samples, side)]
    buffers = [np.empty((side, num_samples), dtype=np.float32) for _ in columns[:2]]
    tiles = _Tiles(features, squares, {})
    uses: list[Callable[[], None]] = []  # of the block before
    for number, rows in enumerate(columns):
        block = buffers[number % 2][: rows.stop - rows.start]
        room = max(0, _MOST_KEPT // (4 * side**2) - tiles.kept_for_later(rows))
        left = -2 * features[:, rows].T  # (B, D)
        fills = [
            partial(tiles.fill, block[:, some], left, rows, some, keep=number < other <= number + room)
            for other, some in enumerate(columns)
        ]
        threads.run([*uses, *fills])
        uses = [
            partial(
                use,
                slice(rows.start + first, min(rows.start + first + step, rows.stop)),
                block[first : first + step],
            )
            for first in range(0, len(block), step)
        ]
    threads.run(uses)


@dataclass(frozen=True)
class _Tiles:
    """Blocks of rows and columns of the matrix of distances.

    Attributes:
        features: (D, N).
        squares: (N,).
        kept: -2 x.y of tiles that will be needed again, by their first row and column.
    """

    features: Float32Array
    squares: Float32Array
    kept: dict[tuple[int, int], Float32Array]

    def kept_for_later(self, rows: slice) -> int:
        """Return how many tiles are kept that these rows do not need."""
        return sum(first_column != rows.start for _, first_column in self.kept)

    def fill(self, out: Float32Array, left: Float32Array, rows: slice, columns: slice, *, keep: bool) -> None:
        """Put the distances of one tile into `out`.

        Args:
            out: (B, B').
            left: -2 x of its rows, (B, D).
            rows: Its rows.
            columns: Its columns.
            keep: Whether to keep its products for the block of which the columns are the rows.
        """
        products = self.kept.pop((columns.start, rows.start), None)
        if products is not None:
            products = products.T
        else:
            products = left @ self.features[:, columns]
            if keep:
                self.kept[rows.start, columns.start] = products
        np.add(products, self.squares[columns], out=out)
