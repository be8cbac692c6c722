"""Decoded images on disk: equal to decoding again, never stale, and never in the way of a run."""

from __future__ import annotations

import errno
import itertools
import logging
import multiprocessing
import os
import re
import shutil
import signal
import time
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.conftest import datamodule, picture

from unseen.data import canvas_cache, canvases, files, memory
from unseen.data.canvas_cache import CanvasCache
from unseen.data.images import to_rgb
from unseen.data.sources.digits import Digits
from unseen.data.sources.image_folder import ImageFolder

CLASSES = {"ant": 6, "bee": 6, "cat": 5, "dog": 5}
IMAGES = sum(CLASSES.values())
forked = multiprocessing.get_context("fork")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(canvas_cache, "_SPARE_BYTES", 0)
    return CanvasCache(tmp_path / "cache", 1e9)


@pytest.fixture
def settled(monkeypatch):
    """Files that were changed just now may be kept."""
    monkeypatch.setattr(files, "_CLOCK_NS", 0)
    return lambda: time.sleep(0.02)  # longer than a tick of the file system's clock


@pytest.fixture
def archive(tmp_path):
    """A zip archive, which is kept at once, because its check sums say what is in it."""
    return write_zip(tmp_path / "photos.zip")


def write_zip(path: Path, changed: int | None = None) -> Path:
    """Write uncompressed pictures, all of the same size; the one with the number `changed` is another."""
    number = itertools.count()
    with zipfile.ZipFile(path, "w") as target:
        for name, images in CLASSES.items():
            for i in range(images):
                mine = next(number)
                with target.open(f"{name}/{i}.bmp", "w") as file:
                    picture(999 if mine == changed else mine).save(file, "bmp")
    return path


def data(root, cache=None, **settings):
    source = settings.pop("source", ImageFolder)(root=str(root))
    chosen = {
        "unseen": ["cat", "dog"],
        "image_size": 16,
        "rotation": 10,
        "batch_size": 4,
        "eval_batch_size": 4,
    }
    made = datamodule(source, **{**chosen, **settings}, cache=cache)
    made.check()
    made.setup()
    return made


def everything(made):
    """All that a network and the probes get to see."""
    loaders = (made.train_dataloader(), made.val_dataloader(), made.unseen_dataloader(noise_level=0.5))
    batches = [made.on_after_batch_transfer(batch, 0) for loader in loaders for batch in loader]
    return [tensor for batch in batches for tensor in batch] + [
        *made.raw_pixels("seen"),
        *made.raw_pixels("unseen"),
    ]


def equal(left, right):
    return all(torch.equal(one, other) for one, other in zip(left, right, strict=True))


def entries(cache):
    return sorted(cache.folder.glob("*.npy"))


def said(caplog):
    """What happened: "decoded 22 images", "mapped 22 decoded images"."""
    found = [
        re.split(" in | from ", message)[0]
        for message in caplog.messages
        if message.startswith(("decoded", "mapped"))
    ]
    caplog.clear()
    return found


@pytest.fixture(autouse=True)
def _all_messages(caplog):
    caplog.set_level(logging.INFO)


# ------------------------------------------------------------------ the same as without
def test_made_and_mapped_canvases_are_those_in_memory_to_the_last_bit(archive, cache, caplog):
    without = everything(data(archive))
    assert said(caplog) == [f"decoded {IMAGES} images"]
    assert equal(everything(data(archive, cache)), without)
    assert said(caplog) == [f"decoded {IMAGES} images"]
    assert equal(everything(data(archive, cache)), without)
    assert said(caplog) == [f"mapped {IMAGES} decoded images"]
    (entry,) = entries(cache)
    side = 16 + 2 * 2  # the pad is 2 pixels
    assert np.load(entry).shape == (IMAGES, 3, side, side)  # plain numpy reads it
    assert entry.stat().st_mode & 0o777 == 0o644
    assert not list(cache.folder.glob("*.part"))


def test_mapped_memory_is_shared_and_read_only_and_nobody_is_warned(archive, cache):
    data(archive, cache)
    (entry,) = entries(cache)
    before = entry.read_bytes()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = data(archive, cache)
            everything(made)
    finally:
        torch.set_warn_always(False)
    place = made._store("train").canvases.data_ptr()
    (line,) = (line for line in Path("/proc/self/maps").read_text().splitlines() if holds(line, place))
    assert line.split()[1] == "r--s"  # readable, not writable, shared
    assert line.endswith(entry.name)
    assert entry.read_bytes() == before


