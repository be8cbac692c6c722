"""The layers are the hidden states that the paper scored: counts, shapes, parameters and values."""

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone
from unseen.backbones.taps import first_tensor
from unseen.backbones.timm import TimmSpec

SEVEN = ["resnet", "vit", "swin", "pvt", "cvt", "poolformer", "convnext"]


def hidden_states(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """What each tapped module returns, before any pooling."""
    states: dict[str, Tensor] = {}
    handles = [
        backbone.network.get_submodule(tap.name).register_forward_hook(
            lambda _module, _inputs, output, name=tap.name: states.update(
                {name: first_tensor(output).clone()}
            )
        )
        for tap in backbone.taps
    ]
    try:
        with torch.no_grad():
            backbone.eval()(images)
    finally:
        for handle in handles:
            handle.remove()
    return [states[tap.name] for tap in backbone.taps]


def as_published(state: Tensor, layout: str) -> tuple[int, ...]:
    """Shape of one sample as the reference lists it: Swin's map (B, H, W, D) is a sequence (H * W, D) there."""
    return tuple(state.flatten(1, 2).shape[1:]) if layout == "nhwc" else tuple(state.shape[1:])


@pytest.mark.parametrize("name", SEVEN)
def test_paper_layers(name: str, paper_on_meta: Callable[[str], Backbone], reference: dict[str, Any]) -> None:
    expected = reference["layers_224px"][name]
    backbone = paper_on_meta(name)
    states = hidden_states(backbone, torch.zeros(2, 3, 224, 224, device="meta"))
    assert [as_published(state, tap.layout) for state, tap in zip(states, backbone.taps, strict=True)] == [
        tuple(shape) for shape in expected["shapes"]
    ]
    # Equal to the unit, although five of the seven come from another library than the paper's.
    assert sum(weight.numel() for weight in backbone.parameters()) == expected["params"]
    assert {tap.prefix_tokens for tap in backbone.taps} <= {0, 1}
    # The class token is in all states of ViT, in the last three of PVT (whose tokens are 7 * 7 + 1), nowhere else.
    with_class_token = Counter(tap.has_class_token for tap in backbone.taps)[True]
    assert with_class_token == {"vit": 13, "pvt": 3}.get(name, 0)


@pytest.mark.parametrize("name", ["pvt", "cvt"])
def test_paper_layers_are_the_librarys_own_hidden_states(
    name: str, compose_model: Callable[..., Any]
) -> None:
    torch.manual_seed(0)
    backbone = instantiate(compose_model(name, "demo").backbone).build(3, 32)
    images = torch.randn(2, 3, 32, 32)
    ours = hidden_states(backbone, images)
    with torch.no_grad():
        theirs = backbone.network(images, output_hidden_states=True).hidden_states
    assert len(ours) == len(theirs)
    for our_state, their_state in zip(ours, theirs, strict=True):
        assert torch.equal(our_state, their_state)


# Names of timm's weights on the left, of the same weights in transformers on the right.
RENAMED: dict[str, list[tuple[str, str]]] = {
    "resnet": [
        (r"^conv1\.", "resnet.embedder.embedder.convolution."),
        (r"^bn1\.", "resnet.embedder.embedder.normalization."),
        (r"^layer(\d)\.(\d+)\.downsample\.0", lambda m: f"{stage(m)}.shortcut.convolution"),
        (r"^layer(\d)\.(\d+)\.downsample\.1", lambda m: f"{stage(m)}.shortcut.normalization"),
        (r"^layer(\d)\.(\d+)\.conv(\d)", lambda m: f"{stage(m)}.layer.{int(m[3]) - 1}.convolution"),
        (r"^layer(\d)\.(\d+)\.bn(\d)", lambda m: f"{stage(m)}.layer.{int(m[3]) - 1}.normalization"),
        (r"^fc\.", "classifier.1."),
    ],
    "vit": [
        (r"^cls_token", "vit.embeddings.cls_token"),
        (r"^pos_embed", "vit.embeddings.position_embeddings"),
        (r"^patch_embed\.proj", "vit.embeddings.patch_embeddings.projection"),
        (r"^blocks\.", "vit.layers."),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.attn\.(proj|qkv)\.", r".attention.\1."),
        (r"^norm\.", "vit.layernorm."),
        (r"^head\.", "classifier."),
    ],
    "swin": [
        (r"^patch_embed\.proj", "swin.embeddings.patch_embeddings.projection"),
        (r"^patch_embed\.norm", "swin.embeddings.norm"),
        # timm reduces at the start of a stage, transformers at the end of the one before.
        (r"^layers\.(\d)\.downsample", lambda m: f"swin.encoder.layers.{int(m[1]) - 1}.downsample"),
        (r"^layers\.", "swin.encoder.layers."),
        (r"\.norm1\.", ".layernorm_before."),
        (r"\.norm2\.", ".layernorm_after."),
        (r"\.attn\.relative", ".attention.relative_position_bias.relative"),
        (r"\.attn\.(proj|qkv)\.", r".attention.\1."),
        (r"^norm\.", "swin.layernorm."),
        (r"^head\.fc\.", "classifier."),
    ],
    "poolformer": [
        (r"^stem\.conv", "poolformer.encoder.patch_embeddings.0.projection"),
        (r"^stages\.(\d)\.downsample\.conv", r"poolformer.encoder.patch_embeddings.\1.projection"),
        (r"^stages\.(\d)\.blocks\.", r"poolformer.encoder.block.\1."),
        (r"\.norm1\.", ".before_norm."),
        (r"\.norm2\.", ".after_norm."),
        (r"\.layer_scale(\d)\.scale", r".layer_scale_\1"),
        (r"\.mlp\.fc(\d)", r".output.conv\1"),
        (r"^head\.norm", "norm"),
        (r"^head\.fc", "classifier"),
    ],
    "convnext": [
        (r"^stem\.0", "convnextv2.embeddings.patch_embeddings"),
        (r"^stem\.1", "convnextv2.embeddings.layernorm"),
        (r"^stages\.(\d)\.downsample", r"convnextv2.encoder.stages.\1.downsampling_layer"),
        (r"^stages\.(\d)\.blocks", r"convnextv2.encoder.stages.\1.layers"),
        (r"\.conv_dw\.", ".dwconv."),
        (r"\.norm\.", ".layernorm."),
        (r"\.mlp\.fc(\d)", r".pwconv\1"),
        (r"\.mlp\.grn", ".grn"),
        (r"^head\.layernorm", "convnextv2.layernorm"),
        (r"^head\.fc", "classifier"),
    ],
}


def stage(match: re.Match[str]) -> str:
    return f"resnet.encoder.stages.{int(match[1]) - 1}.layers.{match[2]}"


def transformers_twin(name: str) -> nn.Module:
    """The paper's implementation of the small timm networks below."""
    import transformers

    if name == "resnet":
        config = transformers.ResNetConfig(
            embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[1, 2, 1, 1], num_labels=3
        )
        return transformers.ResNetForImageClassification(config)
    if name == "vit":
        config = transformers.ViTConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64, image_size=32,
            patch_size=8, num_labels=3, layer_norm_eps=1e-6,  # the published configuration says 1e-12
        )  # fmt: skip
        return transformers.ViTForImageClassification(config)
    if name == "swin":
        config = transformers.SwinConfig(
            embed_dim=16,
            depths=[2, 1, 1, 1],
            num_heads=[1, 2, 4, 8],
            image_size=64,
            window_size=2,
            num_labels=3,
        )
        return transformers.SwinForImageClassification(config)
    if name == "poolformer":
        config = transformers.PoolFormerConfig(
            hidden_sizes=[16, 32, 64, 128], depths=[1, 2, 1, 1], num_labels=3, layer_scale_init_value=1.0
        )
        return transformers.PoolFormerForImageClassification(config)
    config = transformers.ConvNextV2Config(hidden_sizes=[16, 32, 64, 128], depths=[1, 2, 1, 1], num_labels=3)
    return transformers.ConvNextV2ForImageClassification(config)


