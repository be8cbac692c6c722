"""Images on disk: equal to those that are decoded, shared, and never in the way."""

from __future__ import annotations

import pytest
import torch

from unseen.data import canvas_cache
from unseen.data.canvas_cache import CanvasCache
from unseen.image_sets.benchmark import LabelledFolder
from unseen.image_sets.kept import kept
from unseen.image_sets.pictures import FilePictures, KeptPictures

PATHS = [f"{name}/{name}{i}.png" for name in ("bear", "cat", "dog") for i in range(3)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas_cache, "_SPARE_BYTES", 0)
    return CanvasCache(tmp_path / "cache", 1e9, setting="cache_gb")


@pytest.fixture
def images(folder, zipped):
    """Of an archive, whose check sums say what is in it."""
    [found] = LabelledFolder(str(zipped(folder(PATHS)))).open("mine", size=16)
    return found


def test_kept_images_are_the_same(images, cache, monkeypatch) -> None:
    expected = images.read(range(9))
    mapped = kept(images, cache)
    assert isinstance(mapped.pictures, KeptPictures)
    assert torch.equal(mapped.read(range(9)), expected)
    assert torch.equal(mapped.read([8, 3, 3]), expected[[8, 3, 3]])
    assert mapped.fingerprint() == images.fingerprint()
    assert mapped.notices == images.notices
    # another network, or another process, decodes nothing
    monkeypatch.setattr(FilePictures, "read", lambda *_: pytest.fail("decoded again"))
    again = kept(images, cache)
    assert torch.equal(again.read(range(9)), expected)
    assert torch.equal(again.limited(3).read([0]), expected[[images.files.index(again.limited(3).files[0])]])
    assert len(list(cache.folder.glob("*.npy"))) == 1


def test_other_images_and_sizes_are_other_entries(images, cache, folder, zipped) -> None:
    kept(images, cache)
    some = kept(images.limited(4), cache)
    assert torch.equal(some.read(range(4)), images.limited(4).read(range(4)))
    [large] = LabelledFolder(images.pictures.root).open("mine", size=32)
    assert kept(large, cache).read([0]).shape == (1, 3, 32, 32)
    assert len(list(cache.folder.glob("*.npy"))) == 3


def test_without_a_cache_or_room_images_are_decoded_when_they_are_read(images, cache, tmp_path) -> None:
    assert isinstance(kept(images, None).pictures, FilePictures)
    assert isinstance(kept(images, CanvasCache(tmp_path / "cache", 100)).pictures, FilePictures)
    assert not (tmp_path / "cache").exists()


def test_a_full_disk_is_told(images, cache, monkeypatch) -> None:
    monkeypatch.setattr(canvas_cache, "_SPARE_BYTES", 2**60)
    found = kept(images, cache)
    assert torch.equal(found.read(range(9)), images.read(range(9)))
    assert len(found.notices) == 1
    assert "of the disk" in found.notices[0]


def test_bad_files_are_named(folder, cache) -> None:
    root = folder(PATHS)
    (root / "cat/cat1.png").write_bytes(b"no picture")
    [images] = LabelledFolder(str(root)).open("mine", size=16)
    with pytest.raises(ValueError, match=r"cat/cat1\.png of .* cannot be used \(not an image"):
        kept(images, cache)
