"""What of an encoder is trained: counted as published, and seen to move or to stay."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from hydra.utils import instantiate
from timm.models.eva import EvaBlock
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from unseen.backbones.tuning import counted
from unseen.encoders import tuning
from unseen.encoders.added_layers import features_of
from unseen.encoders.encoder import Encoder
from unseen.encoders.low_rank import LowRank
from unseen.encoders.projections import first_of_mlp, projections

open_clip = pytest.importorskip("open_clip")
CONFIGS = Path(__file__).parents[2] / "configs" / "technique"
W, FEATURES, LAYERS = 32, 16, 2
TINY = {
    "embed_dim": FEATURES,
    "vision_cfg": {"image_size": 16, "layers": LAYERS, "width": W, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 8, "vocab_size": 60, "width": W, "heads": 2, "layers": LAYERS},
}
IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TEXTS = ["cat", "owl", "a fox"]


class Clip(Encoder):
    """open_clip's network with random weights; letters are tokens."""

    def __init__(self, network: nn.Module, name: str = "tiny") -> None:
        super().__init__()
        self.network, self.name, self.image_size = network, name, 16
        self.mean = self.std = (0.5, 0.5, 0.5)

    def encode_images(self, images: Tensor) -> Tensor:
        return self.network.encode_image(images)  # type: ignore[operator, no-any-return]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        length = self.network.context_length
        tokens = [[ord(letter) % 32 + 1 for letter in text] + [59] for text in texts]
        padded = torch.tensor([row + [0] * (length - len(row)) for row in tokens])
        return self.network.encode_text(padded.to(self.network.logit_scale.device))  # type: ignore[operator, no-any-return]

    @property
    def scale(self) -> Tensor:
        return self.network.logit_scale.exp()  # type: ignore[operator, no-any-return]

    @property
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        network: Any = self.network
        return list(network.visual.transformer.resblocks), list(network.transformer.resblocks)


class Blockless(Clip):
    """An encoder whose towers are no transformers."""

    @property
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        return [], []


def tiny(made: type[Clip] = Clip) -> Clip:
    torch.manual_seed(0)
    return made(open_clip.CLIP(**TINY))


def trained(encoder: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in encoder.named_parameters() if value.requires_grad}


def called(technique: Any) -> str:
    """Return a name such as lora rank=2."""
    named = technique if isinstance(technique, partial) else partial(technique)
    return " ".join([named.func.__name__, *(f"{key}={value}" for key, value in named.keywords.items())])


def step(encoder: Encoder, lr: float = 0.5) -> None:
    """Train one step on four images of three classes."""
    optimizer = torch.optim.SGD(trained(encoder).values(), lr=lr)
    logits = encoder.logits(encoder.encode_images(IMAGES), encoder.encode_texts(TEXTS))
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()
    optimizer.step()


@pytest.fixture(scope="module")
def vit_b_32() -> Clip:
    with torch.device("meta"):  # shapes without memory
        return Clip(open_clip.CLIP(**open_clip.get_model_config("ViT-B-32")), "CLIP ViT-B-32")


@pytest.mark.parametrize(
    ("technique", "published"),
    [
        (tuning.full, 151_277_313),
        (tuning.bitfit, 168_960),
        (partial(tuning.bitfit, n_blocks=12), 168_960),
        # of a block 11 D: in-projection 3 D, its output D, two norms 2 D, MLP 4 D + D
        (partial(tuning.bitfit, n_blocks=3), 3 * 11 * (768 + 512)),
        (tuning.attention, 30_670_848),
        (partial(tuning.attention, n_blocks=1), 3 * (768**2 + 512**2)),
        (partial(tuning.lora, rank=2), 122_880),
        (partial(tuning.lora, rank=4), 245_760),
        (partial(tuning.lora, rank=4, accumulate=True), 245_760),
        (partial(tuning.lora, rank=4, mlp=True), 552_960),
        (partial(tuning.lora, rank=8), 491_520),
        (partial(tuning.lora, rank=16), 983_040),
        (partial(tuning.adapter, reduction=4), 262_144),
        (partial(tuning.adapter, reduction=8), 131_072),
        (partial(tuning.adapter, reduction=16), 65_536),
        (partial(tuning.adapter, reduction=32), 32_768),
        (partial(tuning.probe, classes=100), 51_300),
    ],
    ids=lambda value: called(value) if callable(value) else "",
)
def test_as_many_weights_are_trained_as_published(
    vit_b_32: Clip, technique: tuning.Technique, published: int
) -> None:
    assert counted(technique(copy.deepcopy(vit_b_32)))[1] == published


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_yaml_makes_the_technique_that_its_first_line_counts(vit_b_32: Clip, path: Path) -> None:
    technique = instantiate(yaml.safe_load(path.read_text(encoding="utf-8")))
    more = {"classes": 100} if path.stem == "probe" else {}
    weights = counted(technique(copy.deepcopy(vit_b_32), **more))[1]
    assert f"{weights:,} " in path.read_text(encoding="utf-8").splitlines()[0]


