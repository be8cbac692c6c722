"""Noise thresholds, the fitted band, and the measure made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from unseen.biases import critical_band
from unseen.biases.critical_bands import CriticalBand, CriticalBandNoise, thresholds
from unseen.biases.measure import Batch, Measure, right_under

NAMES = ("bandwidth", "center_frequency", "peak_noise_sensitivity")

# The 20 triples that the 48 networks of arXiv 2404.01509 have ("norm"), each with the one profile that gives it: found
# by fitting all 4,166 profiles of 0..4 that rise to a peak and fall from it.
PUBLISHED = {
    (1, 2, 3, 3, 4, 4, 3): (6.3529, 33.581, 0.92917),
    (0, 1, 2, 3, 4, 4, 3): (4.7385, 38.854, 1.0),
    (0, 0, 1, 2, 4, 4, 4): (4.4493, 61.210, 1.0),
    (0, 1, 2, 3, 4, 4, 4): (5.6663, 54.677, 1.0),
    (0, 0, 1, 3, 4, 4, 4): (4.6655, 54.894, 1.0),
    (0, 0, 1, 2, 4, 4, 3): (3.7088, 46.565, 1.0),
    (0, 0, 1, 3, 4, 4, 3): (3.9639, 42.092, 1.0),
    (0, 0, 1, 3, 3, 4, 3): (4.1387, 47.016, 0.90997),
    (0, 0, 1, 2, 3, 4, 3): (3.9182, 53.432, 0.86487),
    (0, 0, 2, 3, 4, 4, 3): (4.3344, 39.674, 1.0),
    (1, 2, 3, 3, 3, 3, 3): (7.4677, 32.633, 0.59784),
    (0, 0, 1, 3, 3, 3, 3): (4.4224, 45.570, 0.67282),
    (1, 2, 2, 2, 3, 3, 3): (10.4565, 114.495, 0.51675),
    (1, 2, 2, 3, 3, 3, 3): (7.9169, 45.715, 0.54985),
    (1, 2, 3, 3, 3, 4, 3): (7.3684, 39.187, 0.72607),
    (1, 2, 3, 3, 4, 4, 4): (7.8632, 58.202, 1.0),
    (0, 2, 3, 4, 4, 4, 4): (6.4489, 40.645, 1.0),
    (0, 1, 3, 4, 4, 4, 4): (5.9077, 41.854, 1.0),
    (0, 1, 2, 2, 3, 4, 3): (5.5127, 56.309, 0.71645),
    (0, 1, 2, 2, 3, 4, 2): (4.6683, 38.282, 0.63118),
}
# Fits made apart from this code, to more digits; of the last two, one is narrower than an octave.
REFERENCE = {
    (1, 2, 3, 4, 4, 4, 4): (7.343223995305165, 42.8217689748778, 0.9999999999999997),
    (2, 3, 4, 4, 4, 4, 4): (9.945504634340676, 34.69567591510733, 0.9999999999999997),
    (0, 0, 3, 4, 3, 0, 0): (2.3875007230881438, 13.99999997205972, 0.9999999999999997),
    (0, 0, 0, 2, 1, 0, 0): (0.8284258006873185, 18.656010637230114, 0.9999999920438296),
}


def triple(band: CriticalBand) -> tuple[float, float, float]:
    return band.bandwidth, band.center_frequency, band.peak_noise_sensitivity


# ------------------------------------------------------------------ the fit
@pytest.mark.parametrize("profile", PUBLISHED)
def test_the_published_triples(profile: tuple[int, ...]) -> None:
    assert triple(critical_band(profile)) == pytest.approx(PUBLISHED[profile], rel=2e-5)


@pytest.mark.parametrize("profile", REFERENCE)
def test_the_reference_fits(profile: tuple[int, ...]) -> None:
    assert triple(critical_band(profile)) == pytest.approx(REFERENCE[profile], rel=1e-6)


def test_a_bump_is_found_again() -> None:
    """Height 3 of 4, mean 3 and deviation 1.2: half sensitivity at 1.75 · 2³ = 14, 2 sqrt(ln 4) · 1.2 octaves wide."""
    profile = 3 * np.exp(-((np.arange(7) - 3) ** 2) / (2 * 1.2**2))
    expected = (2 * math.sqrt(math.log(4)) * 1.2, 14, 0.5)
    assert triple(critical_band(profile)) == pytest.approx(expected, rel=1e-6)
    small = critical_band(profile[1:], lowest_frequency=3.5, levels=3)  # without its lowest band
    assert triple(small) == pytest.approx((expected[0], 14, 1), rel=1e-4)  # the height is at its bound


@pytest.mark.parametrize("profile", [(0, 0, 0, 0, 4, 0, 0), (0, 0, 0, 1, 1, 0, 0)])
def test_a_bump_narrower_than_its_bands_has_any_width(profile: tuple[int, ...]) -> None:
    assert all(map(math.isnan, triple(critical_band(profile))))


@pytest.mark.parametrize("level", [0, 2, 4, math.nan])
def test_thresholds_that_are_all_the_same_have_no_band(level: float) -> None:
    assert all(map(math.isnan, triple(critical_band([level] * 7))))


def test_wrong_thresholds_get_one_sentence() -> None:
    with pytest.raises(ValueError, match="4 or more numbers, one for each band"):
        critical_band([1, 2, 3])
    with pytest.raises(ValueError, match="4 or more numbers, one for each band"):
        critical_band(np.zeros((2, 7)))
    for value in (5, -1):
        with pytest.raises(ValueError, match=f"number of noise levels, 0 to 4, not {value}"):
            critical_band([0, 1, value, 2, 1])


# ------------------------------------------------------------------ thresholds
def falling(seed: int) -> np.ndarray:
    """Accuracy (5, 7) in percent that falls with the noise, most about one band."""
    r = np.random.default_rng(seed)
    base, mean, deviation, peak = (
        r.uniform(45, 75),
        r.uniform(2.5, 5),
        r.uniform(1.0, 2.5),
        r.uniform(0.7, 1.0),
    )
    bump = np.exp(-((np.arange(7) - mean) ** 2) / (2 * deviation**2))
    return base * (1 - peak * bump * (np.arange(5)[:, None] / 4) ** 0.7)


def test_thresholds_have_the_reference_values() -> None:
    for seed, raw, norm in (
        (0, [0, 0, 3, 4, 3, 0, 0], [0, 0, 0, 2, 1, 0, 0]),
        (1, [0, 0, 0, 3, 4, 4, 4], [0, 0, 0, 0, 2, 3, 2]),
    ):
        accuracy = falling(seed)
        assert thresholds(accuracy, 50, relative=False).tolist() == raw
        assert thresholds(accuracy).tolist() == norm
        interpolated = thresholds(accuracy, interpolated=True)
        assert np.ceil(interpolated).tolist() == norm
    assert critical_band([0, 0, 0, 0, 2, 3, 2]).bandwidth == pytest.approx(
        2 * math.sqrt(math.log(4)) * 0.979485658628961
    )


def test_thresholds_by_hand() -> None:
    """Columns: all pass; no noisy row; none at all; the strongest although weaker ones do not; one on the threshold."""
    accuracy = np.array([
        [0.9, 0.9, 0.4, 0.9, 0.9],
        [0.8, 0.5, 0.3, 0.4, 0.7],
        [0.7, 0.4, 0.2, 0.3, 0.5],
        [0.6, 0.3, 0.1, 0.6, 0.4],
    ])  # fmt: skip
    assert thresholds(accuracy, relative=False).tolist() == [0, 3, 3, 0, 2]
    # 0.9 meets 0.5 where the weakest noise is; 0.7 meets 0.5 exactly at the middle noise
    found = thresholds(accuracy, relative=False, interpolated=True)
    assert found == pytest.approx([0, 2, 3, 0, 1])
    stacked = thresholds(np.stack([accuracy, accuracy * 100]), relative=True)
    assert stacked.shape == (2, 5)
    assert stacked[0].tolist() == stacked[1].tolist()


def test_interpolated_thresholds_move_with_the_accuracy() -> None:
    """One row falls through the threshold of 0.4 = half of 0.8; the level above it has 0.6, the level below 0.2."""
    rows = [[0.8], [0.7], [0.6], [0.0], [0.1]]
    found = []
    for third in (0.5, 0.41, 0.39, 0.3):
        rows[3] = [third]
        found.append(float(thresholds(rows, interpolated=True)[0]))
    # 4 - (row + part): 3 + 0.1 / 0.4, 3 + 0.01 / 0.31, 2 + 0.2 / 0.21, 2 + 0.2 / 0.3
    assert found == pytest.approx([0.75, 1 - 1 / 31, 2 - 20 / 21, 2 - 2 / 3])


def test_no_accuracy_no_threshold() -> None:
    assert np.isnan(thresholds(np.zeros((5, 7)))).all()
    assert thresholds(np.zeros((5, 7)), relative=False).tolist() == [4.0] * 7
    for wrong in (np.zeros((1, 7)), np.zeros(7), np.zeros((5, 0))):
        with pytest.raises(ValueError, match="accuracy must have two rows or more"):
            thresholds(wrong)


# ------------------------------------------------------------------ the measure
def batch(size: int, count: int = 6) -> Batch:
    images = torch.full((count, 3, size, size), 0.5)
    return Batch(images, torch.zeros(count, 1, dtype=torch.int64), torch.arange(count))


def disturbed_by_fine_noise(images: Tensor) -> Tensor:
    """Scores of class 0: neighbours are alike, class 1: they differ by more than 0.02 (root mean square)."""
    away = (images[..., 1:] - images[..., :-1]).square().mean(dim=(1, 2, 3)).sqrt()
    return torch.stack([0.02 - away, away - 0.02], dim=1)


def test_a_network_that_sees_edges_has_its_band_at_high_frequencies() -> None:
    measure = CriticalBandNoise(image_size=64)
    assert isinstance(measure, Measure)
    assert measure.passes == len(measure.columns) == 21
    assert measure.columns[:3] == ("noise_free", "noise_0.02_at_2", "noise_0.02_at_4")
    assert measure.columns[-1] == "noise_0.16_at_32"
    seen = measure.observe(disturbed_by_fine_noise, batch(64)).double()
    assert seen.shape == (6, 21)
    accuracy = seen[:, 1:].mean(dim=0).reshape(4, 5)
    assert bool((accuracy[1:] <= accuracy[:-1]).all())
    assert bool((accuracy[:, 1:] <= accuracy[:, :-1]).all())
    # Neighbours of the finest band differ by more than its strength, which is 0.943 of the deviation.
    assert accuracy[1:, -1].tolist() == [0, 0, 0]
    assert accuracy[:3, 0].tolist() == [1, 1, 1]
    values = measure.values(seen.mean(dim=0, keepdim=True).numpy())
    assert values["cb_center_frequency"][0] > 16
    assert values["cb_center_frequency_interpolated"][0] > 16


def test_values_are_the_fits_of_the_two_kinds_of_threshold() -> None:
    """Three resamples: one profile twice, and a network that is never right."""
    measure = CriticalBandNoise()
    assert measure.passes == 29
    accuracy = falling(0) / 100
    row = np.concatenate([accuracy[0, :1], accuracy[1:].ravel()])
    values = measure.values(np.stack([row, row, np.zeros(29)]))
    assert list(values) == [f"cb_{name}{end}" for end in ("", "_interpolated") for name in NAMES]
    for end, interpolated in (("", False), ("_interpolated", True)):
        expected = triple(critical_band(thresholds(accuracy, interpolated=interpolated)))
        for name, value in zip(NAMES, expected, strict=True):
            found = values[f"cb_{name}{end}"]
            assert found == pytest.approx([value, value, math.nan], nan_ok=True)


def test_other_norms_are_other_thresholds_of_the_same_accuracy() -> None:
    """Half of the accuracy on grey images, on images as they are (.9), and of 1; who is never right has none."""
    measure = CriticalBandNoise(norms=("grey", "colour", "none"))
    assert (measure.passes, measure.columns[-1]) == (30, "clean")
    accuracy = falling(0) / 100
    row = np.concatenate([accuracy[0, :1], accuracy[1:].ravel(), [0.9]])
    values = measure.values(np.stack([row, np.zeros(30)]))
    plain = CriticalBandNoise().values(row[None, :-1])
    assert {name: found[0] for name, found in values.items() if "norm" not in name} == {
        name: pytest.approx(found[0], nan_ok=True) for name, found in plain.items()
    }
    for norm, rows in (("colour", accuracy / 0.9), ("none", accuracy)):
        expected = triple(critical_band(thresholds(rows, relative=False, interpolated=True)))
        found = [values[f"cb_{name}_interpolated_norm_{norm}"] for name in NAMES]
        assert [one[0] for one in found] == pytest.approx(list(expected), nan_ok=True)
        assert all(np.isnan(one[1]) for one in found)


def test_the_condition_of_the_norm_is_the_images_as_they_are() -> None:
    measure = CriticalBandNoise(image_size=64, norms=("colour",))
    images = batch(64)
    seen = measure.observe(disturbed_by_fine_noise, images)
    assert seen.shape == (6, 22)
    alone = CriticalBandNoise(image_size=64).observe(disturbed_by_fine_noise, images)
    assert seen[:, :-1].tolist() == alone.tolist()
    assert (
        seen[:, -1].tolist() == right_under(disturbed_by_fine_noise, images, [images.images])[:, 0].tolist()
    )


def test_what_is_saved_of_the_published_norm_is_known_again() -> None:
    """The text is part of the identity of observations that runs of before have kept."""
    before = "CriticalBandNoise(image_size=224, deviations=(0.02, 0.04, 0.08, 0.16), seed=0)"
    assert repr(CriticalBandNoise()) == before
    assert repr(CriticalBandNoise(norms=("none",))) == before[:-1] + ", norms=('none',))"
    for wrong in ((), ("gray",), ("grey", "grey")):
        with pytest.raises(ValueError, match="norms must be some of grey, colour, none, each once"):
            CriticalBandNoise(norms=wrong)


def test_wrong_settings_get_one_sentence() -> None:
    with pytest.raises(
        ValueError, match="set to images of 224 × 224 px, and these have 64 × 64: set its image_size"
    ):
        CriticalBandNoise().observe(disturbed_by_fine_noise, batch(64))
    with pytest.raises(
        ValueError, match="needs 4 bands, which images of 20 px or more have; image_size is 16"
    ):
        CriticalBandNoise(image_size=16)
    for wrong in ((), (0.2, 0.1), (0.1, 0.1), (0.0, 0.1), (0.1, 2.0)):
        with pytest.raises(ValueError, match="deviations must be one or more rising numbers above 0"):
            CriticalBandNoise(deviations=wrong)
