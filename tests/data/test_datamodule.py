import copy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.conftest import datamodule

from unseen.data.batches import Batch, CanvasBatch
from unseen.data.catalog import Catalog, Entry, ImageSource
from unseen.data.sources.calligraphy import Calligraphy
from unseen.data.sources.cifar100 import Cifar100
from unseen.data.sources.digits import Digits
from unseen.data.sources.image_folder import ImageFolder
from unseen.data.sources.torchvision_sets import TorchvisionSet
from unseen.data.splits import ClassSplit


def make(source=None, **settings):
    return datamodule(source or Digits(), **{"image_size": 16, **settings})


@pytest.fixture(scope="module")
def digits():
    data = make(
        rotation=10,
        eval_deterministic=False,
        train_size=100,
        test_size=40,
        unseen_per_class=20,
        eval_batch_size=25,
    )
    data.check(k=20)
    data.prepare_data()
    data.setup()
    return data


def all_of(loader):
    batches = list(loader)
    return [torch.cat([getattr(batch, key) for batch in batches]) for key in ("images", "labels", "indices")]


def test_facts(digits):
    assert digits.class_names == tuple("0123456")
    assert digits.split.unseen_names == ("7", "8", "9")
    assert digits.num_classes == 7
    assert digits.counts() == {
        "seen_classes": 7, "unseen_classes": 3, "train_images": 100, "seen_test_images": 40, "unseen_images": 60,
        "largest_train_class": 15, "smallest_train_class": 14, "largest_unseen_class": 20, "bad_files": 0,
        "ignored_files": 0,
    }  # fmt: skip
    assert [digits.num_images(which) for which in ("train", "seen", "unseen")] == [100, 40, 60]


def test_what_is_held_out_is_said(digits, write_images):
    text = "7 seen classes, 3 unseen (7, 8, 9) · 100 training, 40 test, 60 unseen images"
    assert digits.description() == text
    assert digits.left_out_notice is None
    folders = {
        f"{part}/{name}": 3
        for part in ("train", "Val", "test")
        for name in ("ant", "bee", "cat", "dog", "eel")
    }
    root = write_images(folders)
    (root / "train" / "cat" / ".DS_Store").write_text("")
    data = make(ImageFolder(root=str(root)), unseen=["cat", "dog"], seen=["ant", "bee"])
    data.setup()
    images = "6 training, 12 test (of Val, test), 6 unseen images"
    assert data.description() == f"2 seen classes, 2 unseen (cat, dog), 1 neither · {images}"
    assert data.left_out_notice is None  # counted, but not worth a word
    assert data.counts()["ignored_files"] == 1
    (root / "test" / "ant" / "a.heic").write_text("")
    again = make(ImageFolder(root=str(root)), unseen=["cat", "dog"])
    again.setup()
    assert again.left_out_notice == "2 files or folders left out: 1 .heic (in ant), 1 hidden (in cat)"


def test_many_classes_are_shortened_in_the_description():
    data = make(num_unseen=3)
    data.setup()
    data._split = ClassSplit.explicit([f"c{i:03d}" for i in range(60)], list(range(40)))
    assert "40 unseen (c000, c001, " in data.description()
    assert "... c039 (40 in all))" in data.description()


def test_names_no_screen_can_show_are_escaped(write_images):
    odd = b"c\xff\x1b[31m".decode("utf-8", "surrogateescape")
    root = write_images({"ant": 5, "bee": 5, odd: 5, "dog": 5})
    data = make(ImageFolder(root=str(root)), unseen=[odd, "dog"])
    data.setup()
    assert r"(c\udcff\x1b[31m, dog)" in data.description()


def test_the_training_images_are_recognised_when_a_folder_grows(write_images):
    root = write_images(dict.fromkeys(("ant", "bee", "cat", "dog"), 12))

    def loaded():
        data = make(ImageFolder(root=str(root)), unseen=["cat", "dog"])
        data.setup()
        return data

    before, again = loaded(), loaded()
    assert before.references("train") == again.references("train")
    shutil.copy(root / "ant" / "000.png", root / "ant" / "a_new.png")
    after = loaded()
    assert set(after.references("seen")) & set(before.references("train"))  # the leak
    assert len(after.references("unseen")) == 24


def test_loaders_give_every_sample_once_with_its_label(digits):
    for loader, size, classes in (
        (digits.train_dataloader(), 100, 7),
        (digits.val_dataloader(), 40, 7),
        (digits.unseen_dataloader(), 60, 3),
    ):
        _, labels, indices = all_of(loader)
        assert sorted(indices.tolist()) == list(range(size))
        assert set(labels.tolist()) == set(range(classes))
    unseen_labels = all_of(digits.unseen_dataloader())[1]
    assert unseen_labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20


