"""The embeddings behind reference.json, made again from each set's parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
SETS = [name for name in REFERENCE if name.startswith("set")]
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReferenceTask:
    """Unit image embeddings (N, D), unit caption embeddings (C, D), labels (N,), and the values they must have."""

    images: Array
    texts: Array
    labels: npt.NDArray[np.int64]
    values: dict[str, float]


def made(
    seed: int, C: int, D: int, N: int, signal: float, noise: float, i_shift: float, t_shift: float, imbalanced: bool  # noqa: N803
) -> tuple[Array, Array, npt.NDArray[np.int64]]:  # fmt: skip
    rng = np.random.default_rng(seed)
    texts = unit(rng.normal(size=(C, D)) + t_shift * rng.normal(size=(1, D)))
    labels = np.minimum(rng.integers(0, C, N), rng.integers(0, C, N)) if imbalanced else np.arange(N) % C
    images = unit(
        signal * np.sqrt(D) * texts[labels]
        + i_shift * rng.normal(size=(1, D))
        + noise * rng.normal(size=(N, D))
    )
    return images, texts, labels


def unit(rows: Array) -> Array:
    length: Array = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / length


def reference_task(name: str) -> ReferenceTask:
    entry: dict[str, Any] = REFERENCE[name]
    images, texts, labels = made(**entry["params"])
    checks = entry["checksum"]
    assert images[0, 0] == pytest.approx(checks["X00"], abs=1e-12)
    assert images.sum() == pytest.approx(checks["Xsum"], abs=1e-9)
    assert labels.sum() == checks["ysum"]
    return ReferenceTask(images, texts, labels, entry["values"])


@pytest.fixture(params=SETS)
def task(request: pytest.FixtureRequest) -> ReferenceTask:
    return reference_task(request.param)


@pytest.fixture
def small() -> ReferenceTask:
    """Three classes of uneven size: 301 images in 16 dimensions."""
    return reference_task("set3")
