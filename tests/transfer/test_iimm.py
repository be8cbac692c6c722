from __future__ import annotations

import itertools
import re
import sys

import numpy as np
import pytest
import torch
from tests.transfer.conftest import ReferenceTask

from unseen.transfer import iimm


def test_reference_values(task: ReferenceTask) -> None:
    found, values = iimm(task.images, task.texts, task.labels), task.values
    assert found.iimm == pytest.approx(values["iimm"], abs=1e-8)
    assert found.inter == pytest.approx(values["s_inter_uniformity_image"], abs=1e-8)
    assert found.intra == pytest.approx(values["s_intra_inter_images"], abs=1e-8)
    assert found.inter_by_class == pytest.approx(values["uniformity_text"], abs=1e-8)
    assert found.inter_text == pytest.approx(values["inter_text"], abs=1e-8)
    assert found.gap == pytest.approx(values["gap"], abs=1e-8)
    assert found.correct == pytest.approx(values["cos_sim_correct"], abs=1e-8)


def test_the_closed_forms_are_the_means_over_pairs(small: ReferenceTask) -> None:
    images, texts, labels = small.images[:40], small.texts, small.labels[:40]
    wrong = [image @ texts[c] for image, y in zip(images, labels, strict=True) for c in range(3) if c != y]
    pairs = [one @ other for one, other in itertools.combinations(images, 2)]
    by_caption = [(images[labels != c] @ texts[c]).mean() for c in range(3)]
    found = iimm(images, texts, labels)
    assert found.inter == pytest.approx(np.mean(wrong), abs=1e-14)
    assert found.intra == pytest.approx(np.mean(pairs), abs=1e-14)
    assert found.inter_by_class == pytest.approx(np.mean(by_caption), abs=1e-14)


def test_by_hand() -> None:
    """Images 0°, 90° and 90°, captions 0° and 60°; labels 0, 1, 1.

    Wrong cosines: 0° with 60°: 1/2; 90° with 0°: 0, twice; mean 1/6. Pairs of images: 0, 0, 1; mean 1/3.
    Right: 1, √3/2 twice. By caption: caption 0: 0; caption 1: 1/2; mean 1/4.
    """
    images, texts = [[2, 0], [0, 1], [0, 5]], [[1, 0], [0.5, 3**0.5 / 2]]
    found = iimm(images, texts, [0, 1, 1])
    assert found.inter == pytest.approx(1 / 6)
    assert found.intra == pytest.approx(1 / 3)
    assert found.iimm == pytest.approx(1 / 4)
    assert found.correct == pytest.approx((1 + 3**0.5) / 3)
    assert found.inter_by_class == pytest.approx(1 / 4)
    assert found.inter_text == pytest.approx(1 / 2)
    # mean image (1/3, 2/3), mean caption (3/4, √3/4)
    assert found.gap == pytest.approx(np.hypot(1 / 3 - 3 / 4, 2 / 3 - 3**0.5 / 4))


def test_the_weight_goes_from_one_part_to_the_other(small: ReferenceTask) -> None:
    found = iimm(small.images, small.texts, small.labels)
    assert (found.weighted(0), found.weighted(1), found.weighted(0.5)) == (
        found.inter,
        found.intra,
        found.iimm,
    )


def test_neither_length_nor_rotation_nor_order_nor_names_of_classes_matter(small: ReferenceTask) -> None:
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    order, names = rng.permutation(301), rng.permutation(3)
    lengths = 10.0 ** rng.uniform(-200, 200, size=(301, 1))
    texts = np.empty_like(small.texts)
    texts[names] = small.texts
    found = iimm((small.images * lengths @ rotation)[order], 7 * texts @ rotation, names[small.labels][order])
    expected = iimm(small.images, small.texts, small.labels)
    for part in ("iimm", "inter", "intra", "inter_by_class", "inter_text", "gap", "correct"):
        assert getattr(found, part) == pytest.approx(getattr(expected, part), abs=1e-12)


