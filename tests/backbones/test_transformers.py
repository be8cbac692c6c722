"""PVT and CvT: what is refused, which sizes they take, and how their weights get in."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate

from unseen.backbones.transformers import TransformersSpec
from unseen.backbones.weights import WeightsUnavailable


@pytest.fixture
def pvt(compose_model: Callable[..., Any]) -> TransformersSpec:
    return instantiate(compose_model("pvt", "demo").backbone)


@pytest.fixture
def cvt(compose_model: Callable[..., Any]) -> TransformersSpec:
    return instantiate(compose_model("cvt", "demo").backbone)


def test_what_is_refused_before_anything_is_loaded(pvt: TransformersSpec, cvt: TransformersSpec) -> None:
    for spec, image_size, message in [
        (replace(pvt, architecture="pvt2"), 32, "architecture='pvt2' is not one of pvt, cvt"),
        (
            replace(pvt, options={"depht": [1]}),
            32,
            r"'depht' is not a setting of pvt \(did you mean depths\?\)",
        ),
        (replace(pvt, options={"num_labels": 3}), 32, "'num_labels' is not a setting of pvt"),
        (
            replace(pvt, pretrained=True),
            32,
            "model.pretrained=true, but nobody has trained this small variant",
        ),
        (
            replace(pvt, taps=["pvt.nowhere"]),
            32,
            "model 'pvt': model.backbone.taps: 'pvt.nowhere' matches no module",
        ),
        (pvt, 30, "'pvt' cannot take data.image_size=30: its patches of 4 x 4 .* takes: 32$"),
        (pvt, 8, "'pvt' cannot take data.image_size=8: .*; the nearest sizes that it takes: 32$"),
        (
            replace(cvt, options={"depth": [1, 1, 1]}),
            32,
            "'cvt' cannot be built with .*'depth': .*index out of range",
        ),
    ]:
        with pytest.raises(ValueError, match=message) as refusal:
            spec.check(image_size)
        assert "\n" not in str(refusal.value)


# transformers derives the position tables of the later stages from a first stage of stride 4: any other breaks.
@pytest.mark.parametrize(("patch", "works"), [(4, True), (2, False), (8, False)])
def test_patch_sizes_that_break_the_position_tables_are_refused(
    patch: int, works: bool, pvt: TransformersSpec
) -> None:
    spec = replace(pvt, options={**pvt.options, "patch_sizes": [patch, 2, 2, 2], "strides": [patch, 2, 2, 2]})
    if works:
        spec.check(64)
    else:
        with pytest.raises(ValueError, match="'pvt' cannot "):
            spec.check(64)


def test_a_size_that_the_later_stages_do_not_divide(pvt: TransformersSpec, cvt: TransformersSpec) -> None:
    for spec in (pvt, cvt):
        backbone = spec.build(3, 36).eval()  # grids of 9, 4, 2, 1
        with torch.no_grad():
            assert backbone(torch.randn(1, 3, 36, 36)).shape == (1, 3)


@pytest.mark.parametrize("name", ["pvt", "cvt"])
def test_pretrained_weights(
    name: str, compose_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    spec = instantiate(compose_model(name, "demo").backbone)
    torch.manual_seed(1)
    published = spec.build(1000, 64).network
    published.save_pretrained(tmp_path)
    trained = replace(
        spec, pretrained=True, has_checkpoint=True, checkpoint=str(tmp_path), checkpoint_image_size=64
    )

    torch.manual_seed(0)
    backbone = trained.build(5, 64)
    torch.manual_seed(0)
    scratch = spec.build(5, 64)
    ours, theirs, new = backbone.network.state_dict(), published.state_dict(), scratch.network.state_dict()
    assert ours.keys() == theirs.keys()
    for key in ours:
        assert torch.equal(ours[key], new[key] if key.startswith("classifier.") else theirs[key]), key


def test_position_tables_follow_the_image_size(pvt: TransformersSpec, tmp_path: Path) -> None:
    published = pvt.build(1000, 64).network
    tables = [name for name, _ in published.named_parameters() if name.endswith("position_embeddings")]
    assert len(tables) == 4
    with torch.no_grad():
        for name in tables:
            table = published.get_parameter(name)  # (1, [1 +] h * w, D)
            side = int(table.shape[1] ** 0.5)
            table[:] = -7.0  # the class token's place, if there is one
            # A ramp from left to right: 0, 1, 2, ... in every row.
            table[:, -side * side :] = torch.arange(side).repeat(side)[None, :, None].float()
    published.save_pretrained(tmp_path)
    trained = replace(
        pvt, pretrained=True, has_checkpoint=True, checkpoint=str(tmp_path), checkpoint_image_size=64
    )
    resized = trained.build(5, 32).network
    for name, expected in zip(
        tables,
        # Halving a ramp gives the means of neighbours: (0 + 1) / 2, (2 + 3) / 2, ...
        [[0.5 + 2 * column for column in range(size)] for size in (8, 4, 2, 1)],
        strict=True,
    ):
        table = resized.get_parameter(name)
        side = len(expected)
        assert table.shape[1] - side * side == (1 if name == tables[-1] else 0)
        torch.testing.assert_close(table[0, -side * side :, 0], torch.tensor(expected).repeat(side))
        assert (table[0, : table.shape[1] - side * side] == -7.0).all()


def test_a_checkpoint_that_does_not_fit_is_not_loaded_in_part(pvt: TransformersSpec, tmp_path: Path) -> None:
    replace(pvt, options={**pvt.options, "depths": [1, 2, 2, 2]}).build(1000, 64).network.save_pretrained(
        tmp_path
    )
    trained = replace(
        pvt, pretrained=True, has_checkpoint=True, checkpoint=str(tmp_path), checkpoint_image_size=64
    )
    with pytest.raises(RuntimeError, match=r"does not fit pvt: .*missing_keys.*block\.0\.1"):
        trained.build(5, 64)


def test_no_network_and_no_cache_end_in_one_sentence(
    compose_model: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, repository in [("pvt", "Zetatech/pvt-tiny-224"), ("cvt", "microsoft/cvt-21")]:
        spec = instantiate(compose_model(name, "paper", pretrained=True).backbone)
        with pytest.raises(WeightsUnavailable, match=f"'{repository}' are not in the local cache") as failure:
            spec.build(15, 224)
        assert "\n" not in str(failure.value)
        assert "model.pretrained=false" in str(failure.value)
