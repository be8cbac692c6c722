"""All probes of several layers against the best plain way with scikit-learn and NumPy: `probe_suite`.

Ours scores more (chance level, ceiling, R-precision) and has the layers side by side; the other side takes one layer
after the other, with the number of BLAS threads that is fastest for the size.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Row, Settings, in_turns, run_child, seconds
from benchmarks.reference_flows import score_layer

# k-means may reach another optimum where rounding differs; scikit-learn's logistic regression stops earlier than ours,
# which decides single test samples otherwise.
TOLERANCES = {"nmi": 0.02, "nn1": 0.001, "nnk": 0.001, "linear_probe": 0.006}
Layers = list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]
Shape = tuple[int, int, int, int]  # N, D, C, layers


def probe_suite(settings: Settings) -> list[Row]:
    """Return the row of the papers' size: 13 x 2,500 x 768, 5 classes."""
    shape = settings.pick((2500, 768, 5, 13), (2500, 768, 5, 3), (200, 16, 5, 2))
    return [_against_scikit_learn(settings, "probe_suite", shape, threads=1)]


def probe_suite_large(settings: Settings) -> list[Row]:
    """Return time and memory at 3 x 20,000 x 768, 100 classes."""
    shape = settings.pick((20_000, 768, 100, 3), (3000, 768, 100, 1), (200, 16, 10, 1))
    row = _against_scikit_learn(settings, "probe_suite_large", shape, threads=None)
    return [row, _memory(settings, settings.pick(shape, (20_000, 768, 100, 1), shape))]


def probe_suite_cuda(settings: Settings) -> list[Row]:
    """Return seconds of 13 x 50,000 x 768, 100 classes, on the GPU; there is no other side."""
    import torch

    num_samples, _, num_classes, _ = shape = settings.pick(
        (50_000, 768, 100, 13), (50_000, 768, 100, 2), (500, 16, 10, 1)
    )
    layers = [
        (torch.from_numpy(x).cuda(), torch.from_numpy(y)) for x, y in made_up_layers(shape, settings.seed)
    ]
    k = num_samples // num_classes
    score_ours(layers[:1], k, "cuda")  # loads CUDA's libraries
    times = [seconds(lambda: score_ours(layers, k, "cuda")) for _ in range(settings.rounds)]
    return [Row("probe_suite_cuda", f"all probes of {_words(shape)}, on the GPU", times)]


def _words(shape: Shape) -> str:
    return "{3} × {0:,} × {1}, {2} classes".format(*shape)


def score_ours(layers: object, k: int, device: str) -> list[dict[str, float]]:
    """Return the scores of all layers, found side by side."""
    from unseen.probes import ProbePool, ProbeSuite

    suite = ProbeSuite(n_init=1, k=k)
    with ProbePool(device) as pool:
        return [scores.result() for scores in [pool.submit(*layer, suite) for layer in layers]]  # type: ignore[attr-defined]


