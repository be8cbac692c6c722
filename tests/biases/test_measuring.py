"""Numbers of images are streamed, resumed and resampled alike for every measure."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom

from unseen.biases.measure import Array, Batch, Classifier, Measure
from unseen.biases.measuring import Observations, observe


@dataclass(frozen=True)
class Right:
    columns: tuple[str, ...] = ("right", "always")
    passes: int = 1
    needs_textures: bool = False

    def observe(self, classifier: Classifier, batch: Batch) -> torch.Tensor:
        right = batch.right(classifier(batch.images).argmax(dim=1)).float()
        return torch.stack([right, torch.ones_like(right)], dim=1)

    def values(self, means: Array) -> dict[str, Array]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"accuracy": means[:, 0] / means[:, 1], "undefined": means[:, 0] * np.nan}


def batch(labels: list[int], first: int = 0) -> Batch:
    images = torch.zeros(len(labels), 3, 2, 2)
    return Batch(images, torch.tensor(labels)[:, None], torch.arange(first, first + len(labels)))


def always_one(images: torch.Tensor) -> torch.Tensor:
    return torch.tensor([0.0, 1.0]).expand(len(images), 2)


def measured(labels: list[int]) -> Observations:
    observations = Observations(Right(), len(labels), "net")
    observe(observations, always_one, [batch(labels)])
    return observations


def test_measure_is_one() -> None:
    assert isinstance(Right(), Measure)


def test_means_and_values_of_hand_made_labels() -> None:
    observations = measured([1, 0, 1, 1])
    assert observations.finished
    assert observations.means() == {"right": 0.75, "always": 1.0}
    found = observations.estimates()
    assert (found["accuracy"].value, found["accuracy"].n) == (0.75, 4)
    assert np.isnan([found["undefined"].value, found["undefined"].low, found["undefined"].high]).all()


def test_interval_of_a_share_is_the_binomial_one() -> None:
    # the bootstrap distribution of a share of 60 in 100 is Binomial(100, .6) / 100
    found = measured([1] * 60 + [0] * 40).estimates(resamples=20_000)["accuracy"]
    low, high = binom.ppf([0.025, 0.975], 100, 0.6) / 100
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.0101)  # a count up or down


def test_one_image_has_a_value_and_no_interval() -> None:
    found = measured([1]).estimates()["accuracy"]
    assert found.value == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_any_of_several_accepted_classes_is_right_and_fillers_never_are() -> None:
    accepted = torch.tensor([[0, 1], [0, -1]])
    some = Batch(torch.zeros(2, 3, 2, 2), accepted, torch.arange(2))
    assert some.right(torch.tensor([1, 1])).tolist() == [True, False]
    assert some.right(torch.tensor([-2, -2])).tolist() == [False, False]


def test_goes_on_where_a_file_ends(tmp_path: Path) -> None:
    path = tmp_path / "right.npz"
    half = Observations(Right(), 4, "net")
    half.add(Right().observe(always_one, batch([1, 0])))
    np.savez(path, **half.arrays())  # type: ignore[arg-type]
    rest = Observations(Right(), 4, "net")
    rest.continue_from(path)
    assert rest.done == 2
    observe(rest, always_one, [batch([1, 1], first=2)])
    np.testing.assert_array_equal(rest.numbers, measured([1, 0, 1, 1]).numbers)


@pytest.mark.parametrize("change", ["identity", "size", "columns", "damage"])
def test_file_of_something_else_is_not_continued(tmp_path: Path, change: str) -> None:
    path = tmp_path / "right.npz"
    np.savez(path, **measured([1, 0]).arrays())  # type: ignore[arg-type]
    if change == "damage":
        path.write_bytes(path.read_bytes()[:200])
    measure = Right(columns=("right", "other")) if change == "columns" else Right()
    fresh = Observations(measure, 3 if change == "size" else 2, "another" if change == "identity" else "net")
    fresh.continue_from(path)
    assert fresh.done == 0


def test_outputs_that_are_not_finite_are_refused() -> None:
    @dataclass(frozen=True)
    class Broken(Right):
        def observe(self, classifier: Classifier, batch: Batch) -> torch.Tensor:
            return torch.full((len(batch.images), 2), torch.nan)

    with pytest.raises(ValueError, match="not finite"):
        observe(Observations(Broken(), 1, "net"), always_one, [batch([1])])