SMALL = {
    "resnet": ("resnet50", {"layers": [1, 2, 1, 1], "channels": [16, 32, 64, 128]}),
    "vit": (
        "vit_base_patch16_224",
        {"depth": 3, "embed_dim": 32, "num_heads": 2, "mlp_ratio": 2, "patch_size": 8},
    ),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 16, "depths": [2, 1, 1, 1], "num_heads": [1, 2, 4, 8], "window_size": 2},
    ),
    "poolformer": (
        "poolformer",
        {"depths": [1, 2, 1, 1], "dims": [16, 32, 64, 128], "layer_scale_init_values": 1.0},
    ),
    "convnext": ("convnextv2_tiny", {"depths": [1, 2, 1, 1], "dims": [16, 32, 64, 128]}),
}


def renamed(name: str, state: dict[str, Tensor], twin: dict[str, Tensor]) -> dict[str, Tensor]:
    result = {}
    for timm_name, tensor in state.items():
        key = timm_name
        for pattern, replacement in [*RENAMED[name], (r"\.attention\.proj\.", ".attention.o_proj.")]:
            key = re.sub(pattern, replacement, key)
        if ".qkv." in key:  # one matrix in timm, three in transformers
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                result[key.replace("qkv", f"{part}_proj")] = third
        else:
            result[key] = tensor.reshape(twin[key].shape) if ".grn." in key else tensor
    return result


@pytest.mark.parametrize("name", RENAMED)
def test_paper_layers_have_the_values_of_the_papers_library(
    name: str, compose_model: Callable[..., Any]
) -> None:
    architecture, options = SMALL[name]
    taps = compose_model(name, "paper").backbone.taps
    size = 64 if name == "swin" else 32
    torch.manual_seed(0)
    backbone = TimmSpec(architecture, options=options, taps=taps).build(3, size)
    with torch.no_grad():
        for weight in backbone.parameters():  # so that zeros and ones cannot stand in for each other
            weight.add_(0.1 * torch.randn_like(weight))
    twin = transformers_twin(name)
    twin.load_state_dict(renamed(name, backbone.network.state_dict(), twin.state_dict()))

    images = torch.randn(2, 3, size, size)
    ours = hidden_states(backbone, images)
    with torch.no_grad():
        output = twin.eval()(images, output_hidden_states=True)
        logits = backbone(images)
    theirs = output.hidden_states
    assert len(ours) == len(theirs)
    for tap, our_state, their_state in zip(backbone.taps, ours, theirs, strict=True):
        flat = our_state.flatten(1, 2) if tap.layout == "nhwc" else our_state
        torch.testing.assert_close(
            flat, their_state, atol=1e-4, rtol=1e-4, msg=lambda m, t=tap: f"{t.name}: {m}"
        )
    torch.testing.assert_close(logits, output.logits, atol=1e-4, rtol=1e-4)
