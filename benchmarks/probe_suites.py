"""All probes of several layers against the best plain way with scikit-learn and NumPy: probe_suite, probe_suite_large.

Ours scores more (chance level, ceiling, R-precision) and has the layers side by side; the other side takes one layer
after the other, with the number of BLAS threads that is fastest for the size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Row, Settings, in_turns, report, seconds
from benchmarks.reference_flows import score_layer

# k-means may reach another optimum where rounding differs; scikit-learn's logistic regression stops earlier than ours,
# which decides single test samples otherwise.
TOLERANCES = {"nmi": 0.02, "nn1": 0.001, "nnk": 0.001, "linear_probe": 0.006}
Layer = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]
Shape = tuple[int, int, int, int]  # N, D, C, layers


def probe_suite(settings: Settings) -> list[Row]:
    """Return the row of the papers' size."""
    shape = settings.pick((2500, 768, 5, 13), (2500, 768, 5, 3), (200, 16, 5, 2))
    return [_against_scikit_learn(settings, "probe_suite", shape, threads=1)]


def probe_suite_large(settings: Settings) -> list[Row]:
    """Return the row of a large set with many classes."""
    shape = settings.pick((20_000, 768, 100, 3), (3000, 768, 100, 1), (200, 16, 10, 1))
    return [_against_scikit_learn(settings, "probe_suite_large", shape, threads=None)]


def probe_suite_cuda(settings: Settings) -> list[Row]:
    """Return seconds on the GPU; there is no other side."""
    import torch

    shape = settings.pick((50_000, 768, 100, 13), (50_000, 768, 100, 2), (500, 16, 10, 1))
    layers = [(torch.from_numpy(x).cuda(), y) for x, y in made_up_layers(shape, settings.seed)]
    score_ours(layers[:1], shape, "cuda")  # loads CUDA's libraries
    times = [seconds(lambda: score_ours(layers, shape, "cuda")) for _ in range(settings.rounds)]
    return [Row("probe_suite_cuda", f"all probes of {_words(shape)} on the GPU", times)]


def _words(shape: Shape) -> str:
    return "{3} × {0:,} × {1}, {2} classes,".format(*shape)


def _neighbours(shape: Shape) -> int:
    return -(-shape[0] // shape[2])  # the size of a class, as in the papers


def score_ours(layers: Sequence[Any], shape: Shape, device: str = "cpu") -> list[dict[str, float]]:
    """Return the scores of all layers, found side by side."""
    from unseen.probes import ProbePool, ProbeSuite

    suite = ProbeSuite(n_init=1, k=_neighbours(shape))
    with ProbePool(device) as pool:
        return [scores.result() for scores in [pool.submit(*layer, suite) for layer in layers]]


def _against_scikit_learn(settings: Settings, name: str, shape: Shape, *, threads: int | None) -> Row:
    from threadpoolctl import threadpool_limits

    report(f"{name}: making embeddings")
    layers = made_up_layers(shape, settings.seed)
    found: dict[str, list[dict[str, float]]] = {}

    def ours() -> None:
        found["ours"] = score_ours(layers, shape)

    def reference() -> None:
        with threadpool_limits(threads):
            found["reference"] = [score_layer(*layer, k=_neighbours(shape)) for layer in layers]

    small = (20 * shape[2], *shape[1:3], 1)
    score_ours(made_up_layers(small, 0), small)  # libraries are loaded
    score_layer(*made_up_layers(small, 0)[0], k=5)
    sides = {"ours": lambda: seconds(ours), "reference": lambda: seconds(reference)}
    took = in_turns(name, settings.rounds, sides)
    what = f"all probes of {_words(shape)} against scikit-learn and NumPy on centred features, {threads or 'all'} BLAS threads"
    check = compare(found["ours"], found["reference"], shape[0])
    return Row(name, what, *took.values(), target=settings.target(1.0), check=check)


def compare(ours: list[dict[str, float]], theirs: list[dict[str, float]], num_samples: int) -> str:
    """Return whether all scores agree within the tolerance, and the largest differences over the layers."""
    # three test samples, of a fifth of all
    allowed = TOLERANCES | {"linear_probe": max(TOLERANCES["linear_probe"], 3 / (0.2 * num_samples))}
    largest = {
        probe: max(abs(a[probe] - b[probe]) for a, b in zip(ours, theirs, strict=True)) for probe in allowed
    }
    agree = all(largest[probe] <= allowed[probe] + 1e-9 for probe in allowed)
    values = ", ".join(f"{probe} {value:.4f}" for probe, value in largest.items())
    return f"scores {'agree' if agree else 'DIFFER'}, largest difference {values}"


def made_up_layers(shape: Shape, seed: int) -> list[Layer]:
    """Return embeddings and labels of layers that separate the classes better and better."""
    separations = np.linspace(*((1.3, 1.9) if shape[2] <= 10 else (0.9, 1.2)), shape[3])
    return [
        made_up_embeddings(*shape[:3], seed=seed + i, separation=value) for i, value in enumerate(separations)
    ]


def made_up_embeddings(
    num_samples: int, num_features: int, num_classes: int, *, seed: int = 0, separation: float = 1.5
) -> Layer:
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