def test_batches_become_network_input(digits):
    raw = next(iter(digits.train_dataloader()))
    assert isinstance(raw, CanvasBatch)
    assert raw.images.dtype == torch.uint8
    batch = digits.on_after_batch_transfer(raw, 0)
    assert isinstance(batch, Batch)
    assert batch.images.shape == (72, 3, 16, 16)
    assert batch.images.dtype == torch.float32
    assert batch.images.min() >= -1
    assert batch.images.max() <= 1
    assert batch.labels.dtype == batch.indices.dtype == torch.int64
    _, labels, indices = batch  # a plain triple
    assert torch.equal(labels, raw.labels)
    assert torch.equal(indices, raw.indices)
    assert digits.on_after_batch_transfer(batch, 0) is batch  # twice is once


def test_evaluation_is_repeatable_rotated_or_not(digits):
    def images(data):
        return torch.cat([data.on_after_batch_transfer(batch, 0).images for batch in data.val_dataloader()])

    rotated = images(digits)
    assert torch.equal(rotated, images(digits))
    plain = make(rotation=10, train_size=100, test_size=40)
    plain.setup()
    assert not torch.equal(rotated, images(plain))
    unrotated = make(train_size=100, test_size=40)
    unrotated.setup()
    assert torch.equal(images(plain), images(unrotated))


def on_device(data, device):
    """The same images under a trainer of this device."""
    data = copy.copy(data)
    data._on_device = {}
    strategy = SimpleNamespace(root_device=torch.device(device))
    data.trainer = SimpleNamespace(strategy=strategy, global_rank=0, world_size=1, limit_train_batches=1.0)
    return data


def test_memory_is_pinned_for_a_gpu_that_is_used_and_for_no_other(digits, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # the machine has one
    monkeypatch.setattr(
        torch.cuda, "mem_get_info", lambda device: (0, 8 * 2**30)
    )  # without room for canvases
    for device, pinned in (("cpu", False), ("cuda", True)):
        data = on_device(digits, device)
        loaders = (data.train_dataloader(), data.val_dataloader(), data.unseen_dataloader())
        assert [loader.pin_memory for loader in loaders] == [pinned] * 3
    assert not digits.val_dataloader().pin_memory


def test_setup_twice_decodes_once(digits):
    kept = digits._stores
    digits.setup("fit")
    digits.setup("validate")
    assert digits._stores is kept


def test_raw_pixels(digits):
    pixels, labels = digits.raw_pixels("unseen")
    assert pixels.shape == (60, 3 * 16 * 16)
    assert pixels.dtype == torch.float32
    assert labels.tolist() == [0] * 20 + [1] * 20 + [2] * 20
    assert torch.equal(pixels, digits.raw_pixels("unseen")[0])
    assert 0 <= pixels.min() < pixels.max() <= 1
    images = [digits.source.read(reference) for reference in digits.references("unseen")[:1]]
    expected = (
        np.asarray(images[0].resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1).ravel() / 255
    )
    assert np.allclose(pixels[0].numpy(), expected)
    assert digits.raw_pixels("seen")[0].shape == (40, 768)


@pytest.mark.parametrize("seed", [0, 5])
def test_everything_follows_from_the_seeds(seed):
    def content(**settings):
        data = make(rotation=10, train_size=50, test_size=20, **settings)
        data.setup()
        batches = [data.on_after_batch_transfer(batch, 0) for batch in data.train_dataloader()]
        return torch.cat([batch.images for batch in batches]), data.references("train")

    torch.manual_seed(1)
    before = torch.get_rng_state()
    images, references = content(seed=seed, split_seed=seed)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    again, same = content(seed=seed, split_seed=seed)
    assert torch.equal(images, again)
    assert references == same
    other, still = content(seed=seed + 1, split_seed=seed)
    assert still == references
    assert not torch.equal(images, other)
    assert content(seed=seed, split_seed=seed + 1)[1] != references


@pytest.mark.parametrize(("limit", "batches", "ranks"), [(0, 5, 1), (0.0, 5, 1), (0.19, 5, 1), (0.4, 2, 3)])
def test_an_epoch_without_a_batch_is_refused(limit, batches, ranks):
    """100 images in batches of 20 are 5 batches; 3 processes have 34 images each, so 2 batches."""
    data = make(train_size=100, test_size=40, unseen_per_class=20, batch_size=20)
    with pytest.raises(
        ValueError, match=rf"limit_train_batches={limit} leaves none of the {batches} batches"
    ):
        data.check(ranks=ranks, limit_train_batches=limit)
    data.check(ranks=ranks, limit_train_batches=1 / batches)


def test_the_papers_head_has_more_outputs_than_classes():
    data = make(Cifar100(), num_labels=95)
    data.check(k=500)
    assert data.num_classes == 95
    assert data.class_names == Cifar100().default_seen
    assert data.split.unseen_names == ("orchid", "poppy", "rose", "sunflower", "tulip")
    assert make(Cifar100()).num_classes == 20


def test_the_papers_calligraphy_before_any_download():
    data = make(
        Calligraphy(data_dir="/nowhere"),
        train_size=9100,
        test_size=2500,
        unseen_per_class=500,
        stratified=False,
    )
    data.check(k=500)
    assert data.num_classes == 15
    assert data.split.unseen_names == ("csl", "hy", "mf", "shz", "wzm")


def test_classes_that_are_known_only_later():
    data = make(TorchvisionSet("SVHN"), num_unseen=3)
    data.check(k=10)
    with pytest.raises(RuntimeError, match=r"after setup"):
        _ = data.split
    with pytest.raises(RuntimeError, match=r"after setup"):
        data.train_dataloader()


@dataclass(frozen=True)
class Grays(ImageSource):
    """All that a source of one's own must have."""

    def list(self):
        return Catalog.of([Entry(f"{i:02d}", "abcd"[i % 4], "whole") for i in range(40)])

    def read(self, reference):
        return Image.new("RGB", (4, 4), (int(reference),) * 3)


def test_a_source_of_two_methods():
    data = make(Grays(), unseen=["c", "d"])
    data.check()
    data.prepare_data()
    data.setup()
    assert data.references("unseen")[:2] == ("02", "06")
    assert data.raw_pixels("unseen")[0][:, 0].mul(255).round().tolist()[:2] == [2, 6]
    assert make(Grays(default_unseen=("a", "b")), image_size=8).check() is None
    with pytest.raises(ValueError, match="no class is unseen"):
        make(Grays()).setup()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"unseen": ["seven", "8"]}, "unseen class 'seven' does not exist.*0, 1, 2"),
        ({"unseen": [7, 10]}, "unseen class 10 does not exist; classes here have numbers as names"),
        ({"num_unseen": 10}, "num_unseen=10 is impossible with 10 classes: choose 2 to 8"),
        ({"num_unseen": 3, "unseen": [7, 8]}, "exclude each other"),
        ({"unseen": ["7"]}, "NMI of one class"),
        ({"k": 533}, "k=533 neighbours are impossible among 533 unseen images"),
        ({"k": 30, "unseen_per_class": 10}, r"k=30 .* 30 unseen images \(7 10, 8 10, 9 10\)"),
        ({"train_size": 2000}, "train_size=2000 is more than the 1,0"),
        ({"num_labels": 6}, "num_labels=6 is less than the 7 seen classes"),
        ({"rotation": 20}, "rotation=20 must lie between 0 and 17.1 degrees"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"eval_batch_size": 0}, "eval_batch_size=0"),
        ({"seed": -1}, "seed=-1"),
        ({"image_size": 0}, "image_size=0"),
    ],
)
def test_check_finds_impossible_settings(settings, words):
    settings = dict(settings)
    k = settings.pop("k", None)
    with pytest.raises(ValueError, match=words) as error:
        make(**settings).check(k)
    assert "\n" not in str(error.value)


