"""Networks that were published in timm's format: from a folder, and from the hub's cache, which is a folder, too."""

from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants

from unseen.backbones.timm import TimmSpec, _published
from unseen.backbones.weights import WeightsUnavailable

NAME = "test_resnet"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = timm.create_model(NAME, num_classes=7)
    timm.models._hub.save_for_hf(
        network, tmp_path, model_config={"label_names": None}, safe_serialization=True
    )
    return tmp_path


def test_a_folder_of_a_network(published: Path) -> None:
    spec = TimmSpec(f"local-dir:{published}", pretrained=True)
    spec.check(64)
    backbone = spec.build(3, 64)
    (file,) = published.glob("*.safetensors")
    from safetensors.torch import load_file

    stored = load_file(file)
    mine = backbone.network.state_dict()
    assert torch.equal(mine["conv1.0.weight"], stored["conv1.0.weight"])
    assert (mine["fc.weight"].shape[0], stored["fc.weight"].shape[0]) == (3, 7)


def test_the_hub_s_cache_is_used_without_a_network(
    published: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path_factory.mktemp("hub")
    snapshot = cache / "models--us--net" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (cache / "models--us--net" / "refs").mkdir()
    (cache / "models--us--net" / "refs" / "main").write_text("0" * 40)
    for file in published.iterdir():
        (snapshot / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    spec = TimmSpec("hf-hub:us/net", pretrained=True)
    spec.check(64)
    assert spec.build(3, 64).num_classes == 3


def test_what_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    _published.cache_clear()
    with pytest.raises(WeightsUnavailable, match="HF_HUB_OFFLINE is set"):
        TimmSpec("hf-hub:us/net").check(64)
    with pytest.raises(ValueError, match="holds no network of timm"):
        TimmSpec(f"local-dir:{tmp_path}").check(64)
    with pytest.raises(ValueError, match="write hf-hub:owner/name"):
        TimmSpec("hub:us/net").check(64)
