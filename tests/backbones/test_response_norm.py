"""The response normalisation is timm's, whatever the layout and the number format."""

import pytest
import timm
import torch
from timm.layers.grn import GlobalResponseNorm

from unseen.backbones.response_norm import ResponseNorm, with_quick_response_norms
from unseen.backbones.timm import TimmSpec

FEATURES = 6


def both(
    *, channels_last: bool, dtype: torch.dtype = torch.float32
) -> tuple[torch.nn.Module, torch.nn.Module]:
    """timm's and ours with equal parameters that are not zero."""
    draw = torch.Generator().manual_seed(0)
    made = []
    weight, bias = torch.randn(2, FEATURES, generator=draw)
    for _ in range(2):
        one = GlobalResponseNorm(FEATURES, channels_last=channels_last).to(dtype)
        with torch.no_grad():
            one.weight.copy_(weight)
            one.bias.copy_(bias)
        made.append(one)
    return made[0], ResponseNorm(made[1])


def test_hand_worked_image_of_two_positions() -> None:
    # Features (3, 4) and (1, 0) over the two positions have norms 5 and 1, by their mean of 3 that is 5/3 and 1/3.
    images = torch.tensor([[[[3.0, 1.0], [4.0, 0.0]]]])  # (1, 1, 2, 2)
    norm = GlobalResponseNorm(2, eps=0.0)
    torch.nn.init.ones_(norm.weight)
    torch.nn.init.constant_(norm.bias, 0.5)
    expected = [[[[3 + 0.5 + 5, 1 + 0.5 + 1 / 3], [4 + 0.5 + 20 / 3, 0.5]]]]
    assert torch.allclose(ResponseNorm(norm)(images), torch.tensor(expected))


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)]
)
def test_outputs_and_gradients_are_timms(
    dtype: torch.dtype, tolerance: float, channels_last: bool, autocast: bool
) -> None:
    shape = (3, 5, 4, FEATURES) if channels_last else (3, FEATURES, 5, 4)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = []
    for norm in both(channels_last=channels_last, dtype=dtype):
        given = images.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            output = norm(given)
        output.square().sum().backward()
        found.append((output, given.grad, norm.weight.grad, norm.bias.grad))
    for theirs, ours in zip(*found, strict=True):
        assert theirs is not None
        assert ours is not None
        assert ours.dtype == theirs.dtype
        assert torch.allclose(
            ours, theirs, rtol=tolerance, atol=tolerance * float(theirs.detach().abs().max())
        )


def test_a_feature_that_is_zero_everywhere_has_a_gradient() -> None:
    gradients = []
    for norm in both(channels_last=True):
        images = torch.ones(2, 3, 3, FEATURES)
        images[..., 2] = 0
        images.requires_grad_()
        norm(images).square().sum().backward()
        gradients.append(images.grad)
    assert torch.isfinite(gradients[1]).all()
    assert torch.allclose(gradients[0], gradients[1], atol=1e-5)


def test_halves_do_not_overflow_under_float32_parameters() -> None:
    # As under autocast to float16: one feature is 50, of 3,071 others none matters; relative to the mean norm it is
    # about 3,000, and the product of about 150,000 is beyond float16.
    images = torch.zeros(1, 2, 2, 3072, dtype=torch.float16)
    images[..., 0] = 50
    norm = GlobalResponseNorm(3072)  # its weight is 0
    assert torch.equal(ResponseNorm(norm)(images).half(), images)


def test_a_network_differs_by_rounding_only_and_keeps_its_names() -> None:
    small = {"depths": (1, 1, 1, 1), "dims": (8, 16, 32, 64)}
    torch.manual_seed(0)
    theirs = timm.create_model("convnextv2_atto", num_classes=4, **small)
    torch.manual_seed(0)
    ours = TimmSpec("convnextv2_atto", options=small).build(4, 64).network
    assert not any(type(module) is GlobalResponseNorm for module in ours.modules())
    count = sum(isinstance(module, ResponseNorm) for module in ours.modules())
    assert count == sum(isinstance(module, GlobalResponseNorm) for module in theirs.modules()) > 0
    assert list(ours.state_dict()) == list(theirs.state_dict())
    draw = torch.Generator().manual_seed(2)
    for name, parameter in theirs.named_parameters():
        if "grn" in name:  # they start at 0, where the norm does nothing
            torch.nn.init.normal_(parameter, generator=draw)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 64, 64, generator=draw)
    theirs.eval()
    ours.eval()
    assert torch.allclose(ours(images), theirs(images), atol=1e-5)


def test_other_networks_are_left_alone() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert with_quick_response_norms(network) is network
    assert type(network[0]) is torch.nn.Linear
