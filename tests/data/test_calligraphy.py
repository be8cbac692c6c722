"""The calligraphy archive from a local server; nothing leaves the machine."""

import http.server
import io
import socket
import threading
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import zipped

from unseen.data.catalog import DataUnavailableError
from unseen.data.sources import calligraphy
from unseen.data.sources.calligraphy import TEST_COUNTS, TRAIN_COUNTS, Calligraphy, verify_archive


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content` at /file.zip, as far as `cut`, in one piece or `chunked`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.asked += 1
        if self.path != "/file.zip":
            self.send_error(404)
            return
        self.send_response(200)
        body = server.content
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
            body = f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
        else:
            self.send_header("Content-Length", server.stated or str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut])
        self.wfile.flush()
        server.stall.wait()
        self.close_connection = server.cut is not None

    def log_message(self, *args):
        pass


@contextmanager
def serving(content, *, cut=None, chunked=False, stated=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.content, server.cut, server.chunked, server.stated, server.asked = content, cut, chunked, stated, 0
    server.stall = threading.Event()  # set: nothing waits
    server.stall.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/file.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def files(folder):
    return sorted(
        path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")
    )


@pytest.fixture
def small_counts(monkeypatch):
    """Three artists instead of twenty."""
    monkeypatch.setattr(calligraphy, "TRAIN_COUNTS", {"ann": 4, "bob": 3, "csl": 5, "hy": 2})
    monkeypatch.setattr(calligraphy, "TEST_COUNTS", {"ann": 2, "bob": 1, "csl": 2, "hy": 1})


def png(number):
    stream = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def archive(train=None, test=None, top="calligraphy_data-6248cad/"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        file.writestr(f"{top}README.md", "read me")
        link = zipfile.ZipInfo(f"{top}train_15")  # a symbolic link, as GitHub's archives store it
        link.create_system, link.external_attr = 3, 0o120777 << 16
        file.writestr(link, "train")
        number = 0
        for part, counts in (
            ("train", train or calligraphy.TRAIN_COUNTS),
            ("test", test or calligraphy.TEST_COUNTS),
        ):
            for name, images in counts.items():
                for i in range(images):
                    number += 1
                    file.writestr(f"{top}{part}/{name}/{i:04d}.png", png(number))
    return stream.getvalue()


def test_the_published_counts():
    assert len(TRAIN_COUNTS) == len(TEST_COUNTS) == 20
    assert sum(TRAIN_COUNTS.values()) == 84_022
    assert sum(TEST_COUNTS.values()) == 21_007
    unseen = Calligraphy().default_unseen
    assert sum(number for name, number in TRAIN_COUNTS.items() if name not in unseen) == 66_056
    assert sum(number for name, number in TEST_COUNTS.items() if name not in unseen) == 16_515


@pytest.mark.parametrize("chunked", [False, True])
def test_calligraphy_is_downloaded_verified_and_read_from_the_archive(tmp_path, small_counts, chunked):
    with serving(archive(), chunked=chunked) as (server, url):
        source = Calligraphy(data_dir=str(tmp_path / "data"), url=url)
        source.check()
        assert sorted(source.known_counts()) == ["ann", "bob", "csl", "hy"]
        with pytest.raises(DataUnavailableError, match=r"are not in .*download them first, .*data\.root="):
            source.list()
        source.prepare()
        source.prepare()
    assert server.asked == 1
    assert files(tmp_path) == ["6248cad64014.zip"]
    catalog = source.list()
    assert catalog.counts() == {
        name: {"train": calligraphy.TRAIN_COUNTS[name], "test": calligraphy.TEST_COUNTS[name]}
        for name in ("ann", "bob", "csl", "hy")
    }
    assert source.known_counts() == catalog.counts()
    assert catalog.entries[0].reference == "calligraphy_data-6248cad/test/ann/0000.png"
    assert source.read(catalog.entries[0].reference).size == (12, 12)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: archive(train={"ann": 4, "bob": 2, "csl": 5, "hy": 2}), "train/bob has 2 instead of 3"),
        (
            lambda: archive(test={"ann": 2, "bob": 1, "csl": 2, "hy": 1, "eve": 7}),
            "test/eve has 7 instead of 0",
        ),
        (lambda: archive()[:-30], "cannot be read"),
        (lambda: b"<html>rate limit</html>", "cannot be read"),
    ],
)
def test_another_archive_is_refused_and_not_kept(tmp_path, small_counts, content, words):
    with serving(content()) as (_, url):
        source = Calligraphy(data_dir=str(tmp_path), url=url)
        with pytest.raises(DataUnavailableError, match=words):
            source.prepare()
    assert files(tmp_path) == []


def test_a_damaged_archive_is_found(tmp_path, small_counts):
    content = bytearray(archive())
    place = content.find(b"\x89PNG") + 60
    content[place] ^= 0xFF
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"damaged at calligraphy_data-6248cad/train/ann/0000\.png"):
        verify_archive(tmp_path / "x.zip")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_torn_download_leaves_nothing(tmp_path, small_counts, chunked):
    source = Calligraphy(data_dir=str(tmp_path), url="")
    content = archive()
    for cut in (0, 200, len(content) - 1):
        with (
            serving(content, cut=cut, chunked=chunked) as (_, url),
            pytest.raises(DataUnavailableError, match="could not be downloaded"),
        ):
            Calligraphy(data_dir=str(tmp_path), url=url).prepare()
    assert files(tmp_path) == []
    assert not source.archive.exists()


def test_a_half_file_that_lies_there_is_replaced_not_written_through(tmp_path, small_counts):
    with serving(archive()) as (_, url):
        source = Calligraphy(data_dir=str(tmp_path), url=url)
        source.archive.parent.mkdir()
        (tmp_path / "mine").write_bytes(b"mine")
        source.archive.with_name(source.archive.name + ".part").symlink_to(tmp_path / "mine")
        source.prepare()
    assert files(tmp_path) == [source.archive.name, "mine"]
    assert not source.archive.is_symlink()
    assert (tmp_path / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("path", "reason"),
    [("other.zip", "Not Found"), ("file.zip", "invalid literal")],
    ids=["no such file", "a length that is no number"],
)
def test_a_server_that_does_not_deliver(tmp_path, small_counts, path, reason):
    with serving(archive(), stated="abc") as (_, url):
        source = Calligraphy(data_dir=str(tmp_path), url=url.replace("file.zip", path))
        with pytest.raises(
            DataUnavailableError, match=f"could not be downloaded.*{reason}.*save it there by hand"
        ):
            source.prepare()
    assert files(tmp_path) == []


def test_a_server_that_stops_in_the_middle(tmp_path, small_counts, monkeypatch):
    monkeypatch.setattr(calligraphy, "_STALLED_SECONDS", 0.2)
    with serving(archive()) as (server, url):
        server.stall = threading.Event()
        server.cut = 100
        try:
            with pytest.raises(DataUnavailableError, match=r"could not be downloaded.*timed out"):
                Calligraphy(data_dir=str(tmp_path), url=url).prepare()
        finally:
            server.stall.set()
    assert socket.getdefaulttimeout() is None
    assert files(tmp_path) == []


def test_no_server_and_a_folder_that_cannot_be_written(tmp_path):
    with serving(b"") as (_, url):
        pass
    words = r"^http.*could not be downloaded to .*zip .*connect to the network.*data\.root=[^\n]*$"
    with pytest.raises(DataUnavailableError, match=words):
        Calligraphy(data_dir=str(tmp_path), url=url).prepare()
    (tmp_path / "file").write_text("")
    with pytest.raises(DataUnavailableError, match=r"could not be downloaded to .*Not a directory"):
        Calligraphy(data_dir=str(tmp_path / "file"), url=url).prepare()
    assert files(tmp_path) == ["file"]


def test_several_processes_download_once(tmp_path, small_counts):
    with serving(archive()) as (server, url):
        sources = [Calligraphy(data_dir=str(tmp_path), url=url) for _ in range(4)]
        threads = [threading.Thread(target=source.prepare) for source in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert server.asked == 1
    assert len(sources[0].list().entries) == 20


# ---------------------------------------------------------------- images that are there
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
