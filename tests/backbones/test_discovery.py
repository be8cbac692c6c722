"""Layers found by running a network once without memory."""

import pytest
import torch
from torch import Tensor, nn

from unseen.backbones.discovery import UnusableTapsError, find_taps, nearest_sizes, patch_of, trace
from unseen.backbones.timm import TimmSpec

# What the rule finds: how many layers, the first two and the last, and the layout and prefix tokens of the last.
FOUND = {
    "resnet18": (5, "maxpool", "layer1", "layer4", "nchw", 0),
    "vit_tiny_patch16_224": (13, "norm_pre", "blocks.0", "blocks.11", "tokens", 1),
    "swin_tiny_patch4_window7_224": (5, "patch_embed", "layers.0", "layers.3", "nhwc", 0),
    "convnextv2_atto": (5, "stem", "stages.0", "stages.3", "nchw", 0),
    "mixer_s16_224": (9, "stem", "blocks.0", "blocks.7", "tokens", 0),
    "poolformer_s12": (5, "stem", "stages.0", "stages.3", "nchw", 0),
    "pvt_v2_b0": (5, "patch_embed", "stages.0", "stages.3", "nchw", 0),
    "efficientnet_b0": (8, "bn1", "blocks.0", "blocks.6", "nchw", 0),
    "mobilenetv3_small_100": (7, "bn1", "blocks.0", "blocks.5", "nchw", 0),
    "levit_128s": (4, "stem", "stages.0", "stages.2", "tokens", 0),
    "densenet121": (5, "features.norm0", "features.denseblock1", "features.norm5", "nchw", 0),
    "regnety_002": (5, "stem", "s1", "s4", "nchw", 0),
}


@pytest.mark.parametrize("architecture", FOUND)
def test_the_rule_over_families(architecture: str) -> None:
    number, first, second, last, layout, prefix_tokens = FOUND[architecture]
    with torch.device("meta"):
        backbone = TimmSpec(architecture).build(4, 224)
    taps = backbone.taps
    assert len(taps) == number
    assert (taps[0].name, taps[1].name, taps[-1].name) == (first, second, last)
    assert (taps[-1].layout, taps[-1].prefix_tokens) == (layout, prefix_tokens)
    assert (taps[0].depth, taps[-1].depth) == (0.0, 1.0)


def test_prefix_tokens_where_they_exist() -> None:
    # ConViT adds its class token half-way: 196 tokens are a 14 x 14 grid, 197 are not.
    with torch.device("meta"):
        convit = TimmSpec("convit_tiny").build(4, 224)
    assert [tap.prefix_tokens for tap in convit.taps] == [0] * 11 + [1] * 2
    with torch.device("meta"):  # a register in front, and no class token
        registers = TimmSpec("vit_medium_patch16_reg1_gap_256").build(4, 256)
    assert {(tap.prefix_tokens, tap.has_class_token) for tap in registers.taps} == {(1, False)}


@pytest.mark.parametrize(
    ("architecture", "size"), [("crossvit_tiny_240", 240), ("coat_lite_tiny", 224), ("coat_mini", 224)]
)
def test_class_tokens_of_networks_that_do_not_count_their_prefix(architecture: str, size: int) -> None:
    """timm says nothing of these, but they name the parameter: `auto` took the mean with the class token in it."""
    with torch.device("meta"):
        network = TimmSpec(architecture).build(2, size)
    assert not hasattr(network.network, "num_prefix_tokens")
    in_blocks = [tap for tap in network.taps if "blocks" in tap.name]
    assert len(in_blocks) > 2
    assert all(tap.prefix_tokens == 1 and tap.has_class_token for tap in in_blocks)
    assert not network.taps[0].has_class_token or "blocks" in network.taps[0].name