def test_blocks_of_rows_give_what_one_block_gives(
    small: ReferenceTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = iimm(small.images, small.texts, small.labels)
    # the name `unseen.transfer.iimm` is the function
    monkeypatch.setattr(sys.modules["unseen.transfer.iimm"], "ROWS_AT_ONCE", 7)
    assert iimm(small.images, small.texts, small.labels).iimm == pytest.approx(whole.iimm, abs=1e-15)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_tensors_and_their_precision(small: ReferenceTask, dtype: torch.dtype) -> None:
    """The input is rounded to the type; all else is done in float64."""
    images, texts = (torch.from_numpy(rows).to(dtype) for rows in (small.images, small.texts))
    found = iimm(images, texts, torch.from_numpy(small.labels))
    rounded = iimm(images.double().numpy(), texts.double().numpy(), small.labels)
    assert found == rounded
    assert found.iimm == pytest.approx(small.values["iimm"], abs=20 * torch.finfo(dtype).eps)


def test_the_input_stays_as_it_is(small: ReferenceTask) -> None:
    images, texts, labels = 3 * small.images, 2 * small.texts, small.labels.copy()
    copies = images.copy(), texts.copy(), labels.copy()
    for values in (images, texts, labels):
        values.flags.writeable = False
    iimm(images, texts, labels)
    for values, copy in zip((images, texts, labels), copies, strict=True):
        np.testing.assert_array_equal(values, copy)


def test_a_class_without_images_and_images_of_one_class() -> None:
    """Two images along caption 0: wrong cosines 0 and 0 with caption 1; caption 0 is wrong for no image."""
    found = iimm([[1, 0], [1, 0]], [[1, 0], [0, 1]], [0, 0])
    assert (found.inter, found.intra, found.inter_by_class) == (0, 1, 0)


TEXTS = [[1.0, 0.0], [0.0, 1.0]]
IMAGES = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("images", "texts", "labels", "message"),
    [
        (IMAGES, [[1.0, 0.0]], [0, 0, 0], "texts has one class only"),
        ([[1.0, 0.0]], TEXTS, [0], "there is one image only"),
        (IMAGES, [[1.0, 0, 0], [0, 1.0, 0]], [0, 1, 1], "images have 2 dimensions and texts 3"),
        ([*IMAGES[:2], [0.0, 0.0]], TEXTS, [0, 1, 1], "row 2 of images is all zeros"),
        (IMAGES, [[1.0, 0.0], [0.0, 0.0]], [0, 1, 1], "row 1 of texts is all zeros"),
        ([[1.0, 0.0], [np.nan, 1.0], [1, 1]], TEXTS, [0, 1, 1], "row 1 of images has NaN or infinity"),
        ([[1.0, 0.0], [np.inf, 1.0], [1, 1]], TEXTS, [0, 1, 1], "row 1 of images has NaN or infinity"),
        (IMAGES, TEXTS, [0, 1, 2], "label 2 has no class: with 2 classes labels go from 0 to 1"),
        (IMAGES, TEXTS, [0, -1, 1], "label -1 has no class"),
        (IMAGES, TEXTS, [0, 1], "labels must be one for each of 3 images, got shape (2,)"),
        (IMAGES, TEXTS, [0.0, 1.0, 1.0], "labels must be integers, got dtype float64"),
        ([1.0, 2.0], TEXTS, [0, 1], "images must be a table of rows and columns"),
        (IMAGES, [["a", "b"], ["c", "d"]], [0, 1, 1], "texts must be real numbers"),
        ([[1.0], [1.0, 2.0]], TEXTS, [0, 1], "images cannot be read as an array"),
    ],
)
def test_bad_input(images: object, texts: object, labels: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        iimm(images, texts, labels)  # type: ignore[arg-type]


def test_a_bad_row_of_a_later_block_has_its_own_number() -> None:
    images = np.ones((5000, 2), dtype=np.float32)
    images[4500] = 0
    with pytest.raises(ValueError, match="row 4500 of images is all zeros"):
        iimm(images, TEXTS, np.zeros(5000, dtype=int))
    images[4000, 1] = np.nan
    with pytest.raises(ValueError, match="row 4000 of images has NaN"):
        iimm(images, TEXTS, np.zeros(5000, dtype=int))
