"""Transfer scores of embeddings: iimm and its parts at the size of a large task, iimm_memory, transfer_scores."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, Settings, in_turns, seconds

PARTS = {"inter", "intra", "correct", "inter_text", "gap"}  # the same pass as iimm


def made_up(seed: int, images: int, classes: int, size: int) -> dict[str, Any]:
    """Return embeddings (N, D) and captions (C, D) in float32, and labels (N,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    texts = rng.standard_normal((classes, size), dtype=np.float32)
    embeddings = 0.5 * texts[labels] + rng.standard_normal((images, size), dtype=np.float32)
    return {"images": embeddings, "texts": texts, "labels": labels}


def iimm(settings: Settings) -> list[Row]:
    """Return the row of IIMM with all its parts."""
    from unseen.transfer import iimm as measure

    size = _size_of_iimm(settings)
    task = made_up(settings.seed, *size)
    took = in_turns("iimm", settings.rounds, {"ours": lambda: seconds(lambda: measure(**task))})
    return [Row("iimm", f"IIMM and its parts of {_words(size)}", took["ours"], target=settings.target(1.0))]


def iimm_memory(settings: Settings) -> list[Row]:
    """Return by how many MB the peak of a fresh process rises above what it holds before."""
    size = _size_of_iimm(settings)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        grown = pool.apply(_growth, (settings.seed, size))
    what = f"how much memory IIMM and its parts take beyond their inputs, {_words(size)}"
    return [Row("iimm_memory", what, [grown], unit="MB", target=settings.target(300.0))]


def transfer_scores(settings: Settings) -> list[Row]:
    """Return a row for each score: its value alone, without interval and percentile."""
    from unseen.transfer import SCORES, score_all

    size = settings.pick((10_000, 100, 512), (2_000, 100, 512), (400, 4, 64))
    task = made_up(settings.seed, *size)
    rng = np.random.default_rng(settings.seed)
    chances = rng.dirichlet(np.ones(size[1]), size[0])
    sets = [rng.standard_normal((size[1], 1024)) for _ in range(3)]  # as CLIP ViT-g, GPT-2 and BERT give

    def score(name: str) -> Any:
        found = score_all(
            **task, probabilities=chances, label_embeddings=sets, names=[name], draws=0, seed=settings.seed
        )
        return found[name]

    names = [name for name in SCORES if name not in PARTS]
    sides = {name: lambda name=name: score(name).seconds for name in names}
    took = in_turns("transfer_scores", settings.rounds, sides)
    rows = []
    for name in names:
        most = min(size[0], SCORES[name].most_images or size[0])
        what = f"{SCORES[name].heading} of {_words((most, *size[1:]))}"
        rows.append(Row(f"transfer_scores/{name}", what, took[name]))
    return rows


def _size_of_iimm(settings: Settings) -> tuple[int, int, int]:
    full = (50_000, 1_000, 512)
    return settings.pick(full, full, (1_000, 10, 32))


def _words(size: tuple[int, int, int]) -> str:
    return f"{size[0]:,} × {size[2]} embeddings and {size[1]:,} classes, float32"


def _growth(seed: int, size: tuple[int, int, int]) -> float:
    from unseen.transfer import iimm as measure

    task = made_up(seed, *size)
    few = {name: values if name == "texts" else values[:100] for name, values in task.items()}
    measure(**few)  # libraries are loaded
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # drawing took more: a new peak from here
    before = _memory("VmRSS")
    measure(**task)
    return _memory("VmHWM") - before


def _memory(kind: str) -> float:
    """Return the process's memory now (VmRSS), or its peak since it was reset (VmHWM), in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024 / 1e6
