"""One vector per image from each layer, and nothing else changed."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone, Tap
from unseen.backbones.taps import pool, record_taps

MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)


def tap(layout: str, prefix_tokens: int = 0, **settings: Any) -> Tap:
    return Tap(layer=0, name="x", depth=0.0, layout=layout, prefix_tokens=prefix_tokens, **settings)


class Small(nn.Module):
    """Images (B, 3, S, S) -> a map, then tokens, then logits; with a norm whose statistics and a dropout whose draws
    a careless reader would move."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 2, 2)
        self.norm = nn.BatchNorm2d(4)
        self.mix = nn.Linear(4, 6)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.norm(self.stem(images))  # (B, 4, S/2, S/2)
        tokens = self.mix(maps.flatten(2).transpose(1, 2))  # (B, S*S/4, 6)
        return self.head(self.drop(tokens).mean(1))


def small() -> Backbone:
    torch.manual_seed(0)
    taps = (Tap(0, "norm", 0.0, "nchw"), Tap(1, "mix", 1.0, "tokens"))
    return Backbone(Small(), taps, num_classes=5, image_size=8, mean=MEAN, std=STD)


def hooks_in(backbone: nn.Module) -> int:
    return sum(len(module._forward_hooks) for module in backbone.modules())


def test_pooling_of_hand_worked_tokens() -> None:
    # One image: class token 9, patches 1, 2, 6, whose mean is 3; with the class token it would be 4.5.
    tokens = torch.tensor([[[9.0], [1.0], [2.0], [6.0]]])
    with_class = tap("tokens", prefix_tokens=1)
    pooled = {
        pooling: pool(tokens, with_class, pooling).item() for pooling in ("auto", "paper", "mean", "first")
    }
    assert pooled == {"auto": 9.0, "paper": 9.0, "mean": 3.0, "first": 9.0}
    # Without a class token the same numbers are four patches: paper still takes the top-left one.
    pooled = {
        pooling: pool(tokens, tap("tokens"), pooling).item() for pooling in ("auto", "paper", "mean", "first")
    }
    assert pooled == {"auto": 4.5, "paper": 9.0, "mean": 4.5, "first": 9.0}
    # A register in front is neither a class token nor a patch.
    register = tap("tokens", prefix_tokens=1, class_token=False)
    assert pool(tokens, register, "auto").item() == 3.0


def test_pooling_of_hand_worked_maps() -> None:
    # Two channels of 2 x 2 positions: means 2.5 and 25, top-left 1 and 10.
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[10.0, 20.0], [30.0, 40.0]]]])
    for pooling, nchw, nhwc in [
        ("auto", [2.5, 25.0], [2.5, 25.0]),
        ("mean", [2.5, 25.0], [2.5, 25.0]),
        ("first", [1.0, 10.0], [1.0, 10.0]),
        ("paper", [2.5, 25.0], [1.0, 10.0]),  # the published choice reads Swin's maps as token sequences
    ]:
        assert pool(maps, tap("nchw"), pooling).tolist() == [nchw]
        assert pool(maps.permute(0, 2, 3, 1), tap("nhwc"), pooling).tolist() == [nhwc]


def test_pooling_equals_the_reference_values(reference: dict[str, Any]) -> None:
    expected = reference["pooling"]
    generator = np.random.default_rng(0)
    tokens = torch.from_numpy(generator.normal(size=(6, 5, 4)))
    maps = torch.from_numpy(generator.normal(size=(6, 4, 3, 3)))
    for output, of, pooling, key in [
        (tokens, tap("tokens"), "paper", "first_token_row0"),
        (tokens, tap("tokens"), "mean", "mean_token_row0"),
        (maps, tap("nchw"), "paper", "spatial_mean_row0"),
    ]:
        pooled = pool(output, of, pooling)
        assert pooled.shape == (6, 4)
        np.testing.assert_allclose(pooled[0].numpy(), expected[key], atol=1e-6)


@pytest.mark.parametrize("pooling", ["auto", "paper", "mean", "first"])
@pytest.mark.parametrize("layout", ["tokens", "nchw", "nhwc"])
def test_pooled_vectors_are_float32_and_free_of_the_layer(layout: str, pooling: str) -> None:
    output = torch.ones((2, 5, 3) if layout == "tokens" else (2, 3, 3, 3), dtype=torch.bfloat16)
    pooled = pool(output, tap(layout), pooling)
    assert pooled.shape == (2, 3)
    assert pooled.dtype == torch.float32
    pooled = pool(output.float(), tap(layout), pooling)
    assert pooled.untyped_storage().size() == 2 * 3 * 4  # not a view into the layer's output
    assert pooled.untyped_storage().data_ptr() != output.untyped_storage().data_ptr()


