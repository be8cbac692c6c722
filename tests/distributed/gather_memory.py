"""One of two processes that gather 13 layers of 20,000 x 768; prints the peak beyond what it held before, in bytes."""

from __future__ import annotations

import resource
import sys
from types import SimpleNamespace

import torch
import torch.distributed as dist

from unseen.backbones.protocol import Tap
from unseen.callbacks.layer_scores import EmbeddingBank, LayerScorer
from unseen.distributed import ProcessGroup
from unseen.probes import ProbeSuite

LAYERS, IMAGES, WIDTH, BATCH = 13, 20_000, 768, 250


class Gatherer(LayerScorer):
    """Checks what arrives instead of probing it, which would take minutes and memory of its own."""

    def _submit(self, pool, embeddings, targets, split, noise_level):
        assert embeddings.shape == (IMAGES, WIDTH)
        layer = embeddings[0, 0]
        assert torch.equal(embeddings[:, 0], torch.arange(IMAGES) + layer)  # every row says whose it is
        assert torch.equal(targets, torch.arange(IMAGES) % 7)
        return SimpleNamespace(result=lambda: {f"rows of {int(layer)}": float(len(embeddings))})


def main() -> None:
    dist.init_process_group("gloo")
    rank, world_size = dist.get_rank(), dist.get_world_size()
    probe = Gatherer(ProcessGroup(), torch.device("cpu"), ProbeSuite(k=5), lambda *_: None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    bank = EmbeddingBank(LAYERS)
    for number, start in enumerate(range(0, IMAGES, BATCH)):
        if number % world_size == rank:
            indices = torch.arange(start, start + BATCH)
            rows = [
                (indices + layer).float().unsqueeze(1).expand(BATCH, WIDTH).clone() for layer in range(LAYERS)
            ]
            bank.add(rows, indices % 7, indices)
    taps = tuple(Tap(layer, f"l{layer}", layer / (LAYERS - 1), "tokens") for layer in range(LAYERS))
    found = probe.score("unseen", bank, taps, IMAGES)
    assert {(layer, probe) for _, layer, probe in found} == {(i, f"rows of {i}") for i in range(LAYERS)}
    sys.stdout.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before}\n")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
