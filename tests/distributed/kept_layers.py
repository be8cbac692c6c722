"""One of two processes that score 13 layers of 20,000 x 768 and keep three; prints its peak beyond the start."""

from __future__ import annotations

import resource
import sys
from types import SimpleNamespace

import torch
import torch.distributed as dist

from unseen.backbones.protocol import Tap
from unseen.callbacks.kept_layers import KeptLayers
from unseen.callbacks.layer_scores import EmbeddingBank, LayerScorer
from unseen.distributed import _CHUNK_BYTES, ProcessGroup
from unseen.probes import ProbeSuite

LAYERS, IMAGES, WIDTH, BATCH, BEST = 13, 20_000, 768, 250, 5


class Rising(LayerScorer):
    """Scores rise up to layer 5, so that each new layer is the best so far; nothing is probed."""

    def _submit(self, pool, embeddings, targets, split, noise_level):
        layer = float(embeddings[0, 0])  # of image 0
        return SimpleNamespace(result=lambda: {"nmi": 1 - abs(layer - BEST) / 100})


def content(indices: torch.Tensor, layer: int) -> torch.Tensor:
    """Values that float16 holds exactly; every row says whose it is."""
    return ((indices % 1000) + layer).float().unsqueeze(1).expand(len(indices), WIDTH)


def main() -> None:
    dist.init_process_group("gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    group = ProcessGroup()
    probe = Rising(group, torch.device("cpu"), ProbeSuite(k=5), lambda *_: None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    bank = EmbeddingBank(LAYERS)
    for number, start in enumerate(range(0, IMAGES, BATCH)):
        if number % world_size == rank:
            indices = torch.arange(start, start + BATCH)
            bank.add([content(indices, layer).clone() for layer in range(LAYERS)], indices % 7, indices)
    taps = tuple(Tap(layer, f"l{layer}", layer / (LAYERS - 1), "tokens") for layer in range(LAYERS))
    kept = KeptLayers(LAYERS)
    probe.score("unseen", bank, taps, IMAGES, kept=kept)
    found = kept.collect(group, BEST)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    assert list(found) == ([0, BEST, LAYERS - 1] if rank == 0 else [])
    for layer, rows in found.items():
        assert rows.dtype == torch.float16
        assert torch.equal(rows.float(), content(torch.arange(IMAGES), layer)), layer
    assert torch.equal(kept.labels, torch.arange(IMAGES) % 7)
    # larger than a piece on its way, so that it travels in three
    whole = (torch.arange(40 * 2**20) % 2048).view(40, -1).half()
    assert whole.nbytes > 2 * _CHUNK_BYTES
    brought = group.bring(whole if rank == 1 else None, source=1)
    assert brought is None if rank else torch.equal(brought, whole)
    dist.barrier()
    sys.stdout.write(f"{peak}\n")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
