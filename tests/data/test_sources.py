import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image

from unseen.data import files
from unseen.data.catalog import DataUnavailableError
from unseen.data.sources import torchvision_sets
from unseen.data.sources.cifar100 import CLASSES, Cifar100
from unseen.data.sources.digits import Digits
from unseen.data.sources.torchvision_sets import CLASSIFICATION_SETS, TorchvisionSet


@pytest.fixture(autouse=True)
def _forget_loaded_sets():
    torchvision_sets._load.cache_clear()
    yield
    torchvision_sets._load.cache_clear()


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