def holds(line, address):
    first, last = (int(number, 16) for number in line.split()[0].split("-"))
    return first <= address < last


def test_another_seed_and_another_order_of_epochs_share_an_entry(archive, cache, caplog):
    data(archive, cache, seed=0)
    data(archive, cache, seed=1, batch_size=3, rotation=5)
    assert said(caplog) == [f"decoded {IMAGES} images", f"mapped {IMAGES} decoded images"]


# ------------------------------------------------------------------ never stale
@pytest.mark.parametrize(
    "settings",
    [
        {"image_size": 17},
        {"image_size": 20, "rotation": 0},  # as large as the canvases with a margin
        {"rotation": 0},
        {"pad": 0.3},
        {"split_seed": 1},
        {"unseen": ["ant", "bee"]},
        {"train_size": 6},
    ],
    ids=str,
)
def test_other_pixels_or_images_are_another_entry(archive, cache, caplog, settings):
    data(archive, cache)
    said(caplog)
    assert equal(everything(data(archive, cache, **settings)), everything(data(archive, **settings)))
    assert said(caplog)[0].startswith("decoded")
    assert len(entries(cache)) == 2


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        (canvas_cache, "PIXELS_VERSION", canvases.PIXELS_VERSION + 1),
        (canvas_cache.PIL, "__version__", "0.0"),
        (canvas_cache.features, "version", lambda name: "0.0"),
    ],
)
def test_other_code_makes_another_entry(archive, cache, monkeypatch, place, name, value):
    data(archive, cache)
    monkeypatch.setattr(place, name, value)
    data(archive, cache)
    assert len(entries(cache)) == 2


def test_the_version_of_the_pixels_stands_for_these():
    """If this fails, pixels have changed: raise PIXELS_VERSION, then note the new sums beside the new version."""
    smooth = np.add.outer(np.arange(40) * 3, np.arange(52) * 2).astype(np.uint8)
    tall = Image.fromarray(np.stack([smooth, smooth.T[:40, :40].repeat(2, 1)[:, :52], 255 - smooth], 2))
    deep = Image.fromarray(smooth.astype(np.uint16) * 257)
    clear = Image.merge("LA", [Image.fromarray(smooth)] * 2)
    frames = (canvases.Frame(24, 3, 3), canvases.Frame(64, 6, 0))
    sums = [
        crc32(canvases.to_canvas(to_rgb(image), frame)) for image in (tall, deep, clear) for frame in frames
    ]
    assert (canvases.PIXELS_VERSION, sums) == (
        4,
        [2777946815, 535281890, 1140007621, 676385712, 4245665678, 403987501],
    )


def test_a_changed_image_in_an_archive_is_seen(archive, cache, caplog):
    """Size, date and name of the archive and of all images in it stay."""
    old = everything(data(archive, cache))
    status = archive.stat()
    write_zip(archive, changed=3)
    assert archive.stat().st_size == status.st_size
    os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))
    files._open_zip.cache_clear()  # as in a new process
    said(caplog)
    new = everything(data(archive, cache))
    assert said(caplog) == [f"decoded {IMAGES} images"]
    assert not equal(new, old)
    assert equal(new, everything(data(archive)))


