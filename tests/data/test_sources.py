import pickle
import shutil
import struct
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from unseen.data import files
from unseen.data.catalog import DataUnavailableError
from unseen.data.images import BadImageError
from unseen.data.sources import torchvision_sets
from unseen.data.sources.calligraphy import Calligraphy
from unseen.data.sources.cifar100 import CLASSES, Cifar100
from unseen.data.sources.digits import Digits
from unseen.data.sources.image_folder import ImageFolder
from unseen.data.sources.torchvision_sets import CLASSIFICATION_SETS, TorchvisionSet


@pytest.fixture(autouse=True)
def _forget_loaded_sets():
    torchvision_sets._load.cache_clear()
    yield
    torchvision_sets._load.cache_clear()


def zipped(folder, target, top=""):
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{top}{path.relative_to(folder).as_posix()}")
    return target


# ---------------------------------------------------------------- digits
def test_digits_are_dark_ink_on_white_paper():
    source = Digits()
    counts = source.known_counts()
    assert {name: sum(parts.values()) for name, parts in counts.items()} == {
        "0": 178, "1": 182, "2": 177, "3": 183, "4": 181, "5": 182, "6": 181, "7": 179, "8": 174, "9": 180,
    }  # fmt: skip
    image = np.asarray(source.read("0000"))
    # the first row of the first digit is 0 0 5 13 9 1 0 0 of 16: white where it is 0
    assert image.shape == (8, 8, 3)
    assert image[0, :, 0].tolist() == [255, 255, 175, 48, 112, 239, 255, 255]
    assert source.default_unseen == ("7", "8", "9")
    with pytest.raises(ValueError, match=r"data\.root=/x has no meaning for data=digits"):
        Digits(root="/x").check()


# ---------------------------------------------------------------- image_folder
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


# ---------------------------------------------------------------- calligraphy from disk
@pytest.mark.parametrize("kind", ["folder", "zip", "zip with a folder around"])
@pytest.mark.parametrize("layout", ["repository", "seen and unseen"])
def test_calligraphy_layouts(write_images, tmp_path, kind, layout):
    if layout == "repository":
        folders = {
            f"{part}/{name}": n
            for part, n in (("train", 4), ("test", 2))
            for name in ("ann", "bob", "csl", "hy")
        }
        expected = {name: {"train": 4, "test": 2} for name in ("ann", "bob", "csl", "hy")}
    else:
        folders = {"seen/train/ann": 4, "seen/train/bob": 4, "seen/test/ann": 2, "seen/test/bob": 2}
        folders |= {"unseen/csl": 5, "unseen/hy": 5}
        expected = {
            "ann": {"train": 4, "test": 2},
            "bob": {"train": 4, "test": 2},
            "csl": {"whole": 5},
            "hy": {"whole": 5},
        }
    root = write_images(folders)
    if layout == "repository":
        (root / "train_15").symlink_to(root / "train")  # as in a clone
    if kind != "folder":
        if layout == "repository":
            (root / "train_15").unlink()
        root = zipped(root, tmp_path / "x.zip", "calligraphy_data-main/" if "around" in kind else "")
    source = Calligraphy(root=str(root), data_dir="/nowhere")
    source.check()
    source.prepare()
    assert source.list().classes() == ("ann", "bob", "csl", "hy")
    assert source.known_counts() == expected
    assert all(source.read(entry.reference).size == (12, 12) for entry in source.list().entries)


def test_calligraphy_in_another_layout(write_images):
    root = write_images({"ann": 3, "bob": 3})
    with pytest.raises(ValueError, match=r"has the folders ann, bob; data=calligraphy needs train/ARTIST"):
        Calligraphy(root=str(root)).known_counts()
    with pytest.raises(ValueError, match="does not exist"):
        Calligraphy(root="/nowhere").check()


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


