"""Corrupted images, stored as corruption/severity/CLASS."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from unseen.data import canvas_cache, canvases
from unseen.data.canvas_cache import CanvasCache
from unseen.image_sets.benchmark import LabelledFolder, available
from unseen.image_sets.corrupted import Corrupted
from unseen.image_sets.corruptions import corrupt
from unseen.image_sets.kept import kept
from unseen.image_sets.tables import wordnet_ids

CLASS = wordnet_ids()[7]


def stored(folder, cells, name="imagenet-c"):
    return str(folder([f"{cell}/{CLASS}/ILSVRC2012_val_00000001.JPEG" for cell in cells], name=name))


def test_each_corruption_and_severity_is_a_set_of_one_benchmark(folder) -> None:
    root = stored(folder, ["fog/1", "fog/2", "snow/1", "snow/2"])
    found, missing = available(
        {"c": Corrupted(["snow", "fog"], root, "robustness", severities=[1, 2], expected=1)}
    )
    assert list(found) == ["c-snow-1", "c-snow-2", "c-fog-1", "c-fog-2"]
    assert {(images.benchmark, images.group) for images in found.values()} == {("c", "robustness")}
    assert [images.read([0])[0, 0, 0, 0].item() for images in found.values()] == [2, 3, 0, 1]
    assert found["c-fog-1"].labels.tolist() == [7]
    assert (missing, found["c-fog-1"].notices) == ({}, ())


def test_an_archive_around_it(folder, zipped) -> None:
    root = folder([f"imagenet-c/fog/{s}/{CLASS}/1.JPEG" for s in range(1, 6)])
    found, _ = available({"c": Corrupted(["fog"], str(zipped(root)))})
    assert len(found) == 5
    assert found["c-fog-5"].notices == ("1 image, and the public set has 50,000",)


def test_what_is_not_stored_is_named(folder) -> None:
    root = stored(folder, ["fog/1", "snow/2"])
    found, _ = available({"c": Corrupted(["fog", "snow", "frost"], root, severities=[1, 2], expected=1)})
    assert list(found) == ["c-fog-1", "c-snow-2"]
    notice = f"c is without fog (2), snow (1), frost (1, 2), which {root} has not"
    assert [images.notices for images in found.values()] == [(notice,), ()]


def test_missing_roots(folder, tmp_path) -> None:
    sets = {
        "nowhere": Corrupted(["fog"], str(tmp_path / "nowhere")),
        "other": Corrupted(["fog"], stored(folder, ["snow/1", "rain/1"])),
        "no_clean": Corrupted(["fog"], str(tmp_path / "no"), clean=LabelledFolder(str(tmp_path / "neither"))),
    }
    found, missing = available(sets)
    assert found == {}
    assert "does not exist" in missing["nowhere"]
    assert missing["other"].endswith("has none of the folders fog")
    assert "no clean images to corrupt: benchmark.no_clean.clean.root=" in missing["no_clean"] or (
        "unseen[corruptions]" in missing["no_clean"]
    )


def test_what_is_absent_is_made_of_clean_images(folder, tmp_path) -> None:
    pytest.importorskip("corrupt_tta")
    clean = LabelledFolder(
        str(folder([f"val/{CLASS}/{i}.JPEG" for i in range(3)], name="clean", side=224)), folder="val"
    )
    root = stored(folder, ["fog/1"])
    reader = Corrupted(
        ["fog", "gaussian_noise"], root, "robustness", severities=[1, 5], clean=clean, seed=3, expected=1
    )
    found, missing = available({"c": reader}, size=64)
    assert (list(found), missing) == (["c-fog-1", "c-fog-5", "c-gaussian_noise-1", "c-gaussian_noise-5"], {})
    assert [len(images) for images in found.values()] == [1, 3, 3, 3]
    assert found["c-fog-5"].notices == (
        f"made of clean images when they are read, for {root} has not fog (5), gaussian_noise (1, 5)",
    )
    [original] = clean.open("clean", 64)
    made = found["c-gaussian_noise-5"]
    expected = corrupt(original.read(range(3)), "gaussian_noise", 5, [0, 1, 2], 3)
    assert torch.equal(made.read(range(3)), expected)
    # the noise of an image is its own, in whatever batch or part of the set it is
    assert torch.equal(made.read([2]), expected[2:])
    assert torch.equal(made.only([2, 0]).only([0]).read([0]), expected[2:])
    assert made.labels.tolist() == [7, 7, 7]
    prints = {images.fingerprint() for images in [*found.values(), original, made.only([0, 1])]}
    assert len(prints) == 6
    other_seed, _ = available({"c": replace(reader, seed=4)}, size=64)
    assert other_seed["c-gaussian_noise-5"].fingerprint() not in prints


def test_made_images_are_kept_as_they_are_read(folder, tmp_path, monkeypatch) -> None:
    pytest.importorskip("corrupt_tta")
    monkeypatch.setattr(canvas_cache, "_SPARE_BYTES", 0)
    clean = LabelledFolder(str(folder([f"val/{CLASS}/{i}.JPEG" for i in range(4)], side=224)), folder="val")
    [made] = Corrupted(["shot_noise"], severities=[3], clean=clean).open("c", 64)
    monkeypatch.setattr(canvases, "_IMAGES_PER_TASK", 1)  # a thread for each
    mapped = kept(made, CanvasCache(tmp_path / "cache", 1e9))
    assert torch.equal(mapped.read(range(4)), made.read(range(4)))


def test_corruptions_that_nobody_can_make(folder) -> None:
    clean = LabelledFolder(str(folder([f"val/{CLASS}/1.JPEG"])), folder="val")
    with pytest.raises(
        ValueError, match=r"benchmark\.c\.corruptions has frog, .* \(did you mean fog\?\); allowed are"
    ):
        Corrupted(["frog"], clean=clean).open("c")


@pytest.mark.parametrize(
    ("corruptions", "severities", "says"),
    [
        (["fog"], [0, 1], r"benchmark\.c\.severities has 0; allowed are 1 to 5"),
        (["fog", "fog"], [1], r"corruptions=\['fog', 'fog'\] must name at least one, each once"),
        ([], [1], "must name at least one"),
    ],
)
def test_settings_that_cannot_be(corruptions, severities, says) -> None:
    with pytest.raises(ValueError, match=says):
        Corrupted(corruptions, "/anywhere", severities=severities).open("c")
