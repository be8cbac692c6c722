"""Expected calibration error: a worked example, torchmetrics, and confidences at the edges of bins."""

import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_calibration_error

from unseen.biases.calibration import CalibrationError
from unseen.biases.measure import Batch, Measure
from unseen.biases.measuring import Observations


def observed(measure: CalibrationError, probabilities: torch.Tensor, labels: list[int]) -> np.ndarray:
    images = torch.zeros(len(labels), 3, 1, 1)
    batch = Batch(images, torch.tensor(labels)[:, None], torch.arange(len(labels)))
    return measure.observe(lambda _: probabilities.log(), batch).double().numpy()


def test_worked_example() -> None:
    """Two bins: .4 wrong; .8 right, .7 wrong and .9 right. |.4 - 0| + |2.4 - 2| = .8, over four images: .2."""
    measure = CalibrationError(bins=2)
    assert isinstance(measure, Measure)
    probabilities = torch.tensor([[0.4, 0.3, 0.3], [0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.05, 0.9, 0.05]])
    numbers = observed(measure, probabilities, [1, 0, 2, 1])
    assert measure.columns == ("count_1", "count_2", "confidence_1", "confidence_2", "right_1", "right_2")
    expected = [[1, 0, 0.4, 0, 0, 0], [0, 1, 0, 0.8, 0, 1], [0, 1, 0, 0.7, 0, 0], [0, 1, 0, 0.9, 0, 1]]
    np.testing.assert_allclose(numbers, expected, atol=1e-6)
    assert measure.values(numbers.mean(axis=0)[None])["calibration_error"] == pytest.approx([0.2], abs=1e-6)


@pytest.mark.parametrize("bins", [15, 10, 1])
def test_agrees_with_torchmetrics(bins: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(500, 7, generator=generator)
    labels = logits.argmax(dim=1)
    labels[::3] = torch.randint(7, (len(labels[::3]),), generator=generator)
    measure = CalibrationError(bins)
    numbers = observed(measure, logits.softmax(dim=1), labels.tolist())
    assert (numbers[:, :bins].sum(axis=1) == 1).all()
    expected = multiclass_calibration_error(logits.softmax(dim=1), labels, 7, n_bins=bins)
    values = measure.values(np.stack([numbers.mean(axis=0), numbers[:100].mean(axis=0)]))["calibration_error"]
    first = multiclass_calibration_error(logits[:100].softmax(dim=1), labels[:100], 7, n_bins=bins)
    assert values == pytest.approx([float(expected), float(first)], abs=1e-6)


def test_a_confidence_at_an_edge_belongs_below_and_certainty_to_the_last_bin() -> None:
    measure = CalibrationError(bins=4)
    probabilities = torch.tensor([[0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    numbers = observed(measure, probabilities, [0, 0, 0])
    assert numbers[:, :4].argmax(axis=1).tolist() == [1, 3, 0]


def test_any_accepted_class_is_right() -> None:
    batch = Batch(torch.zeros(1, 3, 1, 1), torch.tensor([[0, 1]]), torch.arange(1))
    numbers = CalibrationError(bins=1).observe(lambda _: torch.tensor([[0.2, 0.8]]).log(), batch)
    assert numbers[0].tolist() == pytest.approx([1, 0.8, 1])


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="bins=0"):
        CalibrationError(bins=0)


def test_has_no_interval() -> None:
    observations = Observations(CalibrationError(), 200, "net")
    observations.add(torch.rand(200, 45, generator=torch.Generator().manual_seed(0)))
    found = observations.estimates(resamples=50)["calibration_error"]
    assert found.value > 0
    assert np.isnan([found.low, found.high]).all()