def test_a_changed_image_in_a_folder_is_seen(write_images, cache, settled, caplog):
    root = write_images(CLASSES)
    settled()
    old = everything(data(root, cache))
    victim = root / "ant" / "000.png"
    status, content = victim.stat(), victim.read_bytes()
    settled()
    Image.new("RGB", (12, 12)).save(victim)
    victim.write_bytes(victim.read_bytes().ljust(len(content), b"\0"))
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a copy that keeps dates
    assert (victim.stat().st_size, victim.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    settled()
    said(caplog)
    assert not equal(everything(data(root, cache)), old)
    assert said(caplog) == [f"decoded {IMAGES} images"]


def test_two_images_that_change_places_are_seen(tmp_path, cache, settled, caplog):
    """All pictures were written at the same moment and have the same size: only their places tell them apart."""
    with zipfile.ZipFile(write_zip(tmp_path / "photos.zip")) as packed:
        packed.extractall(tmp_path / "store")
    for path in (tmp_path / "store").rglob("*.bmp"):
        link = tmp_path / "links" / path.relative_to(tmp_path / "store")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    settled()
    data(tmp_path / "links", cache)
    first, second = (tmp_path / "links" / "ant" / f"{i}.bmp" for i in (0, 1))
    one, other = first.readlink(), second.readlink()
    first.unlink(), second.unlink()
    first.symlink_to(other), second.symlink_to(one)
    said(caplog)
    data(tmp_path / "links", cache)
    assert said(caplog) == [f"decoded {IMAGES} images"]


def test_a_link_that_leads_elsewhere_has_another_stamp(tmp_path, settled):
    """Even if both places say the same of size and times, as two names of one file do."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "0.png").write_bytes(b"picture")
    (tmp_path / "b" / "0.png").hardlink_to(tmp_path / "a" / "0.png")
    (tmp_path / "folder").symlink_to("a")
    (tmp_path / "0.png").symlink_to("a/0.png")
    settled()
    paths = [tmp_path / "folder" / "0.png", tmp_path / "0.png"]
    before = files.file_stamps(paths)
    assert before[0].startswith(f"{(tmp_path / 'a' / '0.png').resolve()} 7 ")
    assert before[0] == before[1]
    for link, target in (("folder", "b"), ("0.png", "b/0.png")):
        (tmp_path / link).unlink()
        (tmp_path / link).symlink_to(target)
    after = files.file_stamps(paths)
    assert not set(after) & set(before)
    assert files.file_stamps([*paths, tmp_path / "nothing.png"]) is None


def test_equal_names_sizes_and_dates_below_another_root_are_other_images(tmp_path, cache, settled, caplog):
    for root, changed in (("a", None), ("b", 3)):
        with zipfile.ZipFile(write_zip(tmp_path / f"{root}.zip", changed)) as packed:
            packed.extractall(tmp_path / root)
        for path in (tmp_path / root).rglob("*.bmp"):
            os.utime(path, (0, 0))
    settled()
    assert not equal(everything(data(tmp_path / "a", cache)), everything(data(tmp_path / "b", cache)))


def test_images_that_were_only_just_written_are_not_kept(write_images, cache, caplog):
    root = write_images(CLASSES)
    assert equal(everything(data(root, cache)), everything(data(root)))
    assert not cache.folder.exists()
    assert "images are not kept for later runs: some were changed in the last seconds" in caplog.messages
    assert cache.notice is None  # nothing is wrong


@dataclass(frozen=True)
class Restless(ImageFolder):
    """Rewrites an image while it is read."""

    def read(self, reference: str) -> Image.Image:
        image = super().read(reference)
        if reference == "dog/004.png":
            path = Path(self.root) / reference
            path.write_bytes(path.read_bytes())
        return image


def test_images_that_change_while_they_are_decoded_are_not_kept(write_images, cache, settled, caplog):
    root = write_images(CLASSES)
    settled()
    plain = everything(data(root))
    settled()
    assert equal(everything(data(root, cache, source=Restless)), plain)
    assert not list(cache.folder.glob("*.[np]*"))
    assert "images are not kept for later runs: some are bad, or changed meanwhile" in caplog.messages


def test_pictures_in_memory_are_not_kept(cache):
    made = datamodule(Digits(), image_size=16, train_size=70, cache=cache)
    made.setup()
    assert not cache.folder.exists()
    assert made.decode_notice is None


# ------------------------------------------------------------------ damage
def cut(entry):
    os.truncate(entry, entry.stat().st_size - 1)


def empty(entry):
    entry.write_bytes(b"")


def other_header(entry):
    content = entry.read_bytes()
    entry.write_bytes(content.replace(b"'|u1'", b"'|i1'", 1))


@pytest.mark.parametrize("damage", [cut, empty, other_header])
def test_a_damaged_entry_is_made_anew(archive, cache, caplog, damage):
    whole = everything(data(archive, cache))
    (entry,) = entries(cache)
    content = entry.read_bytes()
    damage(entry)
    assert entry.read_bytes() != content
    said(caplog)
    assert equal(everything(data(archive, cache)), whole)
    assert said(caplog) == [f"decoded {IMAGES} images"]
    assert entry.read_bytes() == content
    data(archive, cache)
    assert said(caplog) == [f"mapped {IMAGES} decoded images"]


# ------------------------------------------------------------------ bad files
def test_a_set_with_bad_files_is_decoded_by_every_run(write_images, cache, settled, caplog):
    root = write_images(CLASSES)
    (root / "ant" / "bad.png").write_bytes(b"404 not found")
    settled()
    with pytest.raises(ValueError, match=r"1 of 23 image files cannot be used: ant/bad\.png"):
        data(root, cache)
    for _ in range(2):
        made = data(root, cache, skip_bad=True)
        assert [path for path, _ in made.bad_files] == ["ant/bad.png"]
        assert equal(everything(made), everything(data(root, skip_bad=True)))
    assert not list(cache.folder.glob("*.[np]*"))
    assert cache.notice is None


# ------------------------------------------------------------------ room
def test_what_was_used_longest_ago_goes_first(archive, tmp_path, cache, caplog):
    for number in range(3):
        data(archive, cache, split_seed=number)
    size = entries(cache)[0].stat().st_size
    by_seed = {}
    for number, age in enumerate((300, 200, 100)):
        said(caplog)
        data(archive, cache, split_seed=number)
        by_seed[number] = next(Path(text.rsplit(" ", 1)[1]) for text in caplog.messages if "mapped" in text)
        os.utime(by_seed[number], (time.time() - age,) * 2)
    data(archive, cache, split_seed=0)  # used just now: the oldest is number 1
    cache.limit = 3 * size
    data(archive, cache, split_seed=3)
    assert len(entries(cache)) == 3
    assert not by_seed[1].exists()
    assert by_seed[0].exists()
    assert by_seed[2].exists()


def test_a_run_keeps_what_it_has_mapped_when_it_is_deleted(archive, cache):
    used = data(archive, cache)
    (entry,) = entries(cache)
    os.utime(entry, (0, 0))
    cache.limit = 1.5 * entry.stat().st_size
    assert data(archive, cache, split_seed=1).decode_notice is None
    assert len(entries(cache)) == 1
    assert not entry.exists()
    assert equal(everything(used), everything(data(archive)))


def test_nothing_is_deleted_where_that_would_not_help(archive, cache, monkeypatch):
    data(archive, cache)
    before = entries(cache)
    monkeypatch.setattr(canvas_cache, "_SPARE_BYTES", 1e18)
    assert "GB are left to other files" in data(archive, cache, split_seed=1).decode_notice
    assert entries(cache) == before


def test_a_full_disk_is_cleared_of_old_entries(archive, cache, monkeypatch):
    data(archive, cache)
    (entry,) = entries(cache)
    size = entry.stat().st_size
    # half an entry is free, and as much again as is deleted
    free = lambda folder: shutil._ntuple_diskusage(0, 0, size * (0.5 if entry.exists() else 1.5))  # noqa: E731
    monkeypatch.setattr(canvas_cache.shutil, "disk_usage", free)
    assert data(archive, cache, split_seed=1).decode_notice is None
    assert len(entries(cache)) == 1
    assert not entry.exists()


def test_what_a_dead_process_left_behind_is_deleted(archive, cache):
    data(archive, cache)
    left = cache.folder / "canvases-0.part"
    left.write_bytes(b"half")
    mine = cache.folder / "mine.npy"
    mine.write_bytes(b"no business of ours")
    data(archive, cache, split_seed=1)
    assert not left.exists()
    assert mine.exists()


# ------------------------------------------------------------------ a folder that does not do
def no_space_left(descriptor, first, length):
    raise OSError(errno.ENOSPC, "No space left on device")


def no_locks(self, *arguments, **settings):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda cache, patch: cache.folder.write_bytes(b"a file"), "Not a directory|File exists"),
        (lambda cache, patch: setattr(cache, "limit", 1000), "they take 2.5e-05 GB, and data.cache_gb=9.31"),
        (
            lambda cache, patch: patch.setattr(canvas_cache.os, "posix_fallocate", no_space_left),
            "No space left on device",
        ),
        (
            lambda cache, patch: patch.setattr(canvas_cache.FileLock, "acquire", no_locks),
            "No locks available",
        ),
        (
            lambda cache, patch: patch.setattr(
                canvas_cache.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 99, 1)
            ),
            "they take 2.5e-05 GB of the disk, of which 9.3e-10 GB are free and 0 GB are left",
        ),
    ],
    ids=["a file", "limit", "full disk", "no locks", "little space"],
)
def test_a_cache_that_cannot_be_used_costs_a_sentence_not_the_run(
    archive, cache, monkeypatch, caplog, break_it, says
):
    without = everything(data(archive))
    said(caplog)
    break_it(cache, monkeypatch)
    made = data(archive, cache)
    assert equal(everything(made), without)
    assert made.decode_notice.startswith(f"decoded images are in memory, not in {cache.folder}: ")
    assert re.search(says, made.decode_notice)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        made.decode_notice
    ]
    assert not cache.folder.is_dir() or not list(cache.folder.glob("*.[np]*"))


def test_images_on_disk_need_no_memory(archive, cache, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 1000.0)
    with pytest.raises(
        ValueError, match=r"are free.*, or raise data\.cache_gb, which keeps decoded files on disk"
    ):
        data(archive, decode="ahead")
    made = data(archive, cache)
    assert made.num_images("unseen") == 10
    cache.limit = 1000
    with pytest.raises(ValueError, match=r"or raise data\.cache_gb"):
        data(archive, cache, decode="ahead")


def test_neither_disk_nor_memory(archive, cache, monkeypatch):
    cache.folder.write_bytes(b"a file")
    monkeypatch.setattr(memory, "free_memory", lambda: 1000.0)
    with pytest.raises(ValueError, match=r"GB are free.*; they cannot be read from .*cache instead: "):
        data(archive, cache, decode="ahead")
    without_either = data(archive, cache)
    assert "GB of memory and" in without_either.decode_notice
    assert without_either._store("train").canvases is None


# ------------------------------------------------------------------ processes
@dataclass(frozen=True)
class Slow(ImageFolder):
    """Takes 30 ms an image."""

    def read(self, reference: str) -> Image.Image:
        time.sleep(0.03)
        return super().read(reference)


def decode_in_another_process(archive, cache, log, source=Slow):
    def run():
        logging.basicConfig(filename=log, level=logging.INFO, format="%(message)s", force=True)
        made = data(archive, cache, source=source)
        torch.save(made._store("train").canvases.clone(), f"{log}.pt")
        os._exit(0)

    process = forked.Process(target=run)
    process.start()
    return process


def wait_until(true):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_of_several_processes_one_decodes_and_the_others_wait(archive, cache, tmp_path):
    processes = [decode_in_another_process(archive, cache, tmp_path / f"{number}.log") for number in range(3)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    logs = sorted((tmp_path / f"{number}.log").read_text() for number in range(3))
    assert sum(f"decoded {IMAGES} images in" in log for log in logs) == 1
    assert sum("waiting for another process that decodes the same images" in log for log in logs) >= 1
    assert sum(f"mapped {IMAGES} decoded images from" in log for log in logs) == 2
    expected = data(archive)._store("train").canvases
    assert all(torch.equal(torch.load(tmp_path / f"{number}.log.pt"), expected) for number in range(3))
    assert len(entries(cache)) == 1


@pytest.mark.parametrize("waiting", [False, True])
def test_a_killed_process_is_in_nobodys_way(archive, cache, tmp_path, caplog, waiting):
    killed = decode_in_another_process(archive, cache, tmp_path / "killed.log")
    wait_until(lambda: list(cache.folder.glob("*.part")))
    log = tmp_path / "second.log"
    second = decode_in_another_process(archive, cache, log) if waiting else None
    if waiting:
        wait_until(lambda: log.exists() and "waiting" in log.read_text())
    os.kill(killed.pid, signal.SIGKILL)
    killed.join(30)
    assert killed.exitcode == -signal.SIGKILL
    if second is not None:
        second.join(60)
        assert second.exitcode == 0
        assert f"decoded {IMAGES} images" in log.read_text()
    assert equal(everything(data(archive, cache)), everything(data(archive)))
    assert len(entries(cache)) == 1
    assert not list(cache.folder.glob("*.part"))
