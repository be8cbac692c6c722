"""Which parameters are trained: counted by hand, and seen to move or to stay."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from unseen.backbones import tuning
from unseen.backbones.head import head_of
from unseen.backbones.protocol import Backbone
from unseen.backbones.taps import record_taps
from unseen.backbones.timm import TimmSpec
from unseen.backbones.transformers import TransformersSpec
from unseen.training import SeenClassifier

D, CLASSES = 16, 3
VIT = TimmSpec(
    "vit_tiny_patch16_224",
    options={"depth": 3, "embed_dim": D, "num_heads": 2, "patch_size": 8},
    taps=["blocks.*"],
)
RESNET = TimmSpec(
    "resnet18", options={"channels": [8, 8, 16, 16], "layers": [1, 1, 1, 1]}, taps=["maxpool", "layer[1234]"]
)
CVT = TransformersSpec(
    "cvt", "x", ["cvt.encoder.stages.*"],
    options={"depth": [1, 2, 3], "embed_dim": [8, 8, 16], "num_heads": [1, 2, 2], "drop_path_rate": [0.0] * 3},
)  # fmt: skip
SPECS = {"vit": VIT, "resnet": RESNET, "cvt": CVT}
HEAD = D * CLASSES + CLASSES  # of the ViT


def build(spec: object, tune: tuning.Tuning = tuning.full) -> Backbone:
    torch.manual_seed(0)
    backbone = spec.build(CLASSES, 32)  # type: ignore[attr-defined]
    tune(backbone)
    return backbone


def trained(backbone: nn.Module) -> set[str]:
    return {name for name, value in backbone.named_parameters() if value.requires_grad}


@pytest.mark.parametrize(
    ("tune", "count"),
    [
        (tuning.head, HEAD),
        # a block: two norms 2D each, qkv D x 3D + 3D, projection D x D + D, MLP D x 4D + 4D and 4D x D + D; then a norm
        (tuning.last_n, 4 * D + (3 + 1 + 4 + 4) * D * D + (3 + 1 + 4 + 1) * D + 2 * D + HEAD),
        # without heads: biases of patches D, a block: norms 2D, qkv 3D, projection D, MLP 4D + D, the last norm D
        (tuning.bitfit, D + 3 * 11 * D + D + HEAD),
        (tuning.attention, 3 * (3 * D * D + 3 * D + D * D + D) + HEAD),
        # rank 2: inputs plus outputs of qkv, projection, both of the MLP; the patches' convolution has 3 * 8 * 8 inputs
        (partial(tuning.lora, rank=2), 2 * (3 * (4 * D + 2 * D + 5 * D + 5 * D) + 3 * 64 + D) + HEAD),
        (partial(tuning.adapter, width=4), 2 * (D * 4 + 4 + 4 * D + D) + HEAD),
    ],
    ids=["head", "last_n", "bitfit", "attention", "lora", "adapter"],
)
def test_parameters_of_a_vit_by_hand(tune: tuning.Tuning, count: int) -> None:
    assert tuning.counted(build(VIT, tune))[1] == count


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("tune", [tuning.lora, tuning.adapter])
def test_what_is_added_changes_nothing_before_it_is_trained(name: str, tune: tuning.Tuning) -> None:
    before, after = build(SPECS[name]), build(SPECS[name], tune)
    images = torch.randn(2, 3, 32, 32)
    found = []
    for backbone in (before, after):
        with torch.no_grad(), record_taps(backbone.eval(), "auto") as recorder:
            found.append([backbone(images), *recorder.take()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("tune", [tuning.head, tuning.last_n, tuning.bitfit, tuning.lora, tuning.adapter])
def test_a_step_moves_what_is_trained_and_nothing_else(name: str, tune: tuning.Tuning) -> None:
    """Statistics of batch norms move where their weights do; every trained parameter has a gradient, as DDP needs."""
    module = SeenClassifier(build(SPECS[name], tune))
    backbone = module.backbone
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    names = trained(backbone)
    optimizer = torch.optim.SGD([one for one in backbone.parameters() if one.requires_grad], lr=0.1)
    for _ in range(2):  # the factor before one that begins at 0 moves in the second step
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(
            module(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 0])
        ).backward()
        optimizer.step()
    assert all(value.grad is not None for value in backbone.parameters() if value.requires_grad)
    moved = {key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])}
    norms = {key.rpartition(".")[0] for key in names}
    statistics = {
        key for key in moved - names if key.endswith(("running_mean", "running_var", "num_batches_tracked"))
    }
    assert moved - names == statistics
    assert {key.rpartition(".")[0] for key in statistics} <= norms
    assert {key for key in names if "head" in key or "fc." in key or "classifier" in key} <= moved


def test_the_head_alone_leaves_the_layers_alone() -> None:
    module = SeenClassifier(build(RESNET, tuning.head))
    images = torch.randn(8, 3, 32, 32)
    with record_taps(module.backbone, "auto") as recorder:
        module(images)
        first = recorder.take()
        module(images + 1)
        recorder.take()
        module(images)
        again = recorder.take()
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize(
    ("spec", "tune", "says"),
    [
        (
            RESNET,
            tuning.attention,
            "this network has none; use tuning=full, head, last_n, bitfit, lora or adapter",
        ),
        (
            RESNET,
            partial(tuning.last_n, n=5),
            r"model\.tuning\.n=5 must lie between 1 and 4: the network has 5 layers",
        ),
        (RESNET, partial(tuning.lora, rank=0), r"model\.tuning\.rank=0 must be at least 1"),
        (
            RESNET,
            partial(tuning.lora, dropout=1.0),
            r"model\.tuning\.dropout=1\.0 must be at least 0 and less than 1",
        ),
        (RESNET, partial(tuning.adapter, width=0), r"model\.tuning\.width=0 must be at least 1"),
    ],
)
def test_what_does_not_suit_a_network_is_refused_before_it_has_weights(
    spec: TimmSpec, tune: tuning.Tuning, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        tuning.check_tuning(tune, spec, 32)


def test_the_head_of_a_module_of_ones_own() -> None:
    def around(network: nn.Module) -> Backbone:
        return Backbone(network, (), num_classes=3, image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)

    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3), nn.Identity())
    assert head_of(around(network)) is network[2]
    with pytest.raises(ValueError, match="none is linear and has 3 outputs"):
        head_of(around(nn.Sequential(nn.Linear(4, 5))))
