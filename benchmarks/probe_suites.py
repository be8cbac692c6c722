"""Probes against scikit-learn: `probe_suite` and `probe_suite_large`."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks.children import run_child
from benchmarks.embeddings import made_up_embeddings
from benchmarks.floors import suite_flops
from benchmarks.reference_probes import PROBES, score_layer
from benchmarks.rows import Row, paired
from benchmarks.setting import Setting
from benchmarks.timing import alternate, spread, timed
from unseen.probes import ProbePool, ProbeSuite, run_probes

# k-means may fall into another optimum where rounding differs.
TOLERANCES = {"nmi": 0.02, "nn1": 0.001, "nnk": 0.001, "linear_probe": 0.006}
# Test samples that the linear probes may judge differently: scikit-learn's stops further from the optimum.
TEST_SAMPLES = 3

Layers = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]


def make_layers(num_samples: int, num_features: int, num_classes: int, num_layers: int) -> Layers:
    """Return embeddings and labels of layers that separate the classes better and better."""
    few = num_classes <= 10
    low, high = (1.3, 1.9) if few else (0.9, 1.2)
    return [
        made_up_embeddings(num_samples, num_features, num_classes, seed=layer, separation=float(separation))
        for layer, separation in enumerate(np.linspace(low, high, num_layers))
    ]


def neighbours_of(num_samples: int, num_classes: int) -> int:
    """Return k: the size of a class, as the papers take it."""
    return -(-num_samples // num_classes)


def compare(
    ours: list[dict[str, float]], theirs: list[dict[str, float]], *, num_samples: int
) -> dict[str, Any]:
    """Return the largest difference of each probe over the layers, its tolerance, and whether all are within."""
    tolerance = dict(TOLERANCES)
    tolerance["linear_probe"] = max(tolerance["linear_probe"], TEST_SAMPLES / (0.2 * num_samples))
    largest = {
        probe: max(abs(mine[probe] - other[probe]) for mine, other in zip(ours, theirs, strict=True))
        for probe in PROBES
    }
    return {
        "ours": [{probe: round(scores[probe], 4) for probe in PROBES} for scores in ours],
        "reference": [{probe: round(scores[probe], 4) for probe in PROBES} for scores in theirs],
        "largest_difference": largest,
        "tolerance": tolerance,
        "equal": all(largest[probe] <= tolerance[probe] + 1e-9 for probe in PROBES),
    }


def probe_suite(setting: Setting) -> list[Row]:
    """Return the row of the papers' size."""
    return [_timed_row(setting, "probe_suite", setting.size.suite, of_layers=13, threads=1)]


def probe_suite_large(setting: Setting) -> list[Row]:
    """Return time and memory of a large set with many classes."""
    rows = [_timed_row(setting, "probe_suite_large", setting.size.large, of_layers=3, threads=None)]
    if setting.size.name == "default":
        rows[0].notes.append(
            "a cut of 20,000 samples and three layers, of which five pairs do not fit into ten minutes: --full measures them"
        )
    return [*rows, _memory_row(setting)]


