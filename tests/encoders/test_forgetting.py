"""Weight interpolation, the penalty on leaving the start, and replay."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unseen.encoders.forgetting import between, interpolated, l2_to_init, trained_weights, with_replay
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
    start = trained_weights(model)
    assert start.keys() == {"weight"}
    assert l2_to_init(model, start) == 0
    with torch.no_grad():
        model.weight += torch.tensor([[3.0, -4.0]])
        model.bias += 9  # frozen: not counted
    penalty = l2_to_init(model, start)
    assert penalty.item() == pytest.approx(12.5)  # (9 + 16) / 2
    penalty.backward()
    torch.testing.assert_close(model.weight.grad, torch.tensor([[3.0, -4.0]]))
    model.bias.requires_grad_(True)
    with pytest.raises(ValueError, match="same trained weights as at the start, unlike bias"):
        l2_to_init(model, start)


def test_replayed_images_follow_with_labels_behind_those_of_the_task() -> None:
    images, labels = torch.arange(4.0).reshape(4, 1, 1, 1), torch.tensor([0, 1, 2, 0])
    others, theirs = 10 + torch.arange(5.0).reshape(5, 1, 1, 1), torch.arange(5)
    drawn = set()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        mixed, mixed_labels = with_replay(
            (images, labels), (others, theirs), share=0.5, classes=3, generator=generator
        )
        assert torch.equal(mixed[:4], images)
        assert torch.equal(mixed_labels[:4], labels)
        assert torch.equal(
            mixed[4:].flatten() - 10 + 3, mixed_labels[4:].float()
        )  # image 10 + i is of class i
        assert len(set(mixed_labels[4:].tolist())) == 2  # .5 of 4, none twice
        drawn |= set(mixed_labels[4:].tolist())
    assert drawn == {3, 4, 5, 6, 7}
    none = with_replay((images, labels), (others, theirs), share=0, classes=3, generator=torch.Generator())
    assert torch.equal(none[0], images)


@pytest.mark.parametrize(
    ("size", "share", "message"),
    [
        (1, -0.5, "share=-0.5 of replayed images must be at least 0"),
        (2, 0.5, "images of the task are .1, 1, 1., and those to be replayed .1, 2, 2."),
        (1, 2.0, "share=2.0 of 4 images replays 8, and memory holds only 5"),
    ],
)
def test_what_cannot_be_replayed(size: int, share: float, message: str) -> None:
    task, memory = (torch.zeros(4, 1, 1, 1), torch.zeros(4)), (torch.zeros(5, 1, size, size), torch.zeros(5))
    with pytest.raises(ValueError, match=message):
        with_replay(task, memory, share=share, classes=3, generator=torch.Generator())
