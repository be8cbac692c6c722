"""`import unseen` is enough for the measures of networks and of tasks."""

import subprocess
import sys

import pytest
import torch

import unseen


def test_measures_are_found_when_they_are_used() -> None:
    code = (
        "import sys, unseen; assert 'torch' not in sys.modules; "
        "print(unseen.biases.shape_bias([0, 1], [0, 0], [1, 1]), "
        "unseen.transfer.iimm([[1, 0], [2, 0], [0, 1]], [[1, 0], [0, 1]], [0, 0, 1]).inter)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.5", "0.0"]


def test_a_filter_of_a_single_image() -> None:
    image = torch.full((3, 8, 8), 0.25)
    torch.testing.assert_close(unseen.biases.low_pass(image, 0.5), image)


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(AttributeError, match="biases, transfer"):
        unseen.bias  # noqa: B018
