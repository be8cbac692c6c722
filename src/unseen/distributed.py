"""Rows of a table that is spread over processes, gathered by index at one of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# A probe on one rank may take long while the others wait; NCCL's watchdog would end them after ten minutes.
_PROBE_TIMEOUT = timedelta(hours=2)
# Rows travel in pieces of at most this size, so that a gather needs no second copy of a layer.
_CHUNK_BYTES = 32 * 2**20


class ProcessGroup:
    """The processes of one run: W ranks that gather and share CPU data through their own gloo group."""

    def __init__(self) -> None:
        self._active = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self.rank = dist.get_rank() if self._active else 0
        self.world_size = dist.get_world_size() if self._active else 1
        self._group: Any = dist.new_group(backend="gloo", timeout=_PROBE_TIMEOUT) if self._active else None

    def share(self, content: dict[Any, Any]) -> dict[Any, Any]:
        """Return the union of every rank's small dictionary, equal on all ranks."""
        if not self._active:
            return dict(content)
        parts: list[dict[Any, Any] | None] = [None] * self.world_size
        dist.all_gather_object(parts, content, group=self._group)
        return {key: value for part in parts if part is not None for key, value in part.items()}

    def gather_rows(self, indices: Tensor, rows: Tensor, num_rows: int, *, owner: int) -> Tensor | None:
        """Return all rows in index order at `owner`, None elsewhere. Called by every rank.

        Args:
            indices: (n,) positions of this rank's rows in the whole table; together the ranks hold each
                position exactly once.
            rows: (n, D) float32; on the CPU where there are several ranks.
            num_rows: N, rows of the whole table.
            owner: Rank that receives the table.

        Returns:
            (N, D) at `owner`. Beside it, at most two buffers of W x 32 MiB are held.

        Raises:
            RuntimeError: A position was filled twice or never.
        """
        if self._active:
            shapes = self.share({self.rank: (len(rows), rows.shape[1] if rows.ndim > 1 else 0)})
            counts = [shapes[rank][0] for rank in range(self.world_size)]
            width = max(shapes[rank][1] for rank in range(self.world_size))
        else:
            counts, width = [len(rows)], rows.shape[1]
        filled = torch.zeros(num_rows, dtype=torch.int32)
        table = torch.empty(num_rows, width, device=rows.device) if self.rank == owner else None
        chunk = max(1, _CHUNK_BYTES // (4 * max(width, 1)))
        for start in range(0, max(counts), chunk):
            length = min(chunk, max(counts) - start)
            for rank, (part_indices, part_rows) in enumerate(
                self._gather_chunk(
                    indices[start : start + length], rows[start : start + length], length, width, owner
                )
            ):
                valid = max(0, min(length, counts[rank] - start))
                if table is not None and valid:
                    table[part_indices[:valid]] = part_rows[:valid]
                    filled.index_add_(0, part_indices[:valid], torch.ones(valid, dtype=torch.int32))
        if table is not None and not bool((filled == 1).all()):
            twice, never = int((filled > 1).sum()), int((filled == 0).sum())
            raise RuntimeError(f"of {num_rows} embeddings {twice} arrived twice and {never} never")
        return table

    def bring(self, rows: Tensor | None, *, source: int) -> Tensor | None:
        """Return at rank 0 the table that rank `source` holds, None elsewhere. Called by every rank.

        Args:
            rows: (N, D) on the CPU, of any type; read at `source` only.
            source: Rank that holds the table.
        """
        if source == 0:
            return rows if self.rank == 0 else None
        mine: dict[str, Any] = {}
        if self.rank == source:
            assert rows is not None
            mine = {"shape": tuple(rows.shape), "type": rows.dtype}
        about = self.share(mine)
        if self.rank == 0:
            rows = torch.empty(about["shape"], dtype=about["type"])
        elif self.rank != source:
            return None
        assert rows is not None
        row_bytes = max(1, rows.shape[1] * rows.element_size())
        for piece in torch.split(rows.contiguous(), max(1, _CHUNK_BYTES // row_bytes)):
            if self.rank == 0:
                dist.recv(piece, src=source, group=self._group)
            else:
                dist.send(piece, dst=0, group=self._group)
        return rows if self.rank == 0 else None

    def _gather_chunk(
        self, indices: Tensor, rows: Tensor, length: int, width: int, owner: int
    ) -> list[tuple[Tensor, Tensor]]:
        if not self._active:
            return [(indices, rows)]
        padded_rows = torch.zeros(length, width)
        padded_indices = torch.zeros(length, dtype=torch.long)
        padded_rows[: len(rows)] = rows
        padded_indices[: len(indices)] = indices
        at_owner = self.rank == owner
        all_rows = [torch.empty_like(padded_rows) for _ in range(self.world_size)] if at_owner else None
        all_indices = [torch.empty_like(padded_indices) for _ in range(self.world_size)] if at_owner else None
        dist.gather(padded_rows, all_rows, dst=owner, group=self._group)
        dist.gather(padded_indices, all_indices, dst=owner, group=self._group)
        if all_rows is None or all_indices is None:
            return []
        return list(zip(all_indices, all_rows, strict=True))
