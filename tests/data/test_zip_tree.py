"""Archives made to break their reader, or made by careless programs."""

import bz2
import struct
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from unseen.data import files
from unseen.data.files import ZipTree
from unseen.data.images import BadImageError
from unseen.data.sources.image_folder import ImageFolder


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


def reasons(source):
    found = Counter()
    for (reason, _), number in source.list().left_out.items():
        found[reason] += number
    return dict(found)


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
    assert reasons(source) == expected
    assert source.known_counts() == {"cat": {"whole": 2}, "owl": {"whole": 2}}


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
    for offset, value, reason in ((8, 1, "encrypted"), (10, 99, "compression method is not supported")):
        source = archive(("cat/odd.png", b"x"))
        path = Path(source.root)
        content = bytearray(path.read_bytes())
        start = content.rindex(b"PK\x01\x02")
        content[start + offset : start + offset + 2] = struct.pack("<H", value)
        path.write_bytes(content)
        with pytest.raises((RuntimeError, NotImplementedError), match=reason):
            ImageFolder(root=str(path)).read("cat/odd.png")
