"""Pipes, devices, links, hidden files, hostile archives: nothing blocks, and what is left out is counted."""

import bz2
import os
import socket
import struct
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from unseen.data import files
from unseen.data.catalog import LeftOut, left_out_sentence
from unseen.data.files import DEEPEST, ZipTree
from unseen.data.images import BadImageError
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


# ---------------------------------------------------------------- hostile archives, and careless ones
@pytest.fixture
def archive(tmp_path):
    """Writes members {name or ZipInfo: content} after two good class folders; returns the source."""

    def write(*members, **settings):
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w", **settings) as made, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names that come twice
            for name in ("cat/0.png", "cat/1.png", "owl/0.png", "owl/1.png"):
                made.writestr(name, b"good")
            for name, content in members:
                made.writestr(name, content)
        return ImageFolder(root=str(path))

    return write


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/", {}),
        ("//", {}),
        ("./", {}),
        ("../outside.png", {"named with ..": 1}),
        ("cat/../../outside.png", {"named with ..": 1}),
        ("cat/.hidden.png", {"hidden": 1}),
        (".cache/cat/0.png", {"hidden": 1}),
        ("__MACOSX/cat/._0.png", {"of the system": 1}),
        ("cat/Thumbs.db", {"of the system": 1}),
        (link("cat/link.png"), {"links in an archive": 1}),
        ("cat/0.png", {"named twice in an archive": 1}),
        ("./cat//0.png", {"named twice in an archive": 1}),
        ("loose.png", {"outside any class folder": 1}),
        ("cat/notes", {"without suffix": 1}),
        ("cat/" + "a/" * 5000 + "x.png", {"more than 100 folders deep": 1}),
        ("a/" * 5000 + "x.png", {"without an image": 2}),  # the folder, and the file that is too deep
    ],
    ids=lambda value: str(value)[:30],
)
def test_members_that_are_left_out_are_counted(archive, name, expected):
    source = archive((name, b"x"))
    assert listed(source.root) == ({"cat": 2, "owl": 2}, expected)


def test_names_are_read_as_they_are_listed(archive):
    source = archive(("./owl//2.png", b"dotted"), ("/owl/3.png", b"rooted"), ("owl/1.png", b"again"))
    tree = ZipTree(Path(source.root))
    assert tree.find("owl").images == ["owl/0.png", "owl/1.png", "owl/2.png", "owl/3.png"]
    contents = [tree.read(name) for name in tree.find("owl").images]
    assert contents == [
        b"good",
        b"again",
        b"dotted",
        b"rooted",
    ]  # of two of one name the last, as unpacking would


def test_backslashes_of_windows(archive):
    info = zipfile.ZipInfo("ant\\0.png")
    info.filename, info.create_system = "ant\\0.png", 0
    assert "ant" in archive((info, b"x")).known_counts()


def test_members_without_limit_are_refused(archive, monkeypatch):
    source = archive(("cat/bomb.png", b"\0" * 50_000), compression=zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(files, "MAX_BYTES", 49_999)
    with pytest.raises(BadImageError, match="50,000 bytes are more than 49,999"):
        source.read("cat/bomb.png")
    with pytest.raises(BadImageError, match="not an image"):
        source.read("cat/0.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_is_longer_than_it_says_is_not_unpacked_to_its_end(archive, method, monkeypatch):
    source = archive(("cat/liar.png", b"\0" * 3_000_000), compression=method)
    path = Path(source.root)
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02")  # the last entry of the index: size 10 instead of 3,000,000
    content[start + 24 : start + 28] = struct.pack("<I", 10)
    path.write_bytes(content)
    unpacked = []
    real = zipfile._get_decompressor

    def counting(compress_type):
        made = real(compress_type)

        class Counting:
            def __getattr__(self, name):
                return getattr(made, name)

            def decompress(self, *arguments):
                unpacked.append(made.decompress(*arguments))
                return unpacked[-1]

        return Counting()

    monkeypatch.setattr(zipfile, "_get_decompressor", counting)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        source.read("cat/liar.png")
    if method == zipfile.ZIP_DEFLATED:
        assert sum(map(len, unpacked)) <= 2**20
    assert len(bz2.compress(b"\0" * 3_000_000)) < 4096  # the others unpack what 4,096 packed bytes give


def test_encrypted_and_unknown_members_are_bad_files(archive):
    for offset, value, raised, reason in (
        (8, 1, RuntimeError, "encrypted"),
        (10, 99, NotImplementedError, "compression method is not supported"),
    ):
        source = archive(("cat/odd.png", b"x"))
        path = Path(source.root)
        content = bytearray(path.read_bytes())
        start = content.rindex(b"PK\x01\x02")
        content[start + offset : start + offset + 2] = struct.pack("<H", value)
        path.write_bytes(content)
        with pytest.raises(raised, match=reason):
            ImageFolder(root=str(path)).read("cat/odd.png")
