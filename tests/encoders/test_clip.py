"""Encoders of open_clip: small architectures of each kind, their weights, and ViT-B/32 with random weights."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from safetensors.torch import save_file

open_clip = pytest.importorskip("open_clip")

from unseen.backbones.weights import WeightsUnavailable  # noqa: E402
from unseen.encoders.clip import OpenClip  # noqa: E402

VISION = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16}
TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3}
DECODER = {
    "context_length": 16,
    "vocab_size": 49408,
    "width": 32,
    "heads": 2,
    "layers": 1,
    "attn_pooler_heads": 2,
}
POOLED = {"attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True}
CONVOLUTIONAL = {"timm_model_name": "test_convnext", "image_size": 64, "timm_pool": "avg"}
TRANSFORMER = {"timm_model_name": "test_vit", "image_size": 160, "timm_pool": "token"}
TINY: dict[str, dict[str, Any]] = {
    "tiny": {"vision_cfg": VISION, "text_cfg": TEXT},
    "tiny-quickgelu": {"vision_cfg": VISION, "text_cfg": TEXT, "quick_gelu": True},
    # as SigLIP: another class, with a bias of the logits
    "tiny_biased": {"vision_cfg": VISION, "text_cfg": TEXT, "custom_text": True, "init_logit_bias": -10},
    "tiny_coca": {
        "embed_dim": 32,  # the width of its decoder, which reads the image tower's tokens
        "vision_cfg": {**VISION, **POOLED},
        "text_cfg": {**TEXT, "context_length": 15, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": DECODER,
        "custom_text": True,
    },
    "tiny_timm": {"vision_cfg": TRANSFORMER, "text_cfg": TEXT, "custom_text": True},
    "tiny_conv": {"vision_cfg": CONVOLUTIONAL, "text_cfg": TEXT, "custom_text": True},
}


@pytest.fixture(scope="module", autouse=True)
def _architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("architectures")
    for name, config in TINY.items():
        (folder / f"{name}.json").write_text(json.dumps({"embed_dim": 8, **config}))
    open_clip.add_model_config(folder)


@pytest.fixture
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def weights(tmp_path: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    torch.manual_seed(1)
    state = OpenClip("tiny").model.state_dict()
    save_file(state, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors", state


@pytest.mark.parametrize(
    ("name", "image_blocks"),
    [
        ("tiny", 2),
        ("tiny-quickgelu", 2),
        ("tiny_biased", 2),
        ("tiny_coca", 2),
        ("tiny_timm", 6),
        ("tiny_conv", 0),
    ],
)
def test_what_every_encoder_offers(name: str, image_blocks: int) -> None:
    torch.manual_seed(0)
    encoder = OpenClip(name)
    assert not encoder.training
    assert encoder.name == f"{name} (random weights)"
    assert encoder.image_size == TINY[name]["vision_cfg"]["image_size"]
    images = torch.rand(3, 3, encoder.image_size, encoder.image_size)
    texts = ["a photo of a cat", "a photo of a dog"]
    rows, captions = encoder.encode_images(images), encoder.encode_texts(texts)
    dimensions = TINY[name].get("embed_dim", 8)
    assert (rows.shape, captions.shape) == ((3, dimensions), (2, dimensions))
    for embeddings in (rows, captions):
        assert not torch.allclose(embeddings.norm(dim=1), torch.ones(len(embeddings)), atol=1e-3)
    logits = encoder.logits(rows, captions)

    tokens = open_clip.get_tokenizer(name)(texts)
    unit_rows = encoder.model.encode_image(images, normalize=True)  # open_clip's own way
    unit_captions = encoder.model.encode_text(tokens, normalize=True)
    bias = encoder.model.logit_bias
    expected = encoder.model.logit_scale.exp() * unit_rows @ unit_captions.T + (0 if bias is None else bias)
    torch.testing.assert_close(logits, expected)
    assert (0 if bias is None else encoder.bias.item()) == (-10 if name == "tiny_biased" else 0)
    assert encoder.scale.item() == pytest.approx(1 / 0.07)

    of_images, of_texts = encoder.blocks
    assert (len(of_images), len(of_texts)) == (image_blocks, 3)
    F.cross_entropy(logits, torch.tensor([0, 1, 0])).backward()
    trained = {id(p) for p in encoder.parameters() if p.grad is not None}
    assert all(id(p) in trained for block in (*of_images, *of_texts) for p in block.parameters())


def test_weights_of_a_file(weights: tuple[Path, dict[str, torch.Tensor]]) -> None:
    path, state = weights
    encoder = OpenClip("tiny", str(path))
    assert encoder.name == "tiny (tiny.safetensors)"
    loaded = encoder.model.state_dict()
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_quick_gelu_is_switched_on_for_tags_that_need_it(
    weights: tuple[Path, dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = weights
    tags = {
        "quick": {"file": str(path), "quick_gelu": True, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)},
        "plain": {"file": str(path)},
    }
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "tiny", tags)
    images = torch.rand(2, 3, 32, 32)
    quick = OpenClip("tiny", "quick")
    assert quick.name == "tiny (quick)"
    assert (quick.mean, quick.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    rows = quick.encode_images(images)
    torch.testing.assert_close(rows, OpenClip("tiny-quickgelu", str(path)).encode_images(images))
    plain = OpenClip("tiny", "plain").encode_images(images)
    torch.testing.assert_close(plain, OpenClip("tiny", str(path)).encode_images(images))
    assert not torch.allclose(rows, plain, atol=1e-5)
    assert OpenClip("tiny").mean == (0.1, 0.2, 0.3)  # without weights, as those of the architecture


def test_weights_that_do_not_fit_are_named(
    weights: tuple[Path, dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    _, state = weights
    path = tmp_path / "other.safetensors"
    without = {name: tensor for name, tensor in state.items() if name != "ln_final.bias"}
    save_file({**without, "extra.weight": torch.ones(1)}, path)
    with pytest.raises(ValueError, match=r"2 tensors: ln_final\.bias is missing, extra\.weight is not in"):
        OpenClip("tiny", str(path))
    save_file({**state, "ln_final.bias": torch.ones(3)}, path)
    with pytest.raises(ValueError, match=r"other\.safetensors does not fit.*ln_final\.bias") as error:
        OpenClip("tiny", str(path))
    assert "\n" not in str(error.value)
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"no weights")
    with pytest.raises(ValueError, match="does not fit, or is no file of weights"):
        OpenClip("tiny", str(damaged))


def test_unknown_names_are_answered_with_what_there_is() -> None:
    with pytest.raises(ValueError, match=r"'VIT-B32' is not one of the .*did you mean ViT-B-32"):
        OpenClip("VIT-B32")
    with pytest.raises(
        ValueError, match=r"'opnai' is neither a file nor one of the weights of ViT-B-32: openai"
    ):
        OpenClip("ViT-B-32", "opnai")
    with pytest.raises(ValueError, match="it has none"):
        OpenClip("tiny_conv", "openai")


@pytest.mark.usefixtures("no_hub")
def test_no_hub_is_one_sentence() -> None:
    with pytest.raises(WeightsUnavailable, match=r"pretrained weights 'timm/.*openai.*composed$") as error:
        OpenClip("ViT-B-32", "openai")
    assert "\n" not in str(error.value)
    with pytest.raises(
        WeightsUnavailable, match=r"the tokenizer 'timm/ViT-B-16-SigLIP' .*model=clip_vit_b32$"
    ):
        OpenClip("ViT-B-16-SigLIP")


def test_a_root_logger_without_handlers_stays_so() -> None:
    import logging

    handlers, disabled = list(logging.root.handlers), logging.root.manager.disable
    OpenClip("tiny")
    assert logging.root.handlers == handlers
    assert logging.root.manager.disable == disabled


CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "encoder").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_configuration_names_an_encoder_or_a_file(path: Path) -> None:
    with initialize_config_dir(str(path.parents[1]), version_base=None):
        config = compose(f"encoder/{path.stem}").encoder
    arguments = {key for key in config if key != "_target_"}
    inspect.signature(get_object(config._target_)).bind(**dict.fromkeys(arguments))
    if "architecture" in config:
        assert open_clip.get_pretrained_cfg(config.architecture, config.pretrained)


@pytest.mark.slow
def test_vit_b32_with_random_weights() -> None:
    encoder = OpenClip("ViT-B-32")
    assert (
        sum(parameter.numel() for parameter in encoder.parameters()) == 151_277_313
    )  # arXiv 2407.15731's CLIP
    assert [len(blocks) for blocks in encoder.blocks] == [12, 12]
    assert encoder.image_size == 224
    assert encoder.mean == open_clip.OPENAI_DATASET_MEAN
    with torch.no_grad():
        assert encoder.encode_images(torch.rand(1, 3, 224, 224)).shape == (1, 512)
        assert encoder.encode_texts(["a photo of a cat"]).shape == (1, 512)
