"""Training and test folders, whatever they are called and whatever lies beside them."""

import re
import zipfile

import pytest

from unseen.data.sources.image_folder import ImageFolder, role

DIVIDED = {"cat": {"train": 4, "test": 2}, "owl": {"train": 3, "test": 1}}


def problem(root, **more):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        ImageFolder(root=str(root), **more).list()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("train", "test"),
    [("Train", "Test"), ("TRAIN", "VAL"), ("training", "validation"), ("train2017", "val2017"),
     ("training_set", "test_set"), ("Train Images", "Test Images")],
)  # fmt: skip
def test_any_spelling_of_a_division(write_images, train, test):
    root = write_images({f"{train}/cat": 4, f"{train}/owl": 3, f"{test}/cat": 2, f"{test}/owl": 1})
    catalog = ImageFolder(root=str(root)).list()
    assert catalog.counts() == DIVIDED
    assert catalog.test_folders == (test,)


@pytest.mark.parametrize(
    "name", ["trains", "testbed", "valley", "validated coins", "contest", "unseen", "dev"]
)
def test_class_names_that_only_look_like_it(name):
    assert role(name) is None


@pytest.mark.parametrize(
    "others",
    [{"sample_images/one": 1}, {"unlabeled": 3}, {"cat": 2, "owl": 2}, {"extra/deep/er": 1}],
)
@pytest.mark.parametrize(
    "names", [("train", "val"), ("Train", "Test"), ("train",), ("val",), ("test", "val")]
)
def test_a_division_beside_other_images_is_refused(write_images, names, others):
    folders = {f"{name}/{kind}": 3 for name in names for kind in ("cat", "owl")}
    root = write_images(folders | others)
    text = problem(root)
    assert all(name in text for name in names)
    assert next(iter(others)).partition("/")[0] in text
    assert "not both" in text
    if names == ("train", "val"):
        assert text.endswith(f"or write data.root={root}/train data.test_root={root}/val")


def test_flat_training_and_test_images_beside_a_class_are_refused(write_images):
    root = write_images({"train": 4, "test": 3, "plane": 2, "car": 2})
    assert "train, test beside car, plane" in problem(root)


def test_the_vehicle_is_a_class(write_images):
    assert ImageFolder(root=str(write_images({"train": 4, "plane": 3}))).list().classes() == (
        "plane",
        "train",
    )


def test_folders_without_images_beside_a_division_are_left_out(write_images):
    root = write_images({"train/cat": 4, "train/owl": 3, "val/cat": 2, "val/owl": 1, "@eaDir/train/cat": 9})
    (root / "annotations").mkdir()
    (root / "annotations" / "all.json").write_text("{}")
    catalog = ImageFolder(root=str(root)).list()
    assert catalog.counts() == DIVIDED
    assert {reason.reason: number for reason, number in catalog.left_out.items()} == {
        "of the system": 1,
        "without an image": 1,
    }


def test_test_and_validation_images_are_both_used_and_said(write_images):
    root = write_images({"train/cat": 4, "train/owl": 3, "val/cat": 1, "test/cat": 1, "test/owl": 1})
    catalog = ImageFolder(root=str(root)).list()
    assert catalog.counts() == DIVIDED
    assert catalog.test_folders == ("test", "val")


def test_two_training_folders_or_none(write_images):
    folders = {f"{name}/{kind}": 2 for name in ("train", "Training", "test") for kind in ("cat", "owl")}
    assert "several folders with training images: Training, train" in problem(write_images(folders))
    folders = {f"{name}/{kind}": 2 for name in ("val", "test") for kind in ("cat", "owl")}
    assert "test, val, but no folder train" in problem(write_images(folders, root="other"))


def test_a_division_without_class_folders(write_images):
    root = write_images({"train": 4, "test": 2})
    assert "has no class folders in 'train'" in problem(root)


def test_a_second_root(write_images):
    root = write_images({"train/cat": 4, "train/owl": 3, "test/cat": 5, "test/owl": 5})
    other = write_images({"cat": 2, "owl": 1}, root="other")
    catalog = ImageFolder(root=str(root), test_root=str(other)).list()
    assert catalog.counts() == DIVIDED
    assert catalog.ignored == 10  # its own test images
    assert f"write the folder with the test images, data.test_root={root}/test" in problem(
        other, test_root=str(root)
    )
    (root / "hole").mkdir()
    assert "data.test_root=" in problem(other, test_root=str(root / "hole"))


def test_a_wrapped_division(write_images):
    """As archives of Kaggle are: the same name twice, a page of licence, a folder around."""
    root = write_images(
        {f"pets/{name}/{name}/{kind}": 2 for name in ("training_set", "test_set") for kind in ("cat", "owl")}
    )
    (root / "pets" / "LICENSE").write_text("")
    (root / "pets" / "training_set" / "labels.csv").write_text("")
    catalog = ImageFolder(root=str(root)).list()
    assert catalog.counts() == {name: {"train": 2, "test": 2} for name in ("cat", "owl")}
    assert catalog.ignored == 2


@pytest.mark.parametrize("packed", [False, True])
def test_stray_files_beside_the_class_folder_one_level_down(write_images, tmp_path, packed):
    root = write_images({"photos/cat": 2, "photos/owl": 3})
    for name in ("photos/README.txt", "photos/labels.csv", "about.md"):
        (root / name).write_text("x")
    if packed:
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for path in sorted(root.rglob("*")):
                archive.write(path, path.relative_to(root))
        root = tmp_path / "x.zip"
    catalog = ImageFolder(root=str(root)).list()
    assert catalog.classes() == ("cat", "owl")
    assert catalog.ignored == 3


def test_a_class_with_images_and_folders_is_not_stepped_into(write_images):
    root = write_images({"cat": 2, "cat/more": 3})
    assert ImageFolder(root=str(root)).known_counts() == {"cat": {"whole": 5}}


def test_an_archive_is_not_told_to_be_a_folder(write_images, tmp_path):
    root = write_images({"train/cat": 2, "val/cat": 2, "extra": 1})
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, path.relative_to(root))
    assert not re.search("data.test_root", problem(tmp_path / "x.zip"))