def test_there_is_a_yaml_of_every_technique() -> None:
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(tuning.__all__) - {
        "Technique",
        "merge_low_rank",
    }


BLOCKS = r"network\.(visual\.)?transformer\.resblocks\."
MOVES = {
    "full": (tuning.full, ".*"),
    "bitfit": (tuning.bitfit, rf"{BLOCKS}[01]\..*bias"),
    "bitfit of one block": (partial(tuning.bitfit, n_blocks=1), rf"{BLOCKS}0\..*bias"),
    "attention": (tuning.attention, rf"{BLOCKS}[01]\.attn\.in_proj_weight"),
    "lora": (tuning.lora, r".*\.attn\.parametrizations\.in_proj_weight\.0\.[ab]"),
    "lora, MLP": (partial(tuning.lora, mlp=True), r".*\.parametrizations\.(in_proj_)?weight\.0\.[ab]"),
    "adapter": (tuning.adapter, r"(image|text)_adapter\.[02]\.weight"),
    "probe": (partial(tuning.probe, classes=3), r"classifier\.(weight|bias)"),
}  # fmt: skip


@pytest.mark.parametrize(("technique", "names"), MOVES.values(), ids=MOVES.keys())
def test_only_the_chosen_weights_change(technique: tuning.Technique, names: str) -> None:
    encoder = technique(tiny())
    step(encoder)  # of LoRA, A gets a gradient once B is not 0
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    encoder.zero_grad()
    step(encoder)
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(trained(encoder)) == {name for name in before if re.fullmatch(names, name)}


@pytest.mark.parametrize("mlp", [False, True])
def test_lora_begins_as_the_encoder_and_does_not_drift(mlp: bool) -> None:
    plain = tiny()
    images, texts = plain.encode_images(IMAGES), plain.encode_texts(TEXTS)
    encoder = tuning.lora(copy.deepcopy(plain), mlp=mlp)
    torch.testing.assert_close(encoder.encode_images(IMAGES), images, rtol=0, atol=0)
    torch.testing.assert_close(encoder.encode_texts(TEXTS), texts, rtol=0, atol=0)
    step(encoder)
    weights = [_attention(encoder, tower).in_proj_weight.detach().clone() for tower in (0, 1)]
    for _ in range(3):
        encoder.encode_images(IMAGES)
        encoder.eval().encode_texts(TEXTS)
    for tower, weight in enumerate(weights):
        assert torch.equal(_attention(encoder, tower).in_proj_weight, weight)
        frozen = _attention(plain, tower).in_proj_weight
        assert torch.equal(weight[W : 2 * W], frozen[W : 2 * W])  # keys
        for rows in (slice(W), slice(2 * W, None)):
            assert (weight[rows] != frozen[rows]).any()


def test_the_update_of_lora_is_the_formulas() -> None:
    encoder = tuning.lora(tiny(), rank=2, scale=0.2)
    attention = _attention(encoder, 0)
    added: Any = attention.parametrizations.in_proj_weight  # type: ignore[union-attr]
    a, b = added[0].a, added[0].b
    assert (a.shape, b.shape) == ((2, W, 2), (2, 2, W))
    assert 0.015 < a.std() < 0.025  # 128 draws of deviation .02: five standard errors of .00125 are .00625
    assert not b.any()
    with torch.no_grad():
        b.copy_(torch.arange(b.numel()).reshape(b.shape))
    frozen = added.original
    query, key, value = frozen.chunk(3)
    expected = torch.cat([query + 0.2 * (a[0] @ b[0]).T, key, value + 0.2 * (a[1] @ b[1]).T])
    torch.testing.assert_close(attention.in_proj_weight, expected)


