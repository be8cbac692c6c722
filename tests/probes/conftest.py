"""The data sets behind reference.json, each made by the one line that its `gen` entry gives."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.datasets import load_digits, make_blobs

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())


@dataclass(frozen=True)
class ReferenceCase:
    """Data and the values that the probes must give for them, with the tolerances."""

    embeddings: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    values: dict[str, Any]
    tolerances: dict[str, float]


def first_digits(classes: range, per_class: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    data, target = load_digits(return_X_y=True)
    chosen = np.concatenate([np.flatnonzero(target == digit)[:per_class] for digit in classes])
    return data[chosen] / 16, np.repeat(np.arange(len(classes)), per_class)


def reference_data(name: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    match name:
        case "blobs_500x16_c5_std3_rs0":
            return make_blobs(n_samples=500, n_features=16, centers=5, cluster_std=3.0, random_state=0)
        case "blobs_500x16_c5_std6_rs1":
            return make_blobs(n_samples=500, n_features=16, centers=5, cluster_std=6.0, random_state=1)
        case "blobs_imbalanced_rs2":
            return make_blobs(n_samples=[40, 80, 120, 160], n_features=8, cluster_std=5.0, random_state=2)
        case "digits_0to9_first100":
            return first_digits(range(10), 100)
        case "digits_5to9_first150":
            return first_digits(range(5, 10), 150)
        case _:
            raise ValueError(f"reference.json holds {name}, for which there is no generator here")


@pytest.fixture(params=sorted(REFERENCE["metrics"]))
def reference(request: pytest.FixtureRequest) -> ReferenceCase:
    embeddings, labels = reference_data(request.param)
    return ReferenceCase(
        embeddings, labels, REFERENCE["metrics"][request.param]["v"], REFERENCE["tolerances"]
    )


@pytest.fixture
def blobs() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Overlapping classes of uneven size, (90, 12) and (90,)."""
    embeddings, labels = make_blobs([20, 30, 40], n_features=12, cluster_std=6.0, random_state=3)
    return embeddings.astype(np.float32), labels
