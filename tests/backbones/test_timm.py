"""timm architectures: what is refused, which sizes they take, and how their weights get in."""

import time
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from unseen.backbones.timm import TimmSpec
from unseen.backbones.weights import WeightsUnavailable

TINY = "test_vit.r160_in1k"  # 0.4 M parameters, 16-pixel patches, 160 px, 1,000 classes


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hugging Face cache, without network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return tmp_path


def put_in_cache(cache: Path, repository: str, weights: dict[str, torch.Tensor]) -> None:
    """Lays out one repository as the hub's client would after a download."""
    repository_folder = cache / f"models--{repository.replace('/', '--')}"
    (repository_folder / "refs").mkdir(parents=True)
    (repository_folder / "refs" / "main").write_text("0" * 40)
    snapshot = repository_folder / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    save_file(weights, snapshot / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spec", "image_size", "message"),
    [
        (TimmSpec("resnet81"), 32, r"model.name='resnet81' is not an architecture of timm .*did you mean resnet.*\?"),
        (TimmSpec("qqqqqq"), 32, r"model.name='qqqqqq' is not an architecture of timm [\d.]+$"),
        (TimmSpec("resnet18.a9"), 32, "'a9' is not one of the weights of resnet18: .*a1_in1k"),
        (TimmSpec("resnet18", options={"depht": 3}), 32, "options={'depht': 3}: .*unexpected keyword.*'depht'"),
        (TimmSpec("vit_tiny_patch16_224", options={"depht": 3}), 32, "unexpected keyword.*'depht'"),
        (TimmSpec("resnet18", weights="web"), 32, "weights='web' is not one of hub, efficientnet_lite0, .*lite2"),
        (TimmSpec("resnet18"), 0, "data.image_size=0 is not a positive number"),
        (TimmSpec("vit_tiny_patch16_224", name="vit"), 36, "'vit' cannot take data.image_size=36: its patches of "
         "16 x 16 pixels tile multiples of 16 only; the nearest sizes that it takes: 32 and 48$"),
        (TimmSpec("convnextv2_atto"), 16, "cannot take data.image_size=16: .*; the nearest sizes that it takes: 32$"),
        (TimmSpec("swin_tiny_patch4_window7_224"), 30, "data.image_size=30: .*multiples of 4 only; .*: 28 and 32$"),
        (TimmSpec("nest_tiny"), 100, "data.image_size=100: .*blocks don't fit evenly.* takes: 96 and 112$"),
        (TimmSpec("resnet18"), 4, "data.image_size=4: already its first layer maxpool would see .* single position; "
         "the nearest sizes that it takes: 7$"),
        (TimmSpec("resnet18", pretrained=True, has_checkpoint=False), 32, "pretrained=true, but nobody has trained"),
        (TimmSpec("poolformer", pretrained=True), 32, "pretrained=true, but timm has no weights for 'poolformer'"),
        (TimmSpec("tnt_s_patch16_224"), 224, "no layers found automatically, name them with model.backbone.taps"),
    ],
)  # fmt: skip
def test_what_is_refused_before_anything_is_loaded(spec: TimmSpec, image_size: int, message: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError, match=message) as refusal:
        spec.check(image_size)
    assert "\n" not in str(refusal.value)
    assert time.perf_counter() - began < 30  # about one second when nobody else wants the machine


@pytest.mark.parametrize("architecture", ["resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_other_sizes_than_the_published_one(architecture: str) -> None:
    with torch.device("meta"):
        backbone = TimmSpec(architecture).build(3, 64).eval()
        assert backbone(torch.zeros(1, 3, 64, 64)).shape == (1, 3)


def test_normalisation_comes_from_the_weights() -> None:
    assert TimmSpec("vit_base_patch16_224.orig_in21k").mean == (0.5, 0.5, 0.5)
    assert TimmSpec("resnet18").mean == (0.485, 0.456, 0.406)
    assert TimmSpec("resnet18").std == (0.229, 0.224, 0.225)


def test_pretrained_weights_from_the_cache(hub_cache: Path) -> None:
    torch.manual_seed(1)
    published = timm.create_model(TINY, num_classes=1000)
    put_in_cache(hub_cache, f"timm/{TINY}", published.state_dict())

    torch.manual_seed(0)
    backbone = TimmSpec(TINY, pretrained=True).build(5, 160)
    torch.manual_seed(0)
    scratch = TimmSpec(TINY).build(5, 160)

    ours, theirs, new = backbone.network.state_dict(), published.state_dict(), scratch.network.state_dict()
    assert ours.keys() == theirs.keys()
    for name in ours:
        # The body is the checkpoint's; the head is the one that this seed draws without a checkpoint, too.
        assert torch.equal(ours[name], new[name] if name.startswith("head.") else theirs[name]), name
    assert backbone(torch.zeros(1, 3, 160, 160)).shape == (1, 5)


def test_as_many_classes_as_the_checkpoint_still_get_a_new_head(hub_cache: Path) -> None:
    published = timm.create_model(TINY, num_classes=1000)
    put_in_cache(hub_cache, f"timm/{TINY}", published.state_dict())
    backbone = TimmSpec(TINY, pretrained=True).build(1000, 160)
    assert not torch.equal(backbone.network.head.weight, published.head.weight)
    assert torch.equal(backbone.network.blocks[0].attn.qkv.weight, published.blocks[0].attn.qkv.weight)


def test_position_tables_follow_the_image_size(hub_cache: Path) -> None:
    published = timm.create_model(TINY, num_classes=1000)
    with torch.no_grad():
        published.pos_embed.fill_(0.25)  # resizing a constant keeps the constant
    put_in_cache(hub_cache, f"timm/{TINY}", published.state_dict())
    network = TimmSpec(TINY, pretrained=True).build(5, 64).network
    assert network.pos_embed.shape[1] < published.pos_embed.shape[1]
    torch.testing.assert_close(network.pos_embed, torch.full_like(network.pos_embed, 0.25))


def test_a_checkpoint_that_does_not_fit_is_not_loaded_in_part(hub_cache: Path) -> None:
    weights = timm.create_model(TINY, num_classes=1000).state_dict()
    del weights["norm.bias"]
    put_in_cache(hub_cache, f"timm/{TINY}", weights)
    with pytest.raises(RuntimeError, match=r"norm\.bias"):
        TimmSpec(TINY, pretrained=True).build(5, 160)


def test_no_network_and_no_cache_end_in_one_sentence(hub_cache: Path) -> None:
    with pytest.raises(
        WeightsUnavailable, match=f"'timm/{TINY}' are not in the local cache {hub_cache}"
    ) as failure:
        TimmSpec(TINY, pretrained=True).build(5, 160)
    assert "\n" not in str(failure.value)
    for advice in ("HF_HUB_OFFLINE is set", "HF_HOME", "model.pretrained=false"):
        assert advice in str(failure.value)


def test_a_hub_that_does_not_answer_fails_fast(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    began = time.perf_counter()
    with pytest.raises(WeightsUnavailable, match=r"127\.0\.0\.1:9 does not answer"):
        TimmSpec(TINY, pretrained=True).build(5, 160)
    assert time.perf_counter() - began < 20  # the hub's own retries alone would take longer
    assert constants.HF_HUB_OFFLINE is False

    # What was downloaded before is used without the hub.
    put_in_cache(hub_cache, f"timm/{TINY}", timm.create_model(TINY, num_classes=1000).state_dict())
    assert TimmSpec(TINY, pretrained=True).build(5, 160).num_classes == 5
