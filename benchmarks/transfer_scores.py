"""Time and memory of transfer scores: iimm and its parts, and each score at the sizes of two tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Row, Settings, in_fresh_process, in_turns, memory, report, seconds
from unseen.transfer import SCORES
from unseen.transfer.task import Task

PARTS = {"inter", "intra", "correct", "inter_text", "gap"}  # the same pass as iimm
TINY, MIDDLE, LARGE = (400, 4, 64), (10_000, 100, 512), (50_000, 1_000, 512)  # images, classes, dimensions


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
    return [
        Row(
            "iimm",
            f"IIMM and its parts of {_words(size)}, float32",
            took["ours"],
            target=settings.target(1.0),
        )
    ]


def iimm_memory(settings: Settings) -> list[Row]:
    """Return by how many MB the peak of a fresh process rises above what it holds before."""
    size = _size_of_iimm(settings)
    grown = in_fresh_process(_growth_of_iimm, settings.seed, size)
    what = f"how much memory IIMM and its parts take beyond their inputs, {_words(size)}, float32"
    return [Row("iimm_memory", what, [grown], unit="MB", target=settings.target(300.0))]


def transfer_scores(settings: Settings) -> list[Row]:
    """Return a row for each score: its value alone, without interval and percentile."""
    return _timed("transfer_scores", settings, settings.pick(MIDDLE, (2_000, 100, 512), TINY))


def transfer_scores_large(settings: Settings) -> list[Row]:
    """Return the same at the size of ImageNet's validation images."""
    return _timed("transfer_scores_large", settings, settings.pick(LARGE, (2_000, 100, 512), TINY))


def transfer_memory(settings: Settings) -> list[Row]:
    """Return for each score by how many MB the peak of a fresh process rises above what it holds before."""
    return _weighed("transfer_memory", settings, settings.pick(MIDDLE, (2_000, 100, 512), TINY))


def transfer_memory_large(settings: Settings) -> list[Row]:
    """Return the same at the size of ImageNet's validation images."""
    return _weighed("transfer_memory_large", settings, settings.pick(LARGE, (2_000, 100, 512), TINY))


def _timed(row: str, settings: Settings, size: tuple[int, int, int]) -> list[Row]:
    from unseen.transfer.scoring import score_task

    task = _task(settings.seed, size)
    sides = {
        name: lambda name=name: score_task(task, [name], 0, settings.seed)[name].seconds
        for name in _names(size)
    }
    took = in_turns(row, settings.rounds, sides)
    return [
        Row(f"{row}/{name}", f"{SCORES[name].heading} of {_words_of(name, size)}", took[name])
        for name in sides
    ]


def _weighed(row: str, settings: Settings, size: tuple[int, int, int]) -> list[Row]:
    rows = []
    for name in _names(size):
        grown = in_fresh_process(_growth_of, name, settings.seed, size)
        report(f"{row}, {name}: {grown:.3g} MB")
        what = f"memory that {SCORES[name].heading} takes beyond unit embeddings in float64, {_words_of(name, size)}"
        rows.append(Row(f"{row}/{name}", what, [grown], unit="MB"))
    return rows


def _names(size: tuple[int, int, int]) -> list[str]:
    """Return all but the parts; NLEEP takes too few images for many classes and would have no value."""
    few = min(size[0], SCORES["nleep"].most_images or size[0]) < 10 * size[1]
    return [name for name in SCORES if name not in PARTS and not (few and name == "nleep")]


def _task(seed: int, size: tuple[int, int, int]) -> Task:
    """Return made-up input of all scores, as `score_all` holds it."""
    given = made_up(seed, *size)
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet(np.ones(size[1]), size[0])
    sets = [rng.standard_normal((size[1], 1024)) for _ in range(3)]  # as CLIP ViT-g, GPT-2 and BERT give
    return Task.checked(**given, probabilities=chances, label_embeddings=sets)


def _words_of(name: str, size: tuple[int, int, int]) -> str:
    return _words((min(size[0], SCORES[name].most_images or size[0]), *size[1:]))


def _growth_of(name: str, seed: int, size: tuple[int, int, int]) -> float:
    from unseen.transfer.scoring import score_task

    task = _task(seed, size)
    score_task(_task(seed, TINY), [name], 0, seed)  # libraries are loaded
    return _growth(lambda: score_task(task, [name], 0, seed))


def _size_of_iimm(settings: Settings) -> tuple[int, int, int]:
    return settings.pick(LARGE, LARGE, (1_000, 10, 32))


def _words(size: tuple[int, int, int]) -> str:
    return f"{size[0]:,} × {size[2]} embeddings and {size[1]:,} classes"


def _growth_of_iimm(seed: int, size: tuple[int, int, int]) -> float:
    from unseen.transfer import iimm as measure

    task = made_up(seed, *size)
    few = {name: values if name == "texts" else values[:100] for name, values in task.items()}
    measure(**few)  # libraries are loaded
    return _growth(lambda: measure(**task))


def _growth(call: Callable[[], object]) -> float:
    """Return by how many MB the peak during a call is above what the process holds before it."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # drawing took more: a new peak from here
    before = memory("VmRSS")
    call()
    return memory("VmHWM") - before