def _against_scikit_learn(settings: Settings, name: str, shape: Shape, *, threads: int | None) -> Row:
    from threadpoolctl import threadpool_limits

    settings.report(f"{name}: making embeddings")
    layers = made_up_layers(shape, settings.seed)
    k = -(-shape[0] // shape[2])  # the size of a class, as in the papers
    found: dict[str, list[dict[str, float]]] = {}

    def ours() -> None:
        found["ours"] = score_ours(layers, k, "cpu")

    def reference() -> None:
        with threadpool_limits(threads):
            found["reference"] = [score_layer(features, labels, k=k) for features, labels in layers]

    few = [(features[: 20 * shape[2]], labels[: 20 * shape[2]]) for features, labels in layers[:1]]
    score_ours(few, 5, "cpu")  # libraries are loaded
    score_layer(*few[0], k=5)
    sides = {"ours": lambda: seconds(ours), "reference": lambda: seconds(reference)}
    took = in_turns(sides, settings.rounds, settings.report, name)
    what = f"all probes of {_words(shape)}, against scikit-learn on centred float32 features and NumPy's neighbours, "
    what += f"{threads or 'all'} BLAS threads"
    check = compare(found["ours"], found["reference"], shape[0])
    return Row(
        name,
        what,
        took["ours"],
        took["reference"],
        target=1.0 if settings.size == "full" else None,
        check=check,
    )


def compare(ours: list[dict[str, float]], theirs: list[dict[str, float]], num_samples: int) -> str:
    """Return whether all scores agree within the tolerance, and the largest differences over the layers, in words."""
    # three test samples of a fifth of all
    allowed = TOLERANCES | {"linear_probe": max(TOLERANCES["linear_probe"], 3 / (0.2 * num_samples))}
    largest = {
        probe: max(abs(a[probe] - b[probe]) for a, b in zip(ours, theirs, strict=True)) for probe in allowed
    }
    agree = all(largest[probe] <= allowed[probe] + 1e-9 for probe in allowed)
    values = ", ".join(f"{probe} {value:.4f}" for probe, value in largest.items())
    return f"scores {'agree' if agree else 'DIFFER'}, largest difference {values}"


# ------------------------------------------------------------------ memory
def _memory(settings: Settings, shape: Shape) -> Row:
    settings.report("probe_suite_large/memory: one run in a fresh process")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "memory"
        run_child(["-m", "benchmarks.probe_suites", *map(str, shape), str(settings.seed), str(out)])
        value = float(out.read_text(encoding="ascii"))
    what = f"most memory of our probes beyond the embeddings, {_words(shape)}, one fresh process"
    return Row("probe_suite_large/memory", what, [value], unit="GB", target=1.0)


def measure_memory(shape: Shape, seed: int) -> float:
    """Return by how many GB the probes raise the memory of this process (Linux)."""
    layers = made_up_layers(shape, seed)
    few = [(features[: 2 * shape[2]], labels[: 2 * shape[2]]) for features, labels in layers[:1]]
    score_ours(few, 1, "cpu")  # libraries are loaded
    Path("/proc/self/clear_refs").write_text(
        "5", encoding="ascii"
    )  # the high-water mark is what is resident now
    before = _resident("VmRSS")
    score_ours(layers, -(-shape[0] // shape[2]), "cpu")
    return _resident("VmHWM") - before


def _resident(key: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(float(line.split()[1]) / 2**20 for line in lines if line.startswith(key))


# ------------------------------------------------------------------ embeddings
def made_up_layers(shape: Shape, seed: int) -> Layers:
    """Return embeddings and labels of layers that separate the classes better and better."""
    num_samples, num_features, num_classes, num_layers = shape
    separations = np.linspace(*((1.3, 1.9) if num_classes <= 10 else (0.9, 1.2)), num_layers)
    return [
        made_up_embeddings(
            num_samples, num_features, num_classes, seed=seed + layer, separation=float(separation)
        )
        for layer, separation in enumerate(separations)
    ]


def made_up_embeddings(
    num_samples: int, num_features: int, num_classes: int, *, seed: int = 0, separation: float = 1.5
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return (N, D) float32 embeddings and (N,) labels, the classes equally large, as hard as a network's.

    The numbers are those of a pretrained EfficientNet-Lite0's middle and last layers on calligraphy: the standard
    deviation of the j-th principal direction falls as j^-0.75 from 10, and the mean is four times as long as the largest.
    A tenth of the samples lie between their own class and another one. Class centres are `separation` standard
    deviations apart along each of the leading 2 C directions.
    """
    rng = np.random.default_rng(seed)
    leading = min(num_features, 2 * num_classes)
    centres = np.zeros((num_classes, num_features))
    centres[:, :leading] = separation * rng.normal(size=(num_classes, leading))
    labels = np.arange(num_samples) % num_classes
    others = rng.integers(num_classes, size=num_samples)
    share = np.where(rng.random(num_samples) < 0.1, rng.uniform(0.3, 0.7, num_samples), 0.0)[:, None]
    points = (1 - share) * centres[labels] + share * centres[others]
    points += rng.normal(size=points.shape)
    points *= 10.0 * np.arange(1, num_features + 1) ** -0.75
    rotation, _ = np.linalg.qr(rng.normal(size=(num_features, num_features)))  # features mix the directions
    offset = rng.normal(size=num_features)
    points = points @ rotation + 40.0 * offset / np.linalg.norm(offset)
    return points.astype(np.float32), labels


if __name__ == "__main__":
    n, d, c, number_of_layers, first_seed = map(int, sys.argv[1:6])
    Path(sys.argv[6]).write_text(
        str(measure_memory((n, d, c, number_of_layers), first_seed)), encoding="ascii"
    )
