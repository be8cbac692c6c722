"""ReaL: several classes may be right, images without any are skipped."""

from __future__ import annotations

import json

import numpy as np
import pytest

from unseen.image_sets import real_labels
from unseen.image_sets.real_labels import ReaL
from unseen.image_sets.tables import wordnet_ids

# file number: class of its folder
CLASSES = {1: 65, 2: 970, 3: 230, 4: 809, 5: 516}
SETS = [[65], [970, 795], [], [809, 968, 659], [520, 516]]


def validation(folder, classes=CLASSES, sets=SETS):
    ids = wordnet_ids()
    root = folder([f"val/{ids[c]}/ILSVRC2012_val_{number:08}.JPEG" for number, c in classes.items()])
    if sets is not None:
        (root / "real.json").write_text(json.dumps(sets))
    return root


def test_every_label_of_the_set_is_right(folder) -> None:
    [images] = ReaL(str(validation(folder))).open("real")
    # by class of the folder: 65, 516, 809, 970; the third file has an empty set
    assert images.accepted.tolist() == [[65, -1, -1], [520, 516, -1], [809, 968, 659], [970, 795, -1]]
    assert [name[-6] for name in images.files] == ["1", "5", "4", "2"]
    assert images.notices == ("5 images, and the public set has 50,000",)
    decisions = np.array([65, 516, 0, 795])
    right = (decisions[:, None] == images.accepted).any(axis=1)
    assert right.mean() == 3 / 4  # the skipped image is in no denominator


def test_the_last_batch_of_the_published_values(folder, monkeypatch) -> None:
    monkeypatch.setattr(real_labels, "_PUBLISHED_BATCH", 3)
    [images] = ReaL(str(validation(folder)), faithful=True).open("real")
    # five images in the order of the classes are a batch of three and one of two, whose numbers are 4 and 2
    assert [name[-6] for name in images.files] == ["4", "2"]
    assert "the last batch of 3 only, as published" in images.notices
    four = {number: c for number, c in CLASSES.items() if number != 4}
    monkeypatch.setattr(real_labels, "_PUBLISHED_BATCH", 2)
    [images] = ReaL(str(validation(lambda paths: folder(paths, name="four"), four)), faithful=True).open(
        "real"
    )
    assert [name[-6] for name in images.files] == ["5", "2"]  # a whole batch, not an empty one


def test_the_last_batch_of_the_whole_set_has_336_images() -> None:
    first = (50_000 - 1) // 512 * 512
    assert 50_000 - first == 336


def test_the_label_sets_that_timm_ships_are_taken_where_there_is_no_file(folder) -> None:
    [images] = ReaL(str(validation(folder, sets=None))).open("real")
    # an oracle that reads the same labels in its own way
    from timm.data import RealLabelsImagenet

    names = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 50_001)]
    published = RealLabelsImagenet(names).real_labels
    for name, accepted in zip(images.files, images.accepted.tolist(), strict=True):
        assert [label for label in accepted if label >= 0] == published[name.rsplit("/", 1)[1]]


@pytest.mark.parametrize(
    ("classes", "sets", "says"),
    [
        ({6: 1}, SETS, r"ILSVRC2012_val_00000006\.JPEG is not called .* from 00000001 to 00000005"),
        ({1: 1}, [[1000]], r"real\.json gives ILSVRC2012_val_00000001 \[1000\]; allowed are lists"),
        ({1: 1}, ["n01440764"], r"real\.json gives ILSVRC2012_val_00000001 'n01440764'"),
        ({1: 1}, {"1": [2]}, "must be a list"),
        ({1: 1}, [[]], "none of the images"),
    ],
)
def test_label_sets_that_do_not_fit(folder, classes, sets, says) -> None:
    with pytest.raises(ValueError, match=says):
        ReaL(str(validation(folder, classes, sets))).open("real")


def test_files_of_other_names(folder) -> None:
    root = folder([f"val/{wordnet_ids()[0]}/tench.JPEG"])
    with pytest.raises(ValueError, match=r"tench\.JPEG is not called ILSVRC2012_val_########"):
        ReaL(str(root)).open("real")
