"""Using the network leaves no trace."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from unseen.callbacks.preserve import preserve


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


@pytest.mark.parametrize("raises", [False, True])
def test_modes_and_random_states_come_back(raises: bool) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout())
    net.train()
    net[1].eval()  # a frozen batch norm must stay frozen
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    expected = draws()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)  # noqa: NPY002
    try:
        with preserve(net):
            assert not any(module.training for module in net.modules())
            draws()
            net(torch.randn(4, 2))
            if raises:
                raise RuntimeError
    except RuntimeError:
        pass
    assert [net.training, *(child.training for child in net)] == [True, True, False, True]
    assert draws() == expected
