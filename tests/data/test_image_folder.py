"""Class folders, training and test folders, whatever they are called and whatever lies beside them."""

import re
import shutil
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import zipped

from unseen.data.images import BadImageError
from unseen.data.sources.calligraphy import Calligraphy
from unseen.data.sources.image_folder import ImageFolder, role


def test_a_folder_a_class(write_images):
    source = ImageFolder(root=str(write_images({"cat": 4, "owl": 3, "big dog ü": 2})))
    source.check()
    source.prepare()
    assert source.list().classes() == ("big dog ü", "cat", "owl")
    assert source.known_counts() == {"big dog ü": {"whole": 2}, "cat": {"whole": 4}, "owl": {"whole": 3}}
    assert [entry.reference for entry in source.list().entries][:3] == [
        "big dog ü/000.png",
        "big dog ü/001.png",
        "cat/000.png",
    ]
    assert source.read("big dog ü/001.png").mode == "RGB"


@pytest.mark.parametrize("test_name", ["test", "val", "Validation"])
def test_own_test_images(write_images, test_name):
    root = write_images({"train/cat": 4, "train/owl": 3, f"{test_name}/cat": 2, f"{test_name}/owl": 1})
    source = ImageFolder(root=str(root))
    assert source.known_counts() == {"cat": {"train": 4, "test": 2}, "owl": {"train": 3, "test": 1}}


def test_only_a_train_folder_is_undivided(write_images):
    source = ImageFolder(root=str(write_images({"train/cat": 4, "train/owl": 3})))
    assert source.known_counts() == {"cat": {"whole": 4}, "owl": {"whole": 3}}


def test_test_images_in_another_root(write_images):
    root = write_images({"cat": 4, "owl": 3})
    test_root = write_images({"cat": 2, "owl": 2}, root="more", size=(5, 5))
    source = ImageFolder(root=str(root), test_root=str(test_root))
    source.check()
    assert source.known_counts() == {"cat": {"train": 4, "test": 2}, "owl": {"train": 3, "test": 2}}
    sizes = {entry.part: source.read(entry.reference).size for entry in source.list().entries}
    assert sizes == {"train": (12, 12), "test": (5, 5)}
    with pytest.raises(ValueError, match=r"data\.test_root=/nowhere does not exist"):
        ImageFolder(root=str(root), test_root="/nowhere").check()


@pytest.mark.parametrize("top", ["", "my photos/", "a/b/"])
def test_a_zip_archive_of_a_folder(write_images, tmp_path, top):
    archive = zipped(write_images({"cat": 3, "owl é": 2}), tmp_path / "photos.zip", top)
    source = ImageFolder(root=str(archive))
    source.check()
    assert source.known_counts() == {"cat": {"whole": 3}, "owl é": {"whole": 2}}
    assert source.read(source.list().entries[-1].reference).size == (12, 12)


def test_a_zip_archive_is_read_by_many_threads(write_images, tmp_path):
    root = write_images({"cat": 60, "owl": 60})
    source = ImageFolder(root=str(zipped(root, tmp_path / "photos.zip")))
    names = [entry.reference for entry in source.list().entries] * 3
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: np.asarray(source.read(name)).tobytes(), names))
    assert found == [np.asarray(Image.open(root / name)).tobytes() for name in names]


def test_a_changed_archive_is_read_anew(write_images, tmp_path):
    archive = tmp_path / "photos.zip"
    source = ImageFolder(root=str(zipped(write_images({"cat": 2, "owl": 2}), archive)))
    assert source.list().classes() == ("cat", "owl")
    zipped(write_images({"cat": 1, "ant": 3}), archive)
    assert source.list().classes() == ("ant", "cat", "owl")


def test_other_files_are_ignored_and_counted(write_images):
    root = write_images({"cat": 2, "owl": 2, "owl/deep/er": 1, ".git": 1, "__MACOSX": 1})
    for name in ("cat/.DS_Store", "cat/Thumbs.db", "owl/._000.png", "desktop.ini"):
        (root / name).write_bytes(b"x")
    assert ImageFolder(root=str(root)).list().ignored == 6  # .git and __MACOSX as one each
    for name in ("cat/notes.txt", "owl/raw.heic", "labels.csv", "owl/deep/README"):
        (root / name).write_bytes(b"x")
    catalog = ImageFolder(root=str(root)).list()
    assert catalog.ignored == 10
    assert catalog.counts() == {"cat": {"whole": 2}, "owl": {"whole": 3}}
    (root / "cat" / "UPPER.JPEG").write_bytes(b"x")
    assert ImageFolder(root=str(root)).list().counts()["cat"] == {"whole": 3}