def test_k_is_checked_when_the_counts_are_known(digits):
    data = make(unseen_per_class=5)
    data.source = copy.copy(data.source)
    data.check(k=14)
    data._neighbors = 15  # as `check` leaves it for a source that knows no counts
    with pytest.raises(ValueError, match="k=15"):
        data.setup()


def test_the_k_that_is_used_in_each_split(digits, write_images):
    assert digits.neighbors(None) == {"unseen": 20, "seen": 20}  # the largest unseen class
    assert digits.neighbors(39) == {"unseen": 39, "seen": 39}
    assert digits.neighbors(50) == {"unseen": 50, "seen": 39}  # 40 seen test images
    root = write_images({"ant": 6, "bee": 6, "cat": 6, "dog": 6})
    data = make(ImageFolder(root=str(root)), unseen=["cat", "dog"])
    data.setup()
    assert data.neighbors(None) == {"unseen": 6, "seen": 1}


def test_k_is_checked_again_without_the_bad_files(write_images):
    root = write_images({"ant": 6, "bee": 6, "cat": 6, "dog": 6})
    (root / "cat" / "000.png").write_bytes(b"")
    data = make(ImageFolder(root=str(root)), unseen=["cat", "dog"], skip_bad=True)
    data.check(k=11)
    with pytest.raises(
        ValueError, match=r"k=11 .* among 11 unseen images \(cat 5, dog 6\); choose at most 10"
    ):
        data.setup()


# ---------------------------------------------------------------- a folder of photos
def test_a_folder_with_unseen_classes_by_name(write_images):
    data = make(
        ImageFolder(root=str(write_images({"cat": 10, "owl": 12, "dog": 20, "ant": 30}))),
        unseen=["owl", "cat"],
    )
    data.check()
    data.setup()
    assert data.class_names == ("ant", "dog")
    assert data.split.unseen_names == ("cat", "owl")
    assert data.counts()["train_images"] == 24 + 16
    assert data.counts()["seen_test_images"] == 6 + 4
    assert data.counts()["unseen_images"] == 22


