"""The downloader and the calligraphy archive against a local server; nothing leaves the machine."""

import http.server
import io
import os
import threading
import zipfile
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from unseen.data.catalog import DataUnavailableError
from unseen.data.download import download
from unseen.data.sources import calligraphy
from unseen.data.sources.calligraphy import TEST_COUNTS, TRAIN_COUNTS, Calligraphy, verify_archive

CONTENT = bytes(range(256)) * 2000


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `content`; cuts the first `cuts` answers after `cut_at` bytes; honours Range if `ranges`."""

    def do_GET(self):
        server = self.server
        start = 0
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path != "/file.zip":
            self.send_error(404)
            return
        if asked and server.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        else:
            self.send_response(200)
        body = server.content[start:]
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)) if server.stated is None else server.stated)
        self.end_headers()
        if server.cuts > 0:
            server.cuts -= 1
            body = body[: server.cut_at]
            self.wfile.write(f"{len(body) + 1:x}\r\n".encode() + body if server.chunked else body)
            self.close_connection = True
            return
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n" if server.chunked else body)

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass


@contextmanager
def serving(content=CONTENT, *, cuts=0, cut_at=1000, ranges=True, chunked=False, stated=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.content, server.cuts, server.cut_at, server.ranges, server.chunked = (
        content,
        cuts,
        cut_at,
        ranges,
        chunked,
    )
    server.asked, server.stated = [], stated
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/file.zip"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def get(url, target, verify=lambda path: None, **settings):
    download(url, target, verify=verify, advice="or write data.root=...", **{"pause": 0.0, **settings})


def files(folder):
    return sorted(
        path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_arrives_whole(tmp_path, chunked):
    with serving(chunked=chunked) as (server, url):
        get(url, tmp_path / "deep" / "x.zip")
    assert (tmp_path / "deep" / "x.zip").read_bytes() == CONTENT
    assert files(tmp_path) == ["x.zip"]
    assert server.asked == [None]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_cut_connection_is_taken_up_where_it_ended(tmp_path, chunked):
    with serving(cuts=3, cut_at=100_000, chunked=chunked) as (server, url):
        get(url, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]


def test_a_server_that_cannot_go_on_in_the_middle_starts_again(tmp_path):
    with serving(cuts=1, cut_at=100_000, ranges=False) as (server, url):
        get(url, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_a_later_run_goes_on_with_what_an_earlier_one_left(tmp_path):
    with serving(cuts=9, cut_at=50_000) as (server, url):
        with pytest.raises(DataUnavailableError, match=r"100,000 bytes are kept.*or write data\.root=\.\.\."):
            get(url, tmp_path / "x.zip", attempts=2)
        assert files(tmp_path) == ["x.zip.part"]
        server.cuts = 0
        get(url, tmp_path / "x.zip")
        assert server.asked[-1] == "bytes=100000-"
    assert (tmp_path / "x.zip").read_bytes() == CONTENT
    assert files(tmp_path) == ["x.zip"]


def test_a_part_that_is_already_whole_is_only_verified(tmp_path):
    (tmp_path / "x.zip.part").write_bytes(CONTENT)
    with serving() as (_, url):
        get(url, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_thrown_away(tmp_path):
    (tmp_path / "x.zip.part").write_bytes(CONTENT + b"more")
    with serving() as (_, url):
        get(url, tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["link", "link to nowhere", "hard link", "pipe"])
def test_what_lies_there_as_a_half_file_is_not_written_through(tmp_path, kind):
    victim, part = tmp_path / "victim", tmp_path / "file.zip.part"
    if kind == "link to nowhere":
        part.symlink_to(victim)
    elif kind == "pipe":
        os.mkfifo(part)
    else:
        victim.write_bytes(b"mine")
        part.symlink_to(victim) if kind == "link" else part.hardlink_to(victim)
    with serving() as (_, url):
        get(url, tmp_path / "file.zip")
    assert (tmp_path / "file.zip").read_bytes() == CONTENT
    assert not (tmp_path / "file.zip").is_symlink()
    assert not victim.exists() or victim.read_bytes() == b"mine"
    assert victim.exists() == ("link to nowhere" != kind != "pipe")


def test_a_folder_in_place_of_the_half_file(tmp_path):
    (tmp_path / "file.zip.part").mkdir()
    with (
        serving() as (_, url),
        pytest.raises(DataUnavailableError, match=r"cannot be written: .*file.zip.part"),
    ):
        get(url, tmp_path / "file.zip")


@pytest.mark.parametrize("stated", ["abc", "-5", "1e9", "12, 12"])
def test_a_length_that_is_no_number(tmp_path, stated):
    words = f"could not be downloaded .the server states a Content-Length of '{stated}', which is no number.;"
    with serving(stated=stated) as (_, url), pytest.raises(DataUnavailableError, match=words):
        get(url, tmp_path / "file.zip")


def test_wrong_content_leaves_nothing(tmp_path):
    def verify(path):
        raise ValueError("too few cats")

    with (
        serving() as (_, url),
        pytest.raises(DataUnavailableError, match="not what was expected: too few cats; try"),
    ):
        get(url, tmp_path / "x.zip", verify)
    assert files(tmp_path) == []


def test_what_is_there_is_not_fetched_again(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"old")
    with serving() as (server, url):
        get(url, tmp_path / "x.zip")
    assert server.asked == []
    assert (tmp_path / "x.zip").read_bytes() == b"old"


def test_no_server_ends_at_once_in_one_sentence(tmp_path):
    with serving() as (_, url):
        pass
    with pytest.raises(
        DataUnavailableError, match=r"could not be downloaded .*connect to the network.*data\.root="
    ):
        get(url, tmp_path / "x.zip", pause=60.0)  # does not wait
    assert files(tmp_path) == []


def test_a_missing_file_and_a_folder_that_cannot_be_written(tmp_path):
    with serving() as (server, url):
        with pytest.raises(DataUnavailableError, match=r"Not Found.*data\.root="):
            get(url.replace("file", "other"), tmp_path / "x.zip", pause=60.0)
        (tmp_path / "file").write_text("")
        with pytest.raises(DataUnavailableError, match="cannot be written"):
            get(url, tmp_path / "file" / "x.zip")
    assert len(server.asked) == 1


def test_two_processes_download_once(tmp_path):
    with serving() as (server, url):
        threads = [threading.Thread(target=get, args=(url, tmp_path / "x.zip")) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.asked) == 1
    assert (tmp_path / "x.zip").read_bytes() == CONTENT


# ---------------------------------------------------------------- the calligraphy archive
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


def test_calligraphy_is_downloaded_verified_and_read_from_the_archive(tmp_path, small_counts):
    with serving(archive(), cuts=1, cut_at=500) as (server, url):
        source = Calligraphy(data_dir=str(tmp_path / "data"), url=url)
        source.check()
        assert source.known_classes() == ("ann", "bob", "csl", "hy")
        with pytest.raises(DataUnavailableError, match=r"are not in .*download them first, .*data\.root="):
            source.list()
        source.prepare()
        source.prepare()
    assert len(server.asked) == 2  # one cut, one continuation, nothing for the second call
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


def test_an_interruption_leaves_no_archive(tmp_path, small_counts):
    with serving(archive(), cuts=99, cut_at=200) as (_, url):
        source = Calligraphy(data_dir=str(tmp_path), url=url)
        with pytest.raises(DataUnavailableError, match="could not be downloaded"):
            download(url, source.archive, verify=verify_archive, advice="", attempts=2, pause=0)
    assert files(tmp_path) == ["6248cad64014.zip.part"]
    assert not source.archive.exists()