# ---------------------------------------------------------------- torchvision
class Fake:
    """A data set as torchvision's are made; remembers how it was asked."""

    asked: list = []  # noqa: RUF012
    images = 6

    def _fill(self, **asked):
        type(self).asked.append(asked)
        self.targets = [i % 3 for i in range(self.images)]
        self.classes = ["zebra", "ant", "cow"]

    def __len__(self):
        return self.images

    def __getitem__(self, i):
        return Image.new("L", (4, 4), i), self.targets[i]


class OnDisk(Fake):
    """Keeps its images as files, as half of torchvision's sets do."""

    def __init__(self, root, transform=None):
        self._fill(root=root)
        self._image_files = [Path(root) / f"{i}.png" for i in range(self.images)]


class BySplit(Fake):
    def __init__(self, root, split="train", transform=None, download=False):
        if split not in ("train", "val"):
            raise ValueError(f"Unknown value '{split}' for argument split. Valid values are train, val.")
        self._fill(split=split, download=download)


class ByTrain(Fake):
    def __init__(self, root, train=True, transform=None, download=False):
        self._fill(train=train, download=download)


class Inherits(ByTrain):
    def __init__(self, root, kind, **kwargs):
        super().__init__(root, **kwargs)
        self.asked[-1]["kind"] = kind


class Undivided(Fake):
    def __init__(self, root, transform=None):
        self._fill(root=root)


class Missing(Fake):
    def __init__(self, root, train=True, download=False):
        if download:
            raise OSError("[Errno -3] Temporary failure in name resolution")
        raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")


@pytest.fixture
def svhn_is(monkeypatch):
    def replace(cls):
        cls.asked = []
        monkeypatch.setattr(torchvision.datasets, "SVHN", cls)
        return cls

    return replace


@pytest.mark.parametrize(
    ("cls", "parts", "asked"),
    [
        (BySplit, ("train", "test"), [{"split": "train"}, {"split": "val"}]),
        (ByTrain, ("train", "test"), [{"train": True}, {"train": False}]),
        (Undivided, ("whole",), [{}]),
    ],
)
def test_sets_are_divided_as_their_arguments_say(svhn_is, tmp_path, cls, parts, asked):
    svhn_is(cls)
    source = TorchvisionSet("SVHN", data_dir=str(tmp_path))
    source.check()
    assert source.known_counts() is None
    source.prepare()
    catalog = source.list()
    assert catalog.counts() == {name: dict.fromkeys(parts, 2) for name in ("ant", "cow", "zebra")}
    for made, wanted in zip(cls.asked, asked, strict=True):  # loaded once for all
        assert made | wanted == made
    # image 1 is the first of class 1, ant
    first = next(entry for entry in catalog.entries if entry.class_name == "ant")
    assert source.read(first.reference).getpixel((0, 0)) == (1, 1, 1)


def test_more_arguments_are_passed_on(svhn_is, tmp_path):
    cls = svhn_is(Inherits)
    source = TorchvisionSet("SVHN", data_dir=str(tmp_path), options={"kind": ["letters"]})
    assert source.list().classes() == ("ant", "cow", "zebra")
    assert [asked["kind"] for asked in cls.asked] == [["letters"]] * 2
    assert [asked["train"] for asked in cls.asked] == [True, False]


def test_a_split_among_the_options_is_the_whole_set(svhn_is, tmp_path):
    cls = svhn_is(BySplit)
    assert TorchvisionSet("SVHN", root=str(tmp_path), options={"split": "val"}).list().counts()["ant"] == {
        "whole": 2
    }
    assert [asked["split"] for asked in cls.asked] == ["val"]