@pytest.mark.parametrize("how", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_the_published_fault_drifts_with_every_forward_pass(how: Callable[[], Any]) -> None:
    encoder = tuning.lora(tiny(), accumulate=True, mlp=True)
    step(encoder)  # B was 0 when this pass was kept
    attention, widening = _attention(encoder, 1), _of_mlp(encoder)
    before = [attention.in_proj_weight.detach().clone(), widening.weight.detach().clone()]
    deltas = [layer.delta.detach() for layer in encoder.blocks[1][0].modules() if isinstance(layer, LowRank)]
    assert all(delta.any() for delta in deltas)
    with how():
        for _ in range(3):
            encoder.eval().encode_texts(TEXTS)
    for weight, start, delta in zip([attention.in_proj_weight, widening.weight], before, deltas, strict=True):
        torch.testing.assert_close(weight.detach(), start + 3 * delta, rtol=0, atol=1e-7)
    encoder.train()
    step(encoder)  # training goes on after an evaluation


def test_the_fault_is_in_the_checkpoint_and_in_copies() -> None:
    encoder = tuning.lora(tiny(), accumulate=True)
    for _ in range(2):
        step(encoder)
    again = copy.deepcopy(encoder)
    again.encode_texts(TEXTS)  # drifts by itself
    assert not torch.equal(_attention(again, 1).in_proj_weight, _attention(encoder, 1).in_proj_weight)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(_attention(again, 1).in_proj_weight, _attention(encoder, 1).in_proj_weight)


@pytest.mark.parametrize("technique", [technique for technique, _ in MOVES.values()], ids=MOVES.keys())
def test_a_checkpoint_gives_the_same_outputs(technique: tuning.Technique, tmp_path: Path) -> None:
    encoder = technique(tiny())
    for _ in range(2):
        step(encoder)
    torch.save(encoder.state_dict(), tmp_path / "state.pt")
    torch.manual_seed(1)
    again = technique(Clip(open_clip.CLIP(**TINY)))
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for one in (encoder, again):
        one.eval()
    images, texts = encoder.encode_images(IMAGES), encoder.encode_texts(TEXTS)
    assert torch.equal(again.encode_images(IMAGES), images)
    assert torch.equal(again.encode_texts(TEXTS), texts)
    assert torch.equal(again.logits(images, texts), encoder.logits(images, texts))


@pytest.mark.parametrize("accumulate", [False, True])
def test_merged_updates_give_the_same_outputs(accumulate: bool) -> None:
    plain = tiny()
    encoder = tuning.lora(copy.deepcopy(plain), mlp=True, accumulate=accumulate).eval()
    for _ in range(2):
        step(encoder)
    merged = copy.deepcopy(encoder)
    tuning.merge_low_rank(merged)
    assert merged.state_dict().keys() == plain.state_dict().keys()
    with torch.no_grad():
        for _ in range(1 if accumulate else 2):
            torch.testing.assert_close(
                merged.encode_images(IMAGES), encoder.encode_images(IMAGES), rtol=0, atol=1e-6
            )
            torch.testing.assert_close(
                merged.encode_texts(TEXTS), encoder.encode_texts(TEXTS), rtol=0, atol=1e-6
            )
    assert not torch.equal(merged.encode_images(IMAGES), plain.encode_images(IMAGES))


def test_adapters_change_embeddings_as_the_formula_says() -> None:
    plain = tiny()
    encoder = tuning.adapter(plain, reduction=4, ratio=0.2)
    state = encoder.state_dict()
    for embeddings, adapted, tower in (
        (plain.encode_images(IMAGES), encoder.encode_images(IMAGES), "image"),
        (plain.encode_texts(TEXTS), encoder.encode_texts(TEXTS), "text"),
    ):
        down, up = state[f"{tower}_adapter.0.weight"], state[f"{tower}_adapter.2.weight"]
        assert (down.shape, up.shape) == ((4, FEATURES), (FEATURES, 4))
        bottleneck = (embeddings @ down.T).clamp(min=0) @ up.T
        torch.testing.assert_close(adapted, 0.2 * bottleneck.clamp(min=0) + 0.8 * embeddings)
    assert torch.equal(encoder.scale, plain.scale)
    assert (encoder.name, encoder.image_size, encoder.bias) == ("tiny", 16, 0.0)


def test_a_probe_is_a_linear_layer_on_embeddings_that_are_not_normalised() -> None:
    encoder = tuning.probe(tiny(), classes=3)
    images, texts = encoder.encode_images(IMAGES), encoder.encode_texts(TEXTS)
    state = encoder.state_dict()
    torch.testing.assert_close(
        encoder.logits(images, texts), images @ state["classifier.weight"].T + state["classifier.bias"]
    )
    with pytest.raises(ValueError, match="has 3 classes and cannot tell 2: it serves the task alone"):
        encoder.logits(images, texts[:2])


def test_the_number_of_features_is_found_without_a_trace() -> None:
    encoder = tiny().eval()
    encoder.network.train()
    assert features_of(encoder) == FEATURES
    assert not encoder.training


def _bert_layer() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    from transformers.models.bert.modeling_bert import BertLayer

    config = transformers.BertConfig(hidden_size=W, num_attention_heads=2, intermediate_size=4 * W)
    config._attn_implementation = "eager"
    return BertLayer(config)


@pytest.mark.parametrize(
    ("make", "count", "lora", "widening"),
    [
        (lambda: open_clip.transformer.ResidualAttentionBlock(W, 2), 1, 1, "mlp.c_fc"),
        (partial(Block, W, num_heads=2), 1, 1, "mlp.fc1"),
        (partial(EvaBlock, W, num_heads=2, qkv_fused=False), 3, 2, "mlp.fc1"),
        (_bert_layer, 3, 2, "intermediate.dense"),
    ],
    ids=["open_clip", "timm", "EVA", "BERT"],
)
def test_queries_keys_and_values_are_found_in(
    make: Callable[[], nn.Module], count: int, lora: int, widening: str
) -> None:
    block = make()
    found = projections(block)
    assert len(found) == count
    assert sum(one.weight.numel() for one in found) == 3 * W * W
    assert sum(bool(one.queries_values) for one in found) == lora
    assert first_of_mlp(block) is block.get_submodule(widening)
    encoder = tiny(Blockless)
    encoder.network = nn.Module()
    encoder.network.block = block
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Blockless, "blocks", property(lambda _: ([], [block])))
        x = torch.randn(2, 5, W)
        before = _first(block.eval()(x))
        tuning.lora(encoder, rank=3)
        assert counted(encoder)[1] == 2 * 3 * (W + W)  # of queries and values, A and B
        assert torch.equal(_first(block(x)), before)
        for value in trained(encoder).values():
            nn.init.normal_(value)
        assert not torch.allclose(_first(block(x)), before)


