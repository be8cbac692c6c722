"""Weight interpolation, and the penalty on leaving the start."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unseen.encoders.forgetting import L2ToInit, between, interpolated
from unseen.encoders.low_rank import LowRank, merge_low_rank


def made(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))  # with a counter, which is no real number


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Bit for bit: -0 is not 0."""
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name])
        and torch.equal(torch.signbit(one[name]), torch.signbit(other[name]))
        for name in one
    )


def test_the_ends_are_the_two_states_bit_for_bit() -> None:
    start, end = made(0).state_dict(), made(1).state_dict()
    start["0.bias"][:2], end["0.bias"][:2] = -0.0, torch.tensor([1e30, -0.0])
    end["1.num_batches_tracked"] += 7
    assert same(interpolated(start, end, 0), start)
    assert same(interpolated(start, end, 1), end)
    assert interpolated(start, end, 0)["0.bias"].data_ptr() != start["0.bias"].data_ptr()


def test_between_them_weights_are_the_mean_and_counters_the_tuned() -> None:
    start = {"w": torch.tensor([0.0, 4.0]), "n": torch.tensor(3)}
    end = {"w": torch.tensor([1.0, -4.0]), "n": torch.tensor(5)}
    mixed = interpolated(start, end, 0.25)  # 3/4 of 0 and 4, 1/4 of 1 and -4
    assert mixed["w"].tolist() == [0.25, 2.0]
    assert mixed["n"] == 5


def test_a_sweep_leaves_the_model_as_it_was() -> None:
    zero_shot = {name: value.clone() for name, value in made(0).state_dict().items()}
    model = made(1)
    tuned = {name: value.clone() for name, value in model.state_dict().items()}
    seen = [(alpha, model[0].weight.detach().clone()) for alpha in between(model, zero_shot, [0, 0.5, 1])]  # type: ignore[index]
    assert [alpha for alpha, _ in seen] == [0, 0.5, 1]
    for alpha, weight in seen:
        torch.testing.assert_close(weight, (1 - alpha) * zero_shot["0.weight"] + alpha * tuned["0.weight"])
    assert torch.equal(seen[0][1], zero_shot["0.weight"])
    assert torch.equal(seen[2][1], tuned["0.weight"])
    assert same(model.state_dict(), tuned)
    for alpha in between(model, zero_shot, [0.5]):
        if alpha:
            break  # the caller may leave early
    assert same(model.state_dict(), tuned)


def test_lora_is_interpolated_once_it_is_merged() -> None:
    model = made(0)
    zero_shot = {name: value.clone() for name, value in model.state_dict().items()}
    layer = model[0]  # type: ignore[index]
    update = LowRank(layer.weight, stacked=1, changed=(0,), rank=1, scale=0.2, accumulate=False)
    parametrize.register_parametrization(layer, "weight", update)
    nn.init.ones_(layer.parametrizations.weight[0].b)
    with pytest.raises(ValueError, match="are on one side alone: merge LoRA first"):
        interpolated(zero_shot, model.state_dict(), 0.5)
    effective = layer.weight.detach().clone()
    merge_low_rank(model)
    middle = interpolated(zero_shot, model.state_dict(), 0.5)["0.weight"]
    torch.testing.assert_close(middle, (zero_shot["0.weight"] + effective) / 2)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, math.nan])
def test_alpha_is_a_share(alpha: float) -> None:
    with pytest.raises(ValueError, match=f"alpha={alpha} must lie between 0"):
        interpolated({}, {}, alpha)


def test_the_penalty_is_half_the_squared_way_and_pulls_back() -> None:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    penalty = L2ToInit(model)
    assert penalty() == 0
    with torch.no_grad():
        model.weight += torch.tensor([[3.0, -4.0]])
        model.bias += 9  # frozen: not counted
    assert penalty().item() == pytest.approx(12.5)  # (9 + 16) / 2
    penalty().backward()
    torch.testing.assert_close(model.weight.grad, torch.tensor([[3.0, -4.0]]))
