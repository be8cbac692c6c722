"""Scores 5 layers of 6,000 x 48 in one process; prints the peak beyond what was held before, in bytes."""

from __future__ import annotations

import resource
import sys

import torch

from unseen.backbones.protocol import Tap
from unseen.callbacks.layer_scores import EmbeddingBank, LayerScorer
from unseen.distributed import ProcessGroup
from unseen.probes import ProbeSuite

LAYERS, IMAGES, WIDTH, BATCH, CLASSES = 5, 6_000, 48, 250, 20


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]))
    generator = torch.Generator().manual_seed(0)
    suite = ProbeSuite(n_init=1, k=IMAGES // CLASSES)
    scorer = LayerScorer(ProcessGroup(), torch.device("cpu"), suite, lambda *_: None)
    # libraries are loaded, and their threads started
    few = EmbeddingBank(1)
    few.add([torch.randn(BATCH, WIDTH, generator=generator)], torch.arange(BATCH) % 2, torch.arange(BATCH))
    scorer.score("unseen", few, [Tap(0, "l0", 0.0, "tokens")], BATCH)
    before = peak()
    centers = torch.randn(CLASSES, WIDTH, generator=generator)
    bank = EmbeddingBank(LAYERS)
    for start in range(0, IMAGES, BATCH):
        indices = torch.arange(start, start + BATCH)
        labels = indices % CLASSES
        rows = [centers[labels] + torch.randn(BATCH, WIDTH, generator=generator) for _ in range(LAYERS)]
        bank.add(rows, labels, indices)
    taps = [Tap(layer, f"l{layer}", layer / (LAYERS - 1), "tokens") for layer in range(LAYERS)]
    scores = scorer.score("unseen", bank, taps, IMAGES)
    assert {layer for _, layer, _ in scores} == set(range(LAYERS))
    sys.stdout.write(f"{peak() - before}\n")


if __name__ == "__main__":
    main()
