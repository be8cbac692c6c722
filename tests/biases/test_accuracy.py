"""Accuracy: any accepted class is right."""

import numpy as np
import torch

from unseen.biases.accuracy import Accuracy
from unseen.biases.measure import Batch, Measure


def test_any_accepted_class_is_right() -> None:
    measure = Accuracy()
    assert isinstance(measure, Measure)
    scores = torch.tensor([[0.1, 0.9, 0], [0.8, 0.2, 0], [0.3, 0.2, 0.5]])  # decides 1, 0, 2
    accepted = torch.tensor([[0, 1], [0, -1], [1, -1]])
    images = torch.zeros(3, 3, 2, 2)
    seen = measure.observe(lambda _: scores, Batch(images, accepted, torch.arange(3)))
    assert seen.tolist() == [[1], [1], [0]]
    assert measure.values(np.array([[2 / 3], [0.5]]))["accuracy"].tolist() == [2 / 3, 0.5]