def _timed_row(
    setting: Setting, name: str, shape: tuple[int, int, int, int], *, of_layers: int, threads: int | None
) -> Row:
    """Return a row; the reference has as many BLAS threads as it is fastest with (None: all)."""
    num_samples, num_features, num_classes, num_layers = shape
    setting.report(f"{name}: making embeddings")
    layers = make_layers(*shape)
    k = neighbours_of(num_samples, num_classes)
    suite = ProbeSuite(n_init=1, k=k)
    found: dict[str, list[dict[str, float]]] = {}

    def ours() -> None:
        with ProbePool("cpu") as pool:
            pending = [pool.submit(features, labels, suite) for features, labels in layers]
            found["ours"] = [scores.result() for scores in pending]

    def reference() -> None:
        with threadpool_limits(threads):
            found["reference"] = [score_layer(features, labels, k=k) for features, labels in layers]

    features, labels = layers[0]
    few = slice(0, 20 * num_classes)
    run_probes(features[few], labels[few], suite)  # threads and libraries are up
    score_layer(features[few], labels[few], k=5)
    pairs = alternate(
        timed(ours),
        timed(reference),
        pairs=setting.pairs,
        on_pair=setting.show_pair(name),
        go_on=setting.go_on,
    )
    scores = compare(found["ours"], found["reference"], num_samples=num_samples)
    notes = [
        "scores are equal within the tolerance: " if scores["equal"] else "scores DIFFER: ",
    ]
    notes[0] += ", ".join(
        f"{probe} {scores['largest_difference'][probe]:.4f} (allowed {scores['tolerance'][probe]:.4g})"
        for probe in PROBES
    )
    if num_layers < of_layers and setting.size.name == "default":
        notes.append(
            f"{num_layers} of {of_layers} layers; ours run side by side, so more layers favour us a little"
        )
    return paired(
        name,
        f"NMI (one start), NN@1, NN@{k}, linear probe on {num_layers} x {num_samples} x {num_features}, "
        f"{num_classes} classes, against scikit-learn and NumPy on centred features, "
        f"{threads or 'all'} BLAS threads",
        pairs,
        at_least=1.0,
        floor=setting.floors.matmul_seconds(num_layers * suite_flops(num_samples, num_features, num_classes)),
        details={"scores": scores},
        notes=notes,
    )


def _memory_row(setting: Setting) -> Row:
    shape = setting.size.large_memory
    num_samples, num_features, num_classes, num_layers = shape
    if not setting.go_on():
        reason = "no time was left; python benchmarks/run.py probe_suite_large measures it alone"
        return Row("probe_suite_large/memory", "", unit="GB", at_most=1.0, not_measured=reason)
    setting.report(
        f"probe_suite_large/memory: {num_layers} x {num_samples} x {num_features} in a fresh process"
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "memory.json"
        run_child(["-m", "benchmarks.probe_suites", *map(str, shape), str(out)])
        memory = json.loads(out.read_text(encoding="utf-8"))
    return Row(
        "probe_suite_large/memory",
        f"most memory of our probes beyond the embeddings, {num_layers} x {num_samples} x {num_features}, "
        f"{num_classes} classes",
        unit="GB",
        ours=spread([memory["beyond_gb"]]),
        at_most=1.0,
        needed=1,
        details=memory,
        notes=[
            "one run in a fresh process: the high-water mark less what was resident with the embeddings loaded"
        ],
    )


def measure_memory(shape: tuple[int, int, int, int]) -> dict[str, float]:
    """Return what our probes need beyond the embeddings of `shape`, in a process that does nothing else."""
    num_samples, _, num_classes, _ = shape
    layers = make_layers(*shape)
    few = slice(0, 2 * num_classes)
    suite = ProbeSuite(n_init=1, k=neighbours_of(num_samples, num_classes))
    run_probes(layers[0][0][few], layers[0][1][few], ProbeSuite(n_init=1, k=1))  # libraries are loaded
    before = _reset_peak()
    with ProbePool("cpu") as pool:
        for scores in [pool.submit(features, labels, suite) for features, labels in layers]:
            scores.result()
    peak = _peak()
    return {
        "beyond_gb": (peak - before) / 2**30,
        "resident_before_gb": before / 2**30,
        "peak_gb": peak / 2**30,
    }


def _reset_peak() -> float:
    """Set the high-water mark to what is resident now, where the system can; return the resident bytes."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _peak() -> float:
    return _status("VmHWM")


def _status(key: str) -> float:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(key):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Memory of our probes, in a process of its own.")
    parser.add_argument("shape", type=int, nargs=4, help="N D C layers")
    parser.add_argument("out", type=Path)
    settings = parser.parse_args()
    settings.out.write_text(json.dumps(measure_memory(tuple(settings.shape))), encoding="utf-8")