class Tokens(nn.Module):
    """Patches of 4 pixels as tokens, with more tokens in front; says nothing about them."""

    def __init__(self, in_front: int, name: str | None = None) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.blocks = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.in_front = in_front
        if name:
            self.register_parameter(name, nn.Parameter(torch.zeros(1, 1, 6)))

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).transpose(1, 2)  # (B, 16, 6)
        tokens = torch.cat([tokens[:, : self.in_front], tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.mean(1)


def taps_of_tokens(in_front: int, name: str | None = None, **settings: int) -> list[tuple[int, bool]]:
    with torch.device("meta"):
        network = Tokens(in_front, name)
        taps = find_taps(network, trace(network, 16), ["blocks.*"], **settings)
    return [(tap.prefix_tokens, tap.has_class_token) for tap in taps]


@pytest.mark.parametrize("name", ["cls_token", "cls_token_0", "cls_token1", "class_token", "class_embedding"])
def test_a_named_class_token_is_found(name: str) -> None:
    assert taps_of_tokens(1, name) == [(1, True)] * 2
    assert taps_of_tokens(0, name) == [(0, False)] * 2  # it may come later, or be pooled elsewhere


def test_tokens_that_are_no_square_of_patches_are_refused() -> None:
    """16 patches and something in front: rather no answer than a mean with a class token in it."""
    assert taps_of_tokens(0) == [(0, False)] * 2
    with pytest.raises(UnusableTapsError, match=r"returns 17 tokens, which are no square of patches, so"):
        taps_of_tokens(1)
    with pytest.raises(
        UnusableTapsError, match="returns 18 tokens, which are no square of patches behind 1 in front"
    ):
        taps_of_tokens(2, "cls_token")
    assert taps_of_tokens(2, prefix_tokens=2) == [(2, True)] * 2


def test_maps_as_deep_as_they_are_wide() -> None:
    # At 128 px both of these begin with 32 x 32 positions of 32 channels, one with the channels last.
    with torch.device("meta"):
        pvt = TimmSpec("pvt_v2_b0").build(2, 128)
        convolutions = TimmSpec("convnextv2_atto", options={"dims": [32, 64, 128, 256]}).build(2, 128)
        swin = TimmSpec("swin_tiny_patch4_window7_224", options={"embed_dim": 24}).build(2, 96)
    assert (pvt.taps[0].name, pvt.taps[0].layout) == ("patch_embed", "nhwc")
    assert (convolutions.taps[0].name, convolutions.taps[0].layout) == ("stem", "nchw")
    assert {tap.layout for tap in swin.taps} == {"nhwc"}


class Shared(nn.Module):
    """A stem, one block called twice, a block that returns a tuple, one that returns numbers only."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 4, 4)
        self.twice = nn.Conv2d(4, 4, 1)
        self.pair = Pair()
        self.flat = nn.AdaptiveAvgPool2d(1)
        self.unused = nn.Linear(1, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps, _ = self.pair(self.twice(self.twice(self.stem(images))))
        return self.flat(maps).flatten(1)


class Pair(nn.Module):
    def forward(self, maps: Tensor) -> tuple[Tensor, None]:
        return maps + 1, None


def shared() -> tuple[nn.Module, dict]:
    with torch.device("meta"):
        network = Shared()
        return network, trace(network, 16)


def test_patterns_pick_modules_in_the_order_in_which_they_run() -> None:
    network, firings = shared()
    taps = find_taps(network, firings, ["pair", "st*"])
    assert [(tap.layer, tap.name, tap.depth, tap.layout) for tap in taps] == [
        (0, "stem", 0.0, "nchw"),
        (1, "pair", 1.0, "nchw"),  # the first tensor of its tuple
    ]
    (alone,) = find_taps(network, firings, ["stem"])
    assert alone.depth == 0.0
    # Dot by dot: one star is one step of the path.
    with torch.device("meta"):
        backbone = TimmSpec("vit_tiny_patch16_224", taps=["blocks.*"]).build(2, 224)
    assert [tap.name for tap in backbone.taps] == [f"blocks.{block}" for block in range(12)]


def test_what_cannot_be_read_is_named() -> None:
    network, firings = shared()
    with pytest.raises(
        UnusableTapsError, match=r"'stam' matches no module that runs \(did you mean stem\?\)"
    ):
        find_taps(network, firings, ["stam"])
    with pytest.raises(UnusableTapsError, match="'unused' matches no module that runs"):
        find_taps(network, firings, ["unused"])
    with pytest.raises(UnusableTapsError, match="'twice' cannot be read: it ran 2 times"):
        find_taps(network, firings, ["twice"])
    with pytest.raises(
        UnusableTapsError, match=r"no layers found automatically.*its top level is stem, twice, pair"
    ):
        find_taps(network, firings)
    with pytest.raises(ValueError, match=r"model 'resnet18': model.backbone.taps: 'layr1' .* mean layer1"):
        TimmSpec("resnet18", taps=["layr1"]).check(64)


def test_tracing_leaves_no_hooks() -> None:
    network, _ = shared()
    assert not any(module._forward_hooks for module in network.modules())
    with pytest.raises(RuntimeError), torch.device("meta"):
        trace(network, 2)  # smaller than the stem's kernel
    assert not any(module._forward_hooks for module in network.modules())


def test_patches_that_tile() -> None:
    assert patch_of(nn.Sequential(nn.Conv2d(3, 4, 8, 8))) == 8
    assert patch_of(nn.Sequential(nn.Conv2d(3, 4, 7, 4, 2))) == 1  # overlaps, as PoolFormer's and CvT's do
    assert patch_of(nn.Sequential(nn.Conv2d(3, 4, 8, 8, padding="valid"))) == 8
    assert patch_of(nn.Linear(1, 1)) == 1


def test_nearest_sizes() -> None:
    assert nearest_sizes(36, lambda size: size % 8 == 0) == (32, 40)
    assert nearest_sizes(36, lambda size: size % 14 == 0) == (28, 42)
    assert nearest_sizes(5, lambda size: size >= 32) == (32,)
    assert nearest_sizes(64, lambda size: False) == ()
