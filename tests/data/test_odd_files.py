"""Pipes, devices, links, hidden and foreign files: nothing is waited for, nothing goes without being counted."""

import os
import socket
import time
from collections import Counter
from pathlib import Path

import pytest

from unseen.data.catalog import LeftOut, left_out_sentence
from unseen.data.files import DEEPEST
from unseen.data.sources.image_folder import ImageFolder
from unseen.regular_files import read_bytes


def listed(root):
    """Number of images by class, and of what is left out by reason."""
    catalog = ImageFolder(root=str(root)).list()
    reasons = Counter()
    for (reason, _), number in catalog.left_out.items():
        reasons[reason] += number
    return {name: sum(parts.values()) for name, parts in catalog.counts().items()}, dict(reasons)


@pytest.fixture
def photos(write_images):
    return write_images({"cat": 2, "owl": 2})


def test_pipes_sockets_and_devices_are_told_and_never_opened(photos):
    os.mkfifo(photos / "cat" / "pipe.png")
    os.mkfifo(photos / "cat" / "pipe")
    os.mkfifo(photos / "pipe")
    (photos / "cat" / "zero.png").symlink_to("/dev/zero")
    (photos / "owl" / "to pipe.jpg").symlink_to(photos / "cat" / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(photos / "owl" / "s.png"))
        began = time.monotonic()
        images, left_out = listed(photos)
        assert images == {"cat": 4, "owl": 4}  # as bad files: refused, or skipped with data.skip_bad
        assert left_out == {"neither file nor folder": 2}
        source = ImageFolder(root=str(photos))
        for name, reason in (("cat/pipe.png", "a named pipe"), ("cat/zero.png", "a device"),
                             ("owl/to pipe.jpg", "a named pipe"), ("owl/s.png", "a socket")):  # fmt: skip
            with pytest.raises(ValueError, match=reason):
                source.read(name)
        assert time.monotonic() - began < 5


def test_a_file_that_becomes_a_pipe_is_not_waited_for(photos, monkeypatch):
    os.mkfifo(photos / "cat" / "late.png")
    regular = (photos / "cat" / "000.png").stat()
    monkeypatch.setattr(Path, "stat", lambda self: regular)
    with pytest.raises(ValueError, match="a named pipe"):
        read_bytes(photos / "cat" / "late.png", 100_000)


def test_roots_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place, kind in ((tmp_path / "pipe", "a named pipe"), ("/dev/zero", "a device")):
        with pytest.raises(ValueError, match=f"is {kind}, but neither a folder nor a zip archive"):
            ImageFolder(root=str(place)).check()


def test_links_to_themselves_and_in_circles(photos):
    (photos / "cat" / "self.png").symlink_to("self.png")
    (photos / "cat" / "self").symlink_to("self")
    (photos / "itself").symlink_to("itself")
    (photos / "owl" / "up").symlink_to(photos)
    (photos / "owl" / "here").symlink_to(photos / "owl")
    images, left_out = listed(photos)
    assert images == {"cat": 3, "owl": 2}
    assert left_out == {"neither file nor folder": 2, "linked twice or in a circle": 2}
    with pytest.raises(OSError, match="symbolic links"):
        ImageFolder(root=str(photos)).read("cat/self.png")


def test_a_folder_linked_twice_into_a_class_is_there_once(photos):
    """Its images would be on both sides of the division; and links of links would double at each level."""
    (photos / "cat" / "a").mkdir()
    (photos / "cat" / "a" / "x.png").write_bytes(b"x")
    (photos / "cat" / "b").symlink_to(photos / "cat" / "a")
    assert listed(photos) == ({"cat": 3, "owl": 2}, {"linked twice or in a circle": 1})
    farm = photos.parent / "farm"
    for level in range(40):
        (farm / str(level)).mkdir(parents=True)
    for level in range(39):
        for name in "ab":
            (farm / str(level) / name).symlink_to(farm / str(level + 1))
    (photos / "owl" / "farm").symlink_to(farm / "0")
    began = time.monotonic()
    assert listed(photos)[1] == {"linked twice or in a circle": 1 + 39}
    assert time.monotonic() - began < 5


