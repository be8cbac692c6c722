"""Numbers of images are streamed, resumed and resampled alike for every measure."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binom

from unseen.biases.accuracy import Accuracy
from unseen.biases.measure import Array, Batch, Classifier, Measure
from unseen.biases.measuring import Estimate, Observations, _units, observe
from unseen.biases.receptive_field import ReceptiveField


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


def accuracy(right: int, wrong: int, resamples: int = 20_000) -> Estimate:
    observations = Observations(Accuracy(), right + wrong, "net")
    observations.add(torch.tensor([[1.0]] * right + [[0.0]] * wrong))
    return observations.estimates(resamples=resamples)["accuracy"]


def test_interval_of_a_share_is_the_binomial_one() -> None:
    # one image that is right and one that is wrong are added: resamples are Binomial(102, 61 / 102) / 102
    found = accuracy(60, 40)
    assert found.value == pytest.approx(0.6)
    low, high = binom.ppf([0.025, 0.975], 102, 61 / 102) / 102
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.01 / 102)  # a count up or down


def test_share_of_none_and_of_all_has_an_interval() -> None:
    # Binomial(102, 1 / 102): P(0) is .37; P(k > 2) is .08 and P(k > 3) is .019
    none, every = accuracy(0, 100), accuracy(100, 0)
    assert (none.value, none.low, none.high) == pytest.approx((0, 0, 3 / 102))
    assert (every.value, every.low, every.high) == pytest.approx((1, 99 / 102, 1))


def test_images_are_counted_by_kind_and_two_are_added() -> None:
    # half an image each: right or wrong in the first column, and in all others
    units = _units(np.array([[1.0, 1, 0], [0, 0, 0], [1, 1, 0]]), None)
    assert units.sums.tolist() == [[0, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]]
    assert units.weights.tolist() == [1, 2, 0.5, 0.5, 0.5, 0.5]
    assert units.sizes.tolist() == [1] * 6
    assert units.mean == pytest.approx([3 / 5, 3 / 5, 1 / 5])


def test_nothing_is_added_to_numbers_that_are_not_right_or_wrong() -> None:
    units = _units(np.array([[0.5, 1], [0.25, 1], [0.5, 1]]), None)
    assert units.sums.tolist() == [[0.25, 1], [0.5, 1]]
    assert units.weights.tolist() == [1, 2]


def test_sources_are_drawn_with_all_their_images() -> None:
    units = _units(np.array([[0.5], [0.25], [1.0]]), np.array([7, 3, 7]))
    assert units.sums.tolist() == [[0.25], [1.5]]
    assert (units.sizes.tolist(), units.weights.tolist()) == ([1, 2], [1, 1])
    # twice the first, each once (half of the draws), twice the second: means .25, 1.75 / 3, .75
    means, counts = np.unique(units.means(4000, np.random.default_rng(0)), return_counts=True)
    assert means == pytest.approx([0.25, 1.75 / 3, 0.75])
    assert counts == pytest.approx([1000, 2000, 1000], abs=120)


def test_interval_of_shared_sources_is_that_of_the_sources() -> None:
    """40 shapes of 25 images that are all right or all wrong count like 40 images; each texture is of one."""
    numbers = np.repeat(np.arange(40) % 2, 25).astype(float)[:, None]
    sources = np.column_stack([np.repeat(np.arange(40), 25), np.arange(1000)])
    ends = []
    for which in (None, sources):
        observations = Observations(Accuracy(), len(numbers), "net", which)
        observations.add(torch.from_numpy(numbers))
        ends.append(observations.estimates(resamples=4000)["accuracy"])
    alone, shared = (estimate.high - estimate.low for estimate in ends)
    assert alone == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 1000), rel=0.06)
    assert shared == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 40 + 0.25 / 1000), rel=0.06)


def test_value_has_no_interval_if_its_measure_says_so() -> None:
    @dataclass(frozen=True)
    class Without(Right):
        without_interval: tuple[str, ...] = ("accuracy",)

    observations = Observations(Without(), 4, "net")
    observe(observations, always_one, [batch([1, 0, 1, 1])])
    found = observations.estimates()["accuracy"]
    assert found.value == 0.75
    assert np.isnan([found.low, found.high]).all()


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


@pytest.mark.parametrize("measure", [Accuracy(), ReceptiveField()])
@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_outputs_that_are_not_finite_are_refused(measure: Measure, wrong: float) -> None:
    """They have a largest one all the same: every image would be decided, and be right or wrong."""

    def classify(images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)) + torch.tensor([0.0, wrong, 0.0])

    with pytest.raises(ValueError, match="network's outputs are not finite"):
        observe(Observations(measure, 2, "net"), classify, [batch([1, 0])])


def test_a_gradient_that_is_not_finite_is_refused() -> None:
    def classify(images: torch.Tensor) -> torch.Tensor:
        return images.sqrt().mean(dim=(2, 3)) * torch.tensor([0.0, 1.0, 2.0])  # of 0: infinite, times 0: NaN

    with pytest.raises(ValueError, match=r"ReceptiveField.* not finite"):
        observe(Observations(ReceptiveField(), 1, "net"), classify, [batch([1])])


def test_numbers_that_are_not_finite_are_refused() -> None:
    @dataclass(frozen=True)
    class Broken(Right):
        def observe(self, classifier: Classifier, batch: Batch) -> torch.Tensor:
            return torch.full((len(batch.images), 2), torch.nan)

    with pytest.raises(ValueError, match="not finite"):
        observe(Observations(Broken(), 1, "net"), always_one, [batch([1])])


@pytest.mark.parametrize("sources", [None, np.arange(12).reshape(6, 2) % 3])
def test_resamples_of_two_networks_are_of_the_same_images(sources: np.ndarray | None) -> None:
    first, second = (Observations(Accuracy(), 6, name, sources) for name in "ab")
    first.numbers[:, 0] = [0.0, 0.5, 0.5, 0.9, 0.1, 0.3]
    second.numbers[:, 0] = 1 - first.numbers[:, 0]
    both = first.paired()["accuracy"] + second.paired()["accuracy"]
    np.testing.assert_allclose(both, 1)
    assert first.drawn == (6 if sources is None else 3)