def test_a_folder_without_unseen_classes(write_images):
    data = make(ImageFolder(root=str(write_images({"cat": 3, "owl": 3, "dog": 3, "ant": 3}))))
    with pytest.raises(ValueError, match=r"no class is unseen.*there are 4 classes: ant, cat, dog, owl"):
        data.check()


@pytest.fixture
def damaged(write_images):
    """12 good images a class, and bad ones in three of four."""
    root = write_images({"ant": 12, "bee": 12, "cat": 12, "dog": 12})
    (root / "ant" / "a empty.png").write_bytes(b"")
    (root / "ant" / "b zeros.jpg").write_bytes(b"\0" * 99)
    (root / "bee" / "c text.gif").write_bytes(b"404 not found")
    (root / "dog" / "d short.png").write_bytes((root / "dog" / "000.png").read_bytes()[:80])
    (root / "dog" / "notes.txt").write_bytes(b"ignored")
    return root


def test_bad_files_are_refused_all_at_once(damaged):
    data = make(ImageFolder(root=str(damaged)), unseen=["cat", "dog"])
    data.check()
    with pytest.raises(ValueError, match=r"4 of 52 image files cannot be used") as error:
        data.setup()
    for words in ("a empty.png (empty file)", "b zeros.jpg (not an image", "c text.gif (not an image",
                  "d short.png (truncated or damaged", "data.skip_bad=true"):  # fmt: skip
        assert words in str(error.value)


def test_bad_files_are_left_out_and_counted(damaged):
    data = make(ImageFolder(root=str(damaged)), unseen=["cat", "dog"], skip_bad=True)
    data.setup()
    assert sorted(path for path, _ in data.bad_files) == [
        "ant/a empty.png", "ant/b zeros.jpg", "bee/c text.gif", "dog/d short.png",
    ]  # fmt: skip
    counts = data.counts()
    assert (counts["bad_files"], counts["ignored_files"], counts["unseen_images"]) == (4, 1, 24)
    assert counts["train_images"] + counts["seen_test_images"] == 24
    for loader in (data.train_dataloader(), data.val_dataloader(), data.unseen_dataloader()):
        indices = all_of(loader)[2]
        assert sorted(indices.tolist()) == list(range(len(indices)))  # positions among the good ones


def test_many_bad_files_are_shortened(write_images):
    root = write_images({"ant": 12, "bee": 12, "cat": 12, "dog": 12})
    for i in range(25):
        (root / "cat" / f"bad{i:02d}.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"25 of 73 image files.*bad09\.png \(empty file\) and 15 more"
    ) as error:
        make(ImageFolder(root=str(root)), unseen=["cat", "dog"]).setup()
    assert "bad10" not in str(error.value)


def test_a_class_that_loses_all_its_images_is_refused(write_images):
    root = write_images({"ant": 12, "bee": 12, "cat": 12, "dog": 12})
    for path in (root / "dog").iterdir():
        path.write_bytes(b"")
    data = make(ImageFolder(root=str(root)), unseen=["cat", "dog"], skip_bad=True)
    with pytest.raises(ValueError, match="no unseen images are left of these classes: dog"):
        data.setup()


def test_pictures_of_every_kind_in_one_folder(tmp_path):
    kinds = {
        "L": "png",
        "RGB": "jpg",
        "RGBA": "png",
        "P": "gif",
        "CMYK": "jpg",
        "1": "bmp",
        "LA": "png",
        "I;16": "tiff",
    }
    for name in ("ant", "bee", "cat", "dog"):
        (tmp_path / name).mkdir()
        for i, (mode, suffix) in enumerate(kinds.items()):
            image = Image.new(mode, (9 + i, 30 - i))
            image.save(tmp_path / name / f"{i} {mode.replace(';', '')} ü.{suffix}")
    data = make(ImageFolder(root=str(tmp_path)), unseen=["cat", "dog"])
    data.setup()
    assert data.counts()["unseen_images"] == 16
    batches = [data.on_after_batch_transfer(batch, 0).images for batch in data.unseen_dataloader()]
    assert torch.cat(batches).shape == (16, 3, 16, 16)


def test_the_pure_modules_load_neither_torch_nor_lightning():
    code = (
        "import sys, unseen.data.splits, unseen.data.selection, unseen.data.sources.digits, "
        "unseen.data.sources.calligraphy, unseen.data.sources.cifar100, unseen.data.sources.image_folder, "
        "unseen.data.sources.torchvision_sets; "
        "print([name for name in ('torch', 'lightning', 'torchvision', 'sklearn', 'omegaconf') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": "src"}, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