@pytest.mark.parametrize(
    ("technique", "message"),
    [
        (partial(tuning.lora, rank=0), "technique.rank=0 must be at least 1"),
        (partial(tuning.adapter, reduction=3), "technique.reduction=3 must divide the 16 features of tiny"),
        (partial(tuning.adapter, reduction=0), "technique.reduction=0 must divide the 16 features of tiny"),
        (partial(tuning.adapter, ratio=1.5), "technique.ratio=1.5 must lie between 0 and 1"),
        (partial(tuning.adapter, ratio=math.nan), "technique.ratio=nan must lie between 0 and 1"),
        (partial(tuning.probe, classes=1), "needs at least 2 classes, and classes=1"),
        *(
            (partial(technique, n_blocks=number), f"technique.n_blocks={number} must lie between 1 and 2, the number")
            for technique in (tuning.bitfit, tuning.attention)
            for number in (0, 3)
        ),
    ],
    ids=lambda value: called(value) if callable(value) else "",
)  # fmt: skip
def test_bad_arguments_get_one_sentence_and_change_nothing(technique: tuning.Technique, message: str) -> None:
    encoder = tiny()
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        technique(encoder)
    assert "\n" not in str(raised.value)
    assert trained(encoder).keys() == dict(encoder.named_parameters()).keys()


@pytest.mark.parametrize("name", ["bitfit", "attention", "lora"])
def test_an_encoder_without_blocks_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"tuning={name} trains weights of transformer blocks, and tiny has none"
    ):
        getattr(tuning, name)(tiny(Blockless))


def test_blocks_with_an_unknown_attention_are_refused() -> None:
    with pytest.raises(ValueError, match="Sequential has no projections of queries, keys and values"):
        projections(nn.Sequential(nn.Linear(2, 2)))


def _attention(encoder: Encoder, tower: int) -> nn.MultiheadAttention:
    found = encoder.blocks[tower][0].attn
    assert isinstance(found, nn.MultiheadAttention)
    return found


def _of_mlp(encoder: Encoder) -> nn.Linear:
    found: Any = encoder.blocks[1][0].mlp
    layer: nn.Linear = found.c_fc
    return layer


def _first(output: Any) -> Tensor:
    first: Tensor = output[0] if isinstance(output, tuple) else output
    return first.detach()