def test_links_into_file_systems_without_files(photos):
    """/proc has links to everything that runs: following them would take for ever."""
    (photos / "running").symlink_to("/proc/self/task")
    (photos / "cat" / "devices").symlink_to("/sys")
    began = time.monotonic()
    assert listed(photos) == ({"cat": 2, "owl": 2}, {"of the system": 1, "without an image": 2})
    assert time.monotonic() - began < 5


def test_very_deep_folders(photos):
    place = photos / "cat" / "/".join("d" * (DEEPEST + 20))
    place.mkdir(parents=True)
    (place / "x.png").write_bytes(b"x")
    assert listed(photos) == ({"cat": 2, "owl": 2}, {f"more than {DEEPEST} folders deep": 1})


def test_folders_that_cannot_be_opened(photos, monkeypatch):
    (photos / "cat" / "locked").mkdir()
    real = os.scandir

    def locked(place):
        if str(place).endswith(locked.name):
            raise PermissionError(13, "Permission denied", str(place))
        return real(place)

    locked.name = "locked"
    monkeypatch.setattr(os, "scandir", locked)
    source = ImageFolder(root=str(photos))
    assert listed(photos)[0] == {"cat": 3, "owl": 2}  # a bad file like others
    with pytest.raises(ValueError, match="a folder that cannot be read"):
        source.read("cat/locked")
    locked.name = "owl"
    with pytest.raises(ValueError, match=r"class folder 'owl' of data\.root cannot be opened"):
        source.list()


@pytest.mark.parametrize(
    "name",
    ["@eaDir", ".thumbnails", "__MACOSX", "$RECYCLE.BIN", "System Volume Information", "lost+found", "#recycle",
     ".ipynb_checkpoints", "@Recycle", ".git", "__pycache__"],
)  # fmt: skip
def test_folders_of_systems_are_no_classes_anywhere(photos, name):
    for place in (photos / name, photos / "cat" / name):
        (place / "deep").mkdir(parents=True)
        for folder in (place, place / "deep"):
            (folder / "thumb.jpg").write_bytes(b"x")
    images, left_out = listed(photos)
    assert images == {"cat": 2, "owl": 2}
    assert sum(left_out.values()) == 2


def test_pictures_of_unread_kinds_are_counted_by_suffix_and_class(photos):
    for name in ("cat/a.HEIC", "cat/b.heic", "owl/c.heic", "owl/IMG_0001", "owl/d.CR2", "owl/notes.txt"):
        (photos / name).write_bytes(b"x")
    catalog = ImageFolder(root=str(photos)).list()
    assert left_out_sentence(catalog.left_out) == (
        "6 files or folders left out: 3 .heic (in cat, owl), 1 .cr2 (in owl), 1 .txt (in owl), "
        "1 without suffix (in owl)"
    )


def test_folders_without_an_image_are_no_classes(photos):
    (photos / "empty").mkdir()
    (photos / "docs").mkdir()
    (photos / "docs" / "a.txt").write_text("x")
    images, left_out = listed(photos)
    assert images == {"cat": 2, "owl": 2}
    assert left_out == {"without an image": 1 + 2}  # the folders, and the file


def test_images_beside_the_class_folders_are_counted(photos):
    (photos / "loose.png").write_bytes(b"x")
    assert listed(photos) == ({"cat": 2, "owl": 2}, {"outside any class folder": 1})


def test_a_long_sentence_is_shortened():
    many = {LeftOut(f".s{i:02d}", f"class{i}"): i + 1 for i in range(12)}
    text = left_out_sentence(many)
    assert text.startswith("78 files or folders left out: 12 .s11 (in class11), ")
    assert text.endswith(", 10 of 4 other kinds")  # 1 + 2 + 3 + 4
    assert left_out_sentence({}) is None


def test_a_file_larger_than_any_picture(photos):
    with (photos / "cat" / "huge.png").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"huge\.png has more than 512 MiB"):
        ImageFolder(root=str(photos)).read("cat/huge.png")