def test_links_are_followed_and_circles_are_not(write_images):
    root = write_images({"cat": 2, "owl": 2})
    elsewhere = write_images({"ant": 3}, root="elsewhere")
    (root / "ant").symlink_to(elsewhere / "ant")
    (root / "bee").symlink_to(elsewhere / "ant")  # twice the same folder is fine
    (root / "owl" / "linked.png").symlink_to(root / "cat" / "000.png")
    (root / "owl" / "circle").symlink_to(root)
    (root / "owl" / "broken.png").symlink_to(root / "gone.png")
    source = ImageFolder(root=str(root))
    assert source.known_counts() == {
        "ant": {"whole": 3}, "bee": {"whole": 3}, "cat": {"whole": 2}, "owl": {"whole": 4},
    }  # fmt: skip
    assert source.read("ant/000.png").size == (12, 12)
    with pytest.raises(FileNotFoundError):  # listed as a bad file by whoever reads it
        source.read("owl/broken.png")


def test_bad_files_say_why(write_images):
    root = write_images({"cat": 2, "owl": 2})
    (root / "cat" / "000.png").write_bytes(b"")
    with pytest.raises(BadImageError, match="empty file"):
        ImageFolder(root=str(root)).read("cat/000.png")


def test_roots_that_cannot_be_used(write_images, tmp_path):
    def problem(root):
        with pytest.raises(ValueError) as error:  # noqa: PT011
            ImageFolder(root=root if root is None else str(root)).known_counts()
        return str(error.value)

    assert "data.root is missing: write data.root=path/to/images" in problem(None)
    assert "does not exist" in problem(tmp_path / "gone")
    (tmp_path / "file.txt").write_text("hello")
    assert "is a file, but neither a folder nor a zip archive" in problem(tmp_path / "file.txt")
    (tmp_path / "empty").mkdir()
    assert "is an empty folder" in problem(tmp_path / "empty")
    (tmp_path / "empty" / ".hidden").write_text("")
    assert "is an empty folder" in problem(tmp_path / "empty")
    root = write_images({"": 3}, root="flat")
    assert "has no class folders" in problem(root)
    root = write_images({"cat": 3}, root="hollow")
    (root / "owl").mkdir()
    (root / "owl" / "a.heic").write_text("")
    (root / "owl" / "b").write_text("")
    words = (
        "class folder 'owl' of data.root has no image that can be read: its files are .heic, without suffix"
    )
    assert words in problem(root)
    with zipfile.ZipFile(tmp_path / "none.zip", "w"):
        pass
    assert "has no class folders" in problem(tmp_path / "none.zip")
    content = zipped(write_images({"cat": 2}, root="z"), tmp_path / "z.zip").read_bytes()
    (tmp_path / "short.zip").write_bytes(content[:-30])
    assert "neither a folder nor a zip archive" in problem(tmp_path / "short.zip")
    (tmp_path / "broken.zip").write_bytes(content.replace(b"PK\x01\x02", b"PK\x09\x09"))
    assert "broken.zip is not a zip archive that can be read" in problem(tmp_path / "broken.zip")


def test_home_folder(write_images, monkeypatch, tmp_path):
    write_images({"cat": 2, "owl": 2})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ImageFolder(root="~/photos").list().classes() == ("cat", "owl")


def test_removed_files_between_listing_and_reading(write_images):
    root = write_images({"cat": 2, "owl": 2})
    source = ImageFolder(root=str(root))
    source.list()
    shutil.rmtree(root / "cat")
    with pytest.raises(FileNotFoundError):
        source.read("cat/000.png")


def test_stamps_of_two_roots_keep_the_order_of_the_references(write_images, tmp_path):
    """Archives, whose stamps are check sum and size of what they hold."""
    first = zipped(write_images({"cat": 2, "owl": 2}, "a"), tmp_path / "a.zip")
    second = zipped(write_images({"cat": 3, "owl": 3}, "b", size=(9, 9)), tmp_path / "b.zip")
    source = ImageFolder(root=str(first), test_root=str(second))
    references = ["test:cat/002.png", "cat/001.png", "test:cat/001.png", "owl/000.png"]
    expected = []
    for reference in references:
        with zipfile.ZipFile(second if reference.startswith("test:") else first) as archive:
            content = archive.read(reference.removeprefix("test:"))
        expected.append(f"{zlib.crc32(content):08x} {len(content)}")
    assert list(source.stamps(references)) == expected
    assert list(Calligraphy(root=str(first)).stamps(["cat/001.png"])) == [expected[1]]


# ---------------------------------------------------------------- training and test folders
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
