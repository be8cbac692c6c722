"""Pruning: the smallest weights, all layers together, from the first step to the last."""

from typing import Any

import pytest
import torch
from torch import nn

from unseen.backbones.protocol import Backbone
from unseen.callbacks.magnitude_pruning import MagnitudePruning
from unseen.training import SeenClassifier

NOBODY: Any = None  # neither the trainer nor the batch is read


def module() -> SeenClassifier:
    network = nn.Sequential(
        nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(1, 4), nn.Linear(4, 3)
    )
    network[0].weight.data = torch.tensor([1.0, -6.0]).view(1, 2, 1, 1)
    network[3].weight.data = torch.tensor([[2.0], [-3.0], [0.5], [5.0]])
    network[4].weight.data.fill_(0.01)  # the head, the smallest of all
    network.to(memory_format=torch.channels_last)
    half = (0.5,) * 3
    return SeenClassifier(Backbone(network, (), num_classes=3, image_size=1, mean=half, std=half))


def pruned(made: SeenClassifier) -> list[list[float]]:
    network = made.backbone.network
    return [network[place].weight.flatten().tolist() for place in (0, 3)]


def test_the_smallest_of_all_layers_are_zero_and_stay_so() -> None:
    made = module()
    callback = MagnitudePruning(0.5)
    callback.on_train_start(NOBODY, made)
    assert pruned(made) == [[0, -6], [0, -3, 0, 5]]  # 0.5, 1 and 2 of the six
    assert (made.backbone.network[4].weight == 0.01).all()
    assert (made.backbone.network[1].weight == 1).all()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(1)  # an optimiser's step
    callback.on_train_batch_end(NOBODY, made, NOBODY, NOBODY, 0)
    assert pruned(made) == [[0, -5], [0, -2, 0, 6]]
    assert set(made.state_dict()) == set(module().state_dict())  # no masks

    resumed = module()
    resumed.load_state_dict(made.state_dict())
    again = MagnitudePruning(0.5)
    again.on_train_start(NOBODY, resumed)
    assert pruned(resumed) == pruned(made)
    again.on_train_batch_end(NOBODY, resumed, NOBODY, NOBODY, 0)
    assert pruned(resumed) == pruned(made)


@pytest.mark.parametrize("amount", [0, 1])
def test_another_share_is_refused(amount: float) -> None:
    with pytest.raises(ValueError, match=rf"amount={amount} must be between 0 and 1"):
        MagnitudePruning(amount)