def test_images_that_are_files_have_stamps_and_those_in_memory_have_none(svhn_is, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_CLOCK_NS", 0)
    svhn_is(Undivided)
    assert TorchvisionSet("SVHN", root=str(tmp_path)).stamps(["whole/0000001"]) is None
    torchvision_sets._load.cache_clear()
    svhn_is(OnDisk)
    for i in range(6):
        (tmp_path / f"{i}.png").write_bytes(bytes(i))
    found = TorchvisionSet("SVHN", root=str(tmp_path)).stamps(["whole/0000004", "whole/0000001"])
    places = [stamp.split(" ")[:2] for stamp in found]  # file 4 has 4 bytes
    assert places == [[str(tmp_path.resolve() / f"{i}.png"), str(i)] for i in (4, 1)]


def test_a_missing_network_says_what_to_do(svhn_is, tmp_path):
    svhn_is(Missing)
    source = TorchvisionSet("SVHN", data_dir=str(tmp_path / "data"))
    with pytest.raises(
        DataUnavailableError, match=r"SVHN could not be downloaded.*name resolution.*data\.root="
    ):
        source.prepare()
    with pytest.raises(ValueError, match=r"SVHN is not in .*data: Dataset not found"):
        source.list()


@pytest.mark.parametrize(
    ("name", "words"),
    [(None, "data.dataset is missing;"), ("svhn", "data.dataset=svhn is unknown \\(did you mean SVHN\\?\\)"),
     ("CocoDetection", "CocoDetection is unknown")],
)  # fmt: skip
def test_unknown_sets(name, words):
    with pytest.raises(ValueError, match=f"{words}.*CIFAR10, .*USPS"):
        TorchvisionSet(name).check()


def test_every_listed_set_exists():
    assert [name for name in CLASSIFICATION_SETS if not hasattr(torchvision.datasets, name)] == []
    assert list(CLASSIFICATION_SETS) == sorted(CLASSIFICATION_SETS)


def test_a_real_set_of_torchvision(tmp_path):
    # MNIST asks only whether its files are there: three 28 x 28 pictures of 7, 0 and 9
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        pictures = np.full((3, 28, 28), 9, dtype=np.uint8)
        (raw / f"{prefix}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, 3, 28, 28) + pictures.tobytes()
        )
        (raw / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, 3) + bytes([7, 0, 9]))
    source = TorchvisionSet("MNIST", root=str(tmp_path))
    source.prepare()
    assert source.list().counts() == {
        name: {"train": 1, "test": 1} for name in ("0 - zero", "7 - seven", "9 - nine")
    }
    assert source.read("test/0000002").getpixel((3, 3)) == (9, 9, 9)


# ---------------------------------------------------------------- cifar100
def test_cifar100_classes_of_the_paper():
    source = Cifar100()
    assert len(CLASSES) == 100
    assert list(CLASSES) == sorted(CLASSES)
    assert [CLASSES[i] for i in (54, 62, 70, 82, 92)] == list(
        source.default_unseen
    )  # the published fine labels
    assert source.default_seen == CLASSES[:20]
    assert source.default_seen[-1] == "cattle"
    assert source.known_counts()["worm"] == {"train": 500, "test": 100}


def test_cifar100_from_torchvisions_files(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for part, number in (("train", 200), ("test", 100)):
        data = np.arange(number, dtype=np.uint8)[:, None].repeat(3072, 1)
        content = {"data": data, "fine_labels": [i % 100 for i in range(number)]}
        (folder / part).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": list(CLASSES)}))
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "_check_integrity", lambda self: True)
    monkeypatch.setattr(torchvision.datasets.CIFAR100, "_load_meta", _load_meta)
    monkeypatch.setattr(torchvision.datasets.cifar, "check_integrity", lambda *args: True)
    source = Cifar100(data_dir=str(tmp_path))
    source.prepare()
    catalog = source.list()
    assert catalog.classes() == CLASSES
    assert catalog.counts()["orchid"] == {"train": 2, "test": 1}
    orchids = [
        source.read(entry.reference).getpixel((0, 0))[0]
        for entry in catalog.entries
        if entry.class_name == "orchid"
    ]
    assert sorted(orchids) == [54, 54, 154]


def _load_meta(self):
    self.classes = list(CLASSES)
    self.class_to_idx = {name: i for i, name in enumerate(CLASSES)}


def test_removed_files_between_listing_and_reading(write_images):
    root = write_images({"cat": 2, "owl": 2})
    source = ImageFolder(root=str(root))
    source.list()
    shutil.rmtree(root / "cat")
    with pytest.raises(FileNotFoundError):
        source.read("cat/000.png")
