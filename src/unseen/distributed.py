"""Rows of a table that is spread over processes, gathered by index at one of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# A probe on one rank may take long while the others wait.
_PROBE_TIMEOUT = timedelta(hours=2)
# Rows are sent in pieces of at most this size, so that a gather needs no second copy of a layer.
_CHUNK_BYTES = 32 * 2**20


class ProcessGroup:
    """The processes of one run: W ranks that gather tables and share small dictionaries.

    Dictionaries, and tables on the CPU, go through a gloo group of its own; tables on CUDA through the trainer's NCCL
    group where it has one.

    Args:
        device: Where the ranks compute.

    Attributes:
        rank: Of this process.
        world_size: W.
        device: Where tables are gathered: `device` with NCCL or one process, else the CPU.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._active = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self.rank = dist.get_rank() if self._active else 0
        self.world_size = dist.get_world_size() if self._active else 1
        self._group: Any = dist.new_group(backend="gloo", timeout=_PROBE_TIMEOUT) if self._active else None
        nccl = self._active and torch.device(device).type == "cuda" and "nccl" in dist.get_backend()
        self.device = torch.device(device if nccl or not self._active else "cpu")
        self._table_group: Any = None if nccl else self._group  # None: the trainer's

    def share(self, content: dict[Any, Any]) -> dict[Any, Any]:
        """Return the union of every rank's small dictionary, equal on all ranks."""
        if not self._active:
            return dict(content)
        parts: list[dict[Any, Any] | None] = [None] * self.world_size
        dist.all_gather_object(parts, content, group=self._group)
        return {key: value for part in parts if part is not None for key, value in part.items()}

    def gather_rows(self, rows: Tensor, places: Sequence[Tensor], width: int, *, owner: int) -> Tensor | None:
        """Return all rows in index order at `owner`, None elsewhere. Called by every rank.

        Args:
            rows: (n, D) float32 of this rank.
            places: For each rank the (n,) positions of its rows in the whole table, see `check_places`.
            width: D, which a rank without rows cannot know.
            owner: Rank that receives the table.

        Returns:
            (N, D) at `owner`. Beside it, at most one piece of 32 MiB is held.
        """
        rows = rows.to(self.device)
        if self.rank != owner:
            self._send(rows, owner, self._table_group)
            return None
        table = torch.empty(sum(map(len, places)), width, device=self.device)
        for rank, positions in enumerate(places):
            if rank == owner:
                if len(rows):
                    table[positions] = rows
                continue
            for piece in torch.split(positions, _rows_a_piece(table)) if len(positions) else ():
                received = table.new_empty(len(piece), width)
                dist.recv(received, src=rank, group=self._table_group)
                table[piece] = received
        return table

    def everywhere(self, rows: Tensor, numbers: Tensor, count: int) -> Tensor:
        """Return all rows in order on every rank. Called by every rank.

        Args:
            rows: (n, D) of this rank, on the CPU, n >= 1.
            numbers: (n,) of its rows in the whole table.
            count: N rows of the table.

        Returns:
            (N, D) on the CPU.

        Raises:
            RuntimeError: A row is there twice or not at all.
        """
        check_places(list(self.share({self.rank: numbers}).values()), count)
        table = rows.new_zeros(count, rows.shape[1])
        table[numbers] = rows
        if self._active:
            for piece in torch.split(table, _rows_a_piece(table)):
                dist.all_reduce(piece, group=self._group)  # the other ranks have zeros there
        return table

    def wait(self) -> None:
        """Return when every rank is here, for hours if need be."""
        self.share({})

    def bring(self, rows: Tensor | None, *, source: int) -> Tensor | None:
        """Return at rank 0 the table that rank `source` holds on the CPU, None elsewhere. Called by every rank.

        Args:
            rows: (N, D) on the CPU, of any type; read at `source` only.
            source: Rank that holds the table.
        """
        if source == 0:
            return rows if self.rank == 0 else None
        mine = {"shape": tuple(rows.shape), "type": rows.dtype} if rows is not None else {}
        about = self.share(mine if self.rank == source else {})
        if self.rank == source:
            assert rows is not None
            self._send(rows, 0, self._group)
        if self.rank != 0:
            return None
        table = torch.empty(about["shape"], dtype=about["type"])
        for piece in torch.split(table, _rows_a_piece(table)):
            dist.recv(piece, src=source, group=self._group)
        return table

    def _send(self, rows: Tensor, receiver: int, group: Any) -> None:
        if len(rows):
            for piece in torch.split(rows.contiguous(), _rows_a_piece(rows)):
                dist.send(piece, dst=receiver, group=group)


def check_places(places: Sequence[Tensor], num_rows: int) -> None:
    """Check that the ranks' positions are together each of 0..N-1 exactly once.

    Raises:
        RuntimeError: A position is there twice or not at all.
    """
    filled = torch.cat(list(places)).bincount(minlength=num_rows)
    if not bool((filled == 1).all()):
        twice, never = int((filled > 1).sum()), int((filled == 0).sum())
        raise RuntimeError(f"of {num_rows} embeddings {twice} arrived twice and {never} never")


def share_out(costs: Sequence[float], world_size: int) -> list[int]:
    """Return for each task the rank that does it: the longest first, each to the rank with the least work.

    >>> share_out([1, 1, 1, 1], 2), share_out([1, 2, 4, 8], 2)
    ([0, 1, 0, 1], [1, 1, 1, 0])
    """
    work, owners = [0.0] * world_size, [0] * len(costs)
    for task in sorted(range(len(costs)), key=lambda task: -costs[task]):
        owners[task] = work.index(min(work))
        work[owners[task]] += costs[task]
    return owners


def _rows_a_piece(table: Tensor) -> int:
    return max(1, _CHUNK_BYTES // max(1, table.shape[1] * table.element_size()))