def test_unknown_pooling_and_wrong_layout_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model.pooling='max' is not one of auto, paper, mean, first"):
        pool(torch.zeros(1, 2, 3), tap("tokens"), "max")
    with pytest.raises(ValueError, match="'max'"), record_taps(small(), "max"):
        pass
    with pytest.raises(ValueError, match=r"'x' is a nchw layer but returned shape \(1, 2, 3\)"):
        pool(torch.zeros(1, 2, 3), tap("nchw"), "mean")


def test_embeddings_of_one_forward_pass() -> None:
    backbone = small().eval()
    images = torch.randn(3, 3, 8, 8)
    maps = backbone.network.norm(backbone.network.stem(images))
    tokens = backbone.network.mix(maps.flatten(2).transpose(1, 2))
    with record_taps(backbone, "mean") as recorder:
        logits = backbone(images)
        first, second = recorder.take()
    assert logits.shape == (3, 5)
    assert not first.requires_grad
    torch.testing.assert_close(first, maps.mean((2, 3)))
    torch.testing.assert_close(second, tokens.mean(1))


def test_hooks_are_gone_whatever_is_raised() -> None:
    backbone = small()

    def interrupted() -> None:
        with record_taps(backbone, "mean"):
            assert hooks_in(backbone) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert hooks_in(backbone) == 0

    backbone.taps += (Tap(2, "nowhere", 1.0, "nchw"),)  # fails half-way through the registration
    with pytest.raises(AttributeError), record_taps(backbone, "mean"):
        pass
    assert hooks_in(backbone) == 0


def test_each_layer_fires_exactly_once_between_two_takes() -> None:
    backbone = small().eval()
    images = torch.randn(1, 3, 8, 8)
    with record_taps(backbone, "mean") as recorder:
        with pytest.raises(RuntimeError, match=r"norm \(0 times\), mix \(0 times\)"):
            recorder.take()
        backbone(images)
        backbone(images)
        with pytest.raises(RuntimeError, match=r"norm \(2 times\), mix \(2 times\)"):
            recorder.take()
        backbone(images)  # the failed take has emptied the recorder
        assert len(recorder.take()) == 2
        backbone.network.norm(torch.zeros(1, 4, 2, 2))
        with pytest.raises(RuntimeError, match=r"did not: mix \(0 times\)$"):
            recorder.take()


def test_nothing_in_the_network_or_the_random_state_changes() -> None:
    torch.manual_seed(3)
    images = torch.randn(4, 3, 8, 8)

    def trained(read: bool) -> tuple[dict[str, Tensor], list[bool], Tensor]:
        backbone = small()
        backbone.network.norm.eval()  # a frozen norm inside a network in training
        optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1)
        torch.manual_seed(5)
        for _ in range(3):
            if read:
                with record_taps(backbone, "auto") as recorder:
                    logits = backbone(images)
                    recorder.take()
            else:
                logits = backbone(images)
            optimizer.zero_grad()
            logits.square().mean().backward()
            optimizer.step()
        return backbone.state_dict(), [m.training for m in backbone.modules()], torch.get_rng_state()

    (state, modes, rng), (other_state, other_modes, other_rng) = trained(True), trained(False)
    assert modes == other_modes
    assert torch.equal(rng, other_rng)
    assert all(torch.equal(state[name], other_state[name]) for name in state)


def test_reading_under_autocast_and_inference_mode() -> None:
    backbone = small().eval()
    images = torch.randn(2, 3, 8, 8)
    with record_taps(backbone, "mean") as recorder:
        with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
            backbone(images)
        half = recorder.take()
        backbone(images)
        full = recorder.take()
    for low, high in zip(half, full, strict=True):
        assert low.dtype == torch.float32
        torch.testing.assert_close(low, high, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("compiled", ["wrapped", "in place", "outer module"])
def test_compiled_networks_are_read_too(compiled: str) -> None:
    torch._dynamo.reset()
    runs = []

    def backend(graph: torch.fx.GraphModule, _inputs: list[Tensor]) -> Any:
        return lambda *inputs: runs.append(1) or graph(*inputs)

    backbone = small().eval()
    images = torch.randn(2, 3, 8, 8)
    expected = backbone(images)
    call = read = backbone
    if compiled == "wrapped":
        call = read = torch.compile(backbone, backend=backend)
    elif compiled == "in place":
        backbone.compile(backend=backend)
    else:
        call = torch.compile(nn.Sequential(backbone, nn.Identity()), backend=backend)
    call(images)  # compiled before the hooks exist: without care they would never fire
    assert len(runs) == 1
    with record_taps(read, "auto") as recorder:
        logits = call(images)
        assert [embedding.shape for embedding in recorder.take()] == [(2, 4), (2, 6)]
    assert len(runs) == 1
    torch.testing.assert_close(logits, expected)
    torch.testing.assert_close(call(images), expected)
    assert len(runs) == 2  # training goes on compiled
    assert hooks_in(backbone) == 0


def test_only_backbones_can_be_read() -> None:
    with pytest.raises(TypeError, match="reads a Backbone, got Linear"), record_taps(nn.Linear(1, 1), "auto"):
        pass
