"""Sets of images: pixels, limits, fingerprints."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from tests.image_sets.conftest import picture
from torchvision.transforms import CenterCrop, Compose, Resize

from unseen.data.canvases import UnreadableImageError
from unseen.image_sets.benchmark import LabelledFolder
from unseen.image_sets.image_set import stratified
from unseen.image_sets.pictures import KeptPictures, prepared

PATHS = [f"{name}/{name}{i}.png" for name in ("bear", "cat", "dog") for i in range(4)]


def noise(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("shape", [(300, 280), (256, 401), (100, 150), (500, 333), (225, 224)])
def test_other_sizes_are_resized_and_cropped_as_torchvision_does(shape) -> None:
    image = noise(*shape)
    expected = Compose([Resize(256), CenterCrop(224)])(image)
    np.testing.assert_array_equal(np.asarray(prepared(image)), np.asarray(expected))


def test_pictures_of_224_are_used_as_stored() -> None:
    image = noise(224, 224)
    assert prepared(image) is image
    # for a network of another size, the whole picture, not its centre
    expected = image.resize((64, 64), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(np.asarray(prepared(image, 64)), np.asarray(expected))


def test_images_are_read_by_number(folder) -> None:
    [images] = LabelledFolder(str(folder(PATHS, side=224))).open("mine")
    got = images.read([5, 0])
    assert (got.shape, got.dtype) == ((2, 3, 224, 224), torch.uint8)
    assert got[:, 0, 0, 0].tolist() == [5, 0]
    assert images.labels.tolist() == [1] * 4 + [5 + 2] * 4 + [10] * 4  # bear, cat, dog of the sorted 16


def test_gray_transparent_and_palette_pictures_are_rgb(folder) -> None:
    root = folder(PATHS[:1])
    Image.new("L", (224, 224), 7).save(root / "bear/gray.png")
    Image.new("RGBA", (224, 224), (9, 9, 9, 0)).save(root / "bear/see-through.png")
    Image.new("P", (224, 224)).save(root / "bear/table.png")
    [images] = LabelledFolder(str(root)).open("mine")
    got = images.read(range(4))[1:, :, 0, 0]
    assert got.tolist() == [[7] * 3, [255] * 3, [0] * 3]


def test_a_bad_file_is_named(folder) -> None:
    root = folder(PATHS)
    (root / "bear/bear2.png").write_bytes(b"")
    [images] = LabelledFolder(str(root)).open("mine")
    images.read([0, 1])
    with pytest.raises(UnreadableImageError, match=r"bear/bear2\.png of .* cannot be used \(empty file\)"):
        images.read([2])


def test_a_limit_keeps_the_shares_of_the_classes() -> None:
    labels = np.repeat([3, 7, 9], [60, 30, 10])
    drawn = stratified(labels, 20, seed=0)
    assert Counter(labels[drawn].tolist()) == {3: 12, 7: 6, 9: 2}
    assert drawn.tolist() == sorted(set(drawn.tolist()))
    assert drawn.tolist() == stratified(labels, 20, seed=0).tolist()
    assert drawn.tolist() != stratified(labels, 20, seed=1).tolist()


def test_a_limit_below_the_number_of_classes_draws_classes() -> None:
    labels = np.repeat(np.arange(50), 4)
    drawn = stratified(labels, 20, seed=0)
    assert len(set(labels[drawn].tolist())) == 20
    assert set(labels[drawn].tolist()) != set(labels[stratified(labels, 20, seed=1)].tolist())
    # a class of 1,000 beside 500 classes of one: 400 of 1,500 are its share of 266.67, up or down
    uneven = np.concatenate([np.zeros(1000, dtype=np.int64), np.arange(1, 501)])
    assert Counter((uneven[stratified(uneven, 400, seed=3)] == 0).tolist())[True] in (266, 267)


def test_a_limited_set_is_a_part_of_the_set(folder) -> None:
    [images] = LabelledFolder(str(folder(PATHS))).open("mine")
    few = images.limited(6, seed=0)
    assert Counter(few.labels.tolist()) == {1: 2, 7: 2, 10: 2}
    assert set(few.files) < set(images.files)
    for number, name in enumerate(few.files):
        assert torch.equal(few.read([number])[0], images.read([list(images.files).index(name)])[0])
    assert images.limited(None) is images
    assert images.limited(12) is images
    with pytest.raises(ValueError, match="limit=0 must be at least 1"):
        images.limited(0)


def test_the_fingerprint_says_which_images(folder) -> None:
    root = folder(PATHS)
    [images] = LabelledFolder(str(root)).open("mine")
    [again] = LabelledFolder(str(root)).open("other name")
    assert images.fingerprint() == again.fingerprint()
    assert images.fingerprint() != images.limited(6).fingerprint()
    [small] = LabelledFolder(str(root)).open("mine", size=64)
    assert images.fingerprint() != small.fingerprint()
    kept = KeptPictures(images.read(range(12)).numpy(), images.pictures)
    assert kept.stamps() == images.pictures.stamps()


def test_a_changed_picture_changes_the_fingerprint(folder) -> None:
    root = folder(PATHS)
    [images] = LabelledFolder(str(root)).open("mine")
    before = images.fingerprint()
    (root / PATHS[3]).write_bytes(picture(77))
    assert images.fingerprint() != before


def test_a_zip_archive_holds_the_same_images(folder, zipped) -> None:
    root = folder(PATHS)
    [images] = LabelledFolder(str(root)).open("mine")
    [packed] = LabelledFolder(str(zipped(root))).open("mine")
    assert list(packed.files) == list(images.files)
    assert packed.labels.tolist() == images.labels.tolist()
    assert torch.equal(packed.read(range(12)), images.read(range(12)))
