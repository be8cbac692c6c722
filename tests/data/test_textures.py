"""Patches of photographs, and the images of a fabric: where each is cut, what is trained on, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data as photographs

from unseen.data.catalog import DataUnavailableError
from unseen.data.sources.textile import Textile
from unseen.data.sources.textures import Textures


def test_patches_lie_side_by_side_and_training_ones_to_the_left() -> None:
    source = Textures()
    counts = source.list().counts()
    assert counts["brick"] == {"train": 60, "test": 40}  # 10 x 10 of 48 pixels; six columns are trained on
    assert len(counts) == 6
    assert {len(set(of.items())) for of in counts.values()} == {2}
    columns = {"train": set(), "test": set()}
    for entry in source.list().entries:
        columns[entry.part].add(int(entry.reference.split("/")[2]))
    assert max(columns["train"]) < min(columns["test"])
    whole = photographs.brick()
    patch = np.asarray(source.read("brick/02/03"))
    assert patch.shape == (48, 48, 3)
    np.testing.assert_array_equal(patch[:, :, 0], whole[96:144, 144:192])


def test_all_patches_are_grey() -> None:
    for name in Textures().list().classes():
        patch = np.asarray(Textures().read(f"{name}/00/00"))
        assert (patch == patch[:, :, :1]).all()


@pytest.mark.parametrize(
    ("settings", "says"), [({"root": "here"}, "no meaning"), ({"patch_size": 200}, "between 8 and 128")]
)
def test_textures_refuse(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Textures(**settings).check()  # type: ignore[arg-type]


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, source in (("textures", Textures()), ("textile", Textile())):
        monkeypatch.setattr(f"unseen.data.sources.{module}.find_spec", lambda name: None)
        with pytest.raises(DataUnavailableError, match="pip install"):
            source.check()


def test_the_fabric_has_three_classes() -> None:
    pytest.importorskip("conformal_clip_data")
    source = Textile()
    source.check()
    assert source.list().counts() == {
        "nominal": {"whole": 1000},
        "local": {"whole": 500},
        "global": {"whole": 500},
    }
    assert source.read(source.list().entries[0].reference).size == (250, 250)
    with pytest.raises(ValueError, match="no meaning"):
        Textile(root="here").check()
