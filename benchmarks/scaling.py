"""How costs grow: `scaling`. Exponents of time over N, D, C, layers and ranks, against the algorithm's own."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from sklearn.cluster import KMeans

from benchmarks.embeddings import made_up_embeddings
from benchmarks.rows import Row
from benchmarks.setting import Setting
from benchmarks.timing import fit_exponent, seconds
from unseen.distributed import ProcessGroup
from unseen.probes import ProbeSuite, kmeans_nmi, linear_probe_accuracy, neighbor_agreement, run_probes

STEPS = (1, 2, 4)
REPEATS = 3
RANKS = (1, 2, 4)
GATHERS = 5


def scaling(setting: Setting) -> list[Row]:
    """Return one row, whose details are the exponents."""
    n, d, c = setting.size.growth
    k, exponents = 50 if setting.size.name != "tiny" else 5, []
    suite = ProbeSuite(n_init=1, k=k)

    def kmeans(features: Any, labels: Any) -> Callable[[], object]:
        return lambda: kmeans_nmi(features, labels, n_init=1)

    def neighbours(features: Any, labels: Any) -> Callable[[], object]:
        return lambda: neighbor_agreement(features, labels, k=k)

    def linear(features: Any, labels: Any) -> Callable[[], object]:
        return lambda: linear_probe_accuracy(features, labels)

    for cost, task, grows, expected in (
        ("k-means, an iteration", kmeans, "N", 1),
        ("k-means, an iteration", kmeans, "D", 1),
        ("k-means, an iteration", kmeans, "C", 1),
        ("neighbours", neighbours, "N", 2),
        ("neighbours", neighbours, "D", 1),
        ("linear probe", linear, "N", 1),
        ("linear probe", linear, "D", 2),
        ("linear probe", linear, "C", 1),
    ):
        setting.report(f"scaling: {cost} over {grows}")
        sizes, times = [], []
        for step in STEPS:
            # k-means is cheap: at the others' sizes its fixed costs would hide how it grows
            least = {"N": 4 * n, "D": d, "C": 2 * c} if task is kmeans else {"N": n, "D": d, "C": c}
            shape = {name: 2 * number for name, number in least.items()} | {grows: least[grows] * step}
            features, labels = made_up_embeddings(shape["N"], shape["D"], shape["C"])
            iterations = _kmeans_iterations(features, shape["C"]) if task is kmeans else 1
            for _ in range(REPEATS):
                sizes.append(shape[grows])
                times.append(seconds(task(features, labels)) / iterations)
        exponents.append(_exponent(cost, grows, sizes, times, expected))

    setting.report("scaling: whole suite over layers")
    features, labels = made_up_embeddings(n, d, c)
    # equal ones: others would need other numbers of steps
    layers = [(features.copy(), labels) for _ in range(max(STEPS))]
    sizes, times = [], []
    for step in STEPS:
        for _ in range(REPEATS):
            sizes.append(step)
            times.append(seconds(lambda: [run_probes(*layer, suite) for layer in layers[:step]]))  # noqa: B023
    exponents.append(_exponent("whole suite", "layers", sizes, times, 1))

    alone = None
    if setting.size.name != "tiny":
        sizes, times = [], []
        for world in RANKS:
            setting.report(f"scaling: gather over {world} ranks")
            found = gather_cpu_seconds(world, num_rows=8 * n, num_features=768)
            if world == 1:  # a copy, nothing is sent: no part of the growth
                alone = float(np.median(found))
                continue
            sizes += [world] * len(found)
            times += found
        # all but the owner send: (W - 1) / W of the rows travel, and their number at the owner stays
        sent = math.log((1 - 1 / RANKS[-1]) / (1 - 1 / RANKS[1])) / math.log(RANKS[-1] / RANKS[1])
        exponents.append(
            _exponent(
                "gather of a fixed number of rows, CPU", "ranks (from two on)", sizes, times, round(sent, 2)
            )
        )
    return [
        Row(
            "scaling",
            f"exponents from N = {n}, D = {d}, C = {c} times {', '.join(map(str, STEPS))} (the others at twice the least)",
            details={"exponents": exponents, "gather_of_one_rank_cpu_seconds": alone},
            notes=[
                f"{fact['cost']} over {fact['size']}: {fact['exponent']:.2f} ± {fact['error']:.2f}, expected {fact['expected']}"
                for fact in exponents
            ],
        )
    ]


def _exponent(cost: str, size: str, sizes: list[int], times: list[float], expected: float) -> dict[str, Any]:
    fitted = fit_exponent(sizes, times)
    return {
        "cost": cost,
        "size": size,
        "exponent": fitted.value,
        "error": fitted.error,
        "expected": expected,
        "points": [[number, took] for number, took in zip(sizes, times, strict=True)],
    }


def _kmeans_iterations(features: Any, num_classes: int) -> int:
    """Return the iterations that the same k-means takes: their number is the data's, not the algorithm's."""
    return int(KMeans(num_classes, n_init=1, algorithm="lloyd", random_state=42).fit(features).n_iter_)


def gather_cpu_seconds(world: int, *, num_rows: int, num_features: int) -> list[float]:
    """Return CPU seconds, of all W gloo processes together, of gathers of (N, D) at one; without the first, a warm-up.

    CPU time, because more processes than cores take turns, and a wall clock would count the waiting.
    """
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_gather, (world, folder, num_rows, num_features), nprocs=world)
        by_rank = [json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).glob("times*.json")]
    assert len(by_rank) == world
    return [sum(times) for times in zip(*by_rank, strict=True)][1:]


def _gather(rank: int, world: int, folder: str, num_rows: int, num_features: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    group = ProcessGroup()
    indices = torch.arange(rank, num_rows, world)
    rows = torch.from_numpy(
        np.random.default_rng(rank).normal(size=(len(indices), num_features)).astype(np.float32)
    )
    times = []
    for _ in range(GATHERS + 1):
        dist.barrier()
        began = time.process_time()
        group.gather_rows(indices, rows, num_rows, owner=0)
        times.append(time.process_time() - began)
    (Path(folder) / f"times{rank}.json").write_text(json.dumps(times), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()
