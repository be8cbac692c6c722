"""The corruptions that corrupt-tta makes otherwise, held to imagecorruptions, another port of ImageNet-C's code."""

import numpy as np
import pytest

from unseen.image_sets.imagenet_c import MADE, smeared

# Mean, SD, mean step between neighbours in a row and the pixel (100, 50), in 0..255, of what imagecorruptions 1.1.2
# (numpy 2.4.6, opencv 5.0.0.93) makes of `picture()` after np.random.seed(severity)
REFERENCE = {
    ("motion_blur", 1): (129.21, 66.68, 3.13, [71, 0, 99]),
    ("motion_blur", 3): (129.17, 63.08, 2.85, [76, 8, 101]),
    ("motion_blur", 5): (131.49, 61.78, 2.55, [91, 9, 106]),
    ("fog", 1): (130.96, 33.69, 1.36, [90, 61, 100]),
    ("fog", 3): (125.79, 39.67, 1.29, [93, 72, 100]),
    ("fog", 5): (120.80, 39.34, 1.50, [87, 69, 93]),
    ("snow", 1): (171.73, 60.41, 7.10, [93, 36, 113]),
    ("snow", 3): (196.98, 55.06, 7.70, [126, 76, 144]),
    ("snow", 5): (222.99, 42.62, 8.89, [119, 80, 133]),
    ("spatter", 1): (129.88, 67.28, 3.35, [72, 1, 98]),
    ("spatter", 2): (134.00, 68.26, 5.39, [72, 1, 98]),
    ("spatter", 3): (136.83, 68.40, 7.00, [72, 1, 98]),
    ("spatter", 4): (119.76, 68.09, 7.99, [72, 1, 98]),
    ("spatter", 5): (113.83, 68.25, 9.94, [72, 1, 98]),
}


def picture() -> np.ndarray:
    rows, columns = np.mgrid[:224, :224] / 224
    waves = np.stack([np.sin(20 * columns) * rows, np.cos(30 * rows * columns), columns - rows], axis=-1)
    return ((waves + 1) * 127).astype(np.uint8)


@pytest.mark.parametrize(("name", "severity"), REFERENCE)
def test_agrees_with_another_port(name: str, severity: int) -> None:
    legacy = np.random.RandomState(severity)  # the draws of the other port
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(severity)  # noqa: NPY002 -- fog draws from it
    image = (picture() / 255).astype(np.float32)
    found = (MADE[name](image, severity, legacy).clip(0, 1) * 255).astype(np.uint8).astype(float)  # type: ignore[arg-type]
    np.random.set_state(before)  # noqa: NPY002
    mean, spread, step, pixel = REFERENCE[name, severity]
    # the other port rounds flakes to 1/255, and repeats borders a little otherwise
    tolerance = 0.5 if name == "snow" else 0.02
    steps = np.abs(np.diff(found, axis=1)).mean()
    assert (found.mean(), found.std(), steps) == pytest.approx((mean, spread, step), abs=tolerance)
    assert np.abs(found[100, 50] - pixel).max() <= 1


def test_a_point_is_smeared_against_the_direction_with_fading_weights() -> None:
    """Each pixel looks ahead, so the point shows in those before it; 5 weights exp(-i^2 / 8)."""
    point = np.zeros((9, 9), np.float32)
    point[4, 6] = 1
    weights = np.exp(-(np.arange(5) ** 2) / 8)
    weights /= weights.sum()
    right, down = smeared(point, 2, 2, 0), smeared(point, 2, 2, 90)
    np.testing.assert_allclose(right[4, 6:1:-1], weights, atol=1e-6)
    np.testing.assert_allclose(down[4::-1, 6], weights, atol=1e-6)
    assert right.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(smeared(np.full((9, 9, 3), 0.4, np.float32), 20, 15, 30), 0.4, atol=1e-6)


def test_salt_and_pepper_replace_a_share_of_the_values() -> None:
    image = np.full((224, 224, 3), 0.4, np.float32)
    found = MADE["impulse_noise"](image, 5, np.random.default_rng(0))
    values, counts = np.unique(found, return_counts=True)
    assert values == pytest.approx([0, 0.4, 1])
    n = image.size
    assert counts[[0, 2]] == pytest.approx([0.135 * n] * 2, abs=5 * (0.135 * 0.865 * n) ** 0.5)


@pytest.mark.parametrize("name", MADE)
def test_a_severer_one_changes_more(name: str) -> None:
    image = (picture() / 255).astype(np.float32)
    changes = []
    for severity in (1, 2, 3, 4, 5):
        found = [MADE[name](image, severity, np.random.default_rng(draw)).clip(0, 1) for draw in range(5)]
        changes.append(np.mean([((some - image) ** 2).mean() for some in found]))
    assert np.all(np.diff(changes) > 0) or name in {"fog", "snow"}  # these trade thickness for detail
    assert changes[0] < changes[-1]
