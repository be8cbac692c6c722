"""What a run of biases.py keeps of a measure for comparisons of networks is read again by the report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unseen.biases.calibration import CalibrationError
from unseen.biases.color import ColorDependence
from unseen.biases.measure import Measure
from unseen.biases.measuring import Observations
from unseen.image_sets.samples import Samples
from unseen.reporting.biases.differences import _read
from unseen.runs.biases.parts import Task
from unseen.runs.biases.run import _save_resamples


@pytest.mark.parametrize(
    ("measure", "names"), [(CalibrationError(), []), (ColorDependence(), ["color_dependence"])]
)
def test_a_measure_that_is_not_resampled_has_no_names(
    measure: Measure, names: list[str], tmp_path: Path
) -> None:
    (images,) = Samples().open("samples")
    observations = Observations(measure, len(images), "network")
    observations.add(torch.ones(len(images), len(measure.columns)))
    resamples, seen = tmp_path / "resamples.npz", tmp_path / "observations.npz"
    with resamples.open("wb") as file:
        _save_resamples(Task("measure", measure, images), observations, file)
    np.savez(seen, **observations.arrays())  # type: ignore[arg-type]
    found = _read(resamples, seen)
    assert list(found.values) == names
    assert found.measure == repr(measure)
    assert found.numbers.shape == (len(images), len(measure.columns))
