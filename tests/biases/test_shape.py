"""Shape bias: decisions counted by hand; scikit-learn's confusion matrix as the other opinion."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from unseen.biases import shape_bias
from unseen.biases.measure import Batch, Measure
from unseen.biases.shape import ShapeBias

#            for the shape x2, for the texture, for neither, no conflict
DECISIONS, SHAPES, TEXTURES = [0, 1, 2, 3, 4], [0, 1, 0, 1, 4], [5, 5, 2, 2, 4]


def one_hot(decisions: list[int]) -> torch.Tensor:
    """Images of 1 x 1 pixels whose first channel is the decision."""
    return torch.tensor(decisions, dtype=torch.float32)[:, None, None, None].expand(-1, 3, 1, 1)


def decide(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 6).float()


def batch(decisions: list[int], shapes: list[int], textures: list[int] | None) -> Batch:
    return Batch(
        one_hot(decisions),
        torch.tensor(shapes)[:, None],
        torch.arange(len(shapes)),
        None if textures is None else torch.tensor(textures),
    )


@pytest.mark.parametrize(
    "convert", [list, tuple, np.array, torch.tensor, lambda x: [f"class {i}" for i in x]]
)
def test_shape_over_shape_and_texture(convert) -> None:
    assert shape_bias(convert(DECISIONS), convert(SHAPES), convert(TEXTURES)) == 2 / 3


def test_names_of_a_table() -> None:
    names = [np.array([f"class {i}" for i in part], dtype=object) for part in (DECISIONS, SHAPES, TEXTURES)]
    assert shape_bias(*names) == 2 / 3


def test_equal_classes_are_left_out_and_nothing_counted_is_nan() -> None:
    assert math.isnan(shape_bias([4], [4], [4]))
    assert math.isnan(shape_bias([3], [1], [2]))
    assert math.isnan(shape_bias([], [], []))
    assert shape_bias([1, 1], [1, 2], [2, 1]) == 0.5


def test_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    decisions, shapes, textures = rng.integers(0, 16, (3, 1280))
    conflict = shapes != textures

    def hits(classes: NDArray[np.int64]) -> int:
        return int(np.trace(confusion_matrix(classes[conflict], decisions[conflict], labels=range(16))))

    expected = hits(shapes) / (hits(shapes) + hits(textures))
    assert shape_bias(decisions, shapes, textures) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0], [0, 1], [1, 0]), "1 decisions, 2 shapes and 2 textures"),
        ((["cat"], [1], [0]), "all class numbers or all class names"),
        (
            ([[0.1, 0.9]], [1], [0]),
            r"decisions must be one class an image, \(N,\), not an array of shape \(1, 2\)",
        ),
        (([0.5], [1], [0]), "decisions must be class numbers or class names, not float64"),
    ],
)
def test_what_cannot_be_counted_is_named(arguments, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shape_bias(*arguments)


def test_the_measure_says_what_the_function_says() -> None:
    measure = ShapeBias()
    assert isinstance(measure, Measure)
    assert measure.needs_textures
    seen = measure.observe(decide, batch(DECISIONS, SHAPES, TEXTURES))
    assert seen.tolist() == [[1, 0], [1, 0], [0, 1], [0, 0], [0, 0]]
    means = np.stack([seen.double().mean(dim=0).numpy(), np.zeros(2)])
    assert measure.values(means)["shape_bias"] == pytest.approx([2 / 3, math.nan], nan_ok=True)


def test_a_set_without_textures_is_refused() -> None:
    with pytest.raises(ValueError, match="has no textures"):
        ShapeBias().observe(decide, batch(DECISIONS, SHAPES, None))
