"""Chinese calligraphy of 20 artists (arXiv 2402.14095 and 2405.01524), 64 x 64 pixels, black ink on white.

The images are in the public repository evgerritz/calligraphy_data (MIT licence), read here as one zip archive
of a pinned commit: 188 MB, 84,022 training and 21,007 test images.
"""

from __future__ import annotations

import http.client
import itertools
import logging
import socket
import sys
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from PIL import Image

from unseen.data.catalog import Catalog, Counts, DataUnavailableError, Entry, ImageSource, LeftOut, Part
from unseen.data.files import FileTree, below, open_tree, tree_at
from unseen.data.images import decode
from unseen.data.sources.image_folder import class_entries
from unseen.wording import listing, one_line

COMMIT = "6248cad64014a2a0894a3754a7b1041d4ee7563c"
URL = f"https://github.com/evgerritz/calligraphy_data/archive/{COMMIT}.zip"
_ADVICE = "or get the images another way and write data.root=path/to/folder/or/zip"
_PARTS: tuple[Part, ...] = ("train", "test")
_STALLED_SECONDS = 60.0
_log = logging.getLogger(__name__)


def _numbers(text: str) -> dict[str, int]:
    pairs = (item.split() for item in text.split(","))
    return {name: int(number) for name, number in pairs}


TRAIN_COUNTS: Mapping[str, int] = _numbers(
    "bdsr 1588, csl 860, fwq 5410, gj 5410, htj 5371, hy 2665, lgq 5410, lqs 5406, lx 5410, mf 5410, mzd "
    "5410, oyx 2808, sgt 5001, shz 5410, smh 1014, wxz 5393, wzm 3621, yyr 5410, yzq 5405, zmf 1610"
)
TEST_COUNTS: Mapping[str, int] = _numbers(
    "bdsr 397, csl 215, fwq 1353, gj 1353, htj 1343, hy 666, lgq 1353, lqs 1351, lx 1353, mf 1353, mzd 1353, "
    "oyx 702, sgt 1250, shz 1353, smh 253, wxz 1348, wzm 905, yyr 1353, yzq 1351, zmf 402"
)


@dataclass(frozen=True, kw_only=True)
class Calligraphy(ImageSource):
    """Artists as classes.

    Attributes:
        root: A folder or zip archive in the repository's layout (train/ARTIST, test/ARTIST) or as
            seen/train/ARTIST, seen/test/ARTIST, unseen/ARTIST; None: the repository is downloaded.
        data_dir: Where downloads are kept.
        url: The archive that is downloaded.
        default_unseen: The papers' five artists.
    """

    root: str | None = None
    data_dir: str = "data"
    url: str = URL
    default_unseen: tuple[str, ...] | None = ("csl", "hy", "mf", "shz", "wzm")

    @property
    def archive(self) -> Path:
        """Where the download is, or will be."""
        return Path(self.data_dir).expanduser() / "calligraphy" / f"{COMMIT[:12]}.zip"

    def check(self) -> None:
        """Refuse a root that is missing, empty or laid out otherwise."""
        if self.root is not None:
            self._tree()

    def known_counts(self) -> Counts:
        """Return the number of images by artist and part."""
        if self.root is not None:
            return self.list().counts()
        return {name: {"train": TRAIN_COUNTS[name], "test": TEST_COUNTS[name]} for name in TRAIN_COUNTS}

    def prepare(self) -> None:
        """Download the archive unless it is there."""
        if self.root is None and not self.archive.exists():
            _download(self.url, self.archive)

    def list(self) -> Catalog:
        """Return every image file."""
        tree = self._tree()
        folders = tree.folders()
        # an archive of the repository has a folder around everything
        top = folders[0] if len(folders) == 1 else ""
        inside = tree.folders(top)
        places: tuple[tuple[str, Part], ...] = (("train", "train"), ("test", "test"))
        if not {"train", "test"} <= set(inside):
            if not (
                {"seen", "unseen"} <= set(inside)
                and {"train", "test"} <= set(tree.folders(below(top, "seen")))
            ):
                raise ValueError(
                    f"data.root={self.root} has the folders {listing(inside) or '(none)'}; data=calligraphy needs "
                    "train/ARTIST and test/ARTIST, or seen/train/ARTIST, seen/test/ARTIST and unseen/ARTIST"
                )
            places = (("seen/train", "train"), ("seen/test", "test"), ("unseen", "whole"))
        entries: list[Entry] = []
        left_out: Counter[LeftOut] = Counter()
        for folder, part in places:
            images, others = class_entries(tree, below(top, folder), part)
            entries, left_out = entries + images, left_out + others
        return Catalog.of(entries, left_out)

    def read(self, reference: str) -> Image.Image:
        """Return an image as 8-bit RGB."""
        return decode(tree_at(self.root or self.archive).read(reference))

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return a text for each file that changes with its content, or None (see `ImageSource`)."""
        return tree_at(self.root or self.archive).stamps(references)

    def _tree(self) -> FileTree:
        if self.root is not None:
            return open_tree(self.root)
        if not self.archive.exists():
            raise DataUnavailableError(
                f"the calligraphy images are not in {self.archive}; download them first, {_ADVICE}"
            )
        return open_tree(self.archive, "the download")


def _download(url: str, target: Path) -> None:
    """Leave the archive at `target` once all of it is there and verified; of several processes one downloads it."""
    from torch.hub import download_url_to_file

    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if target.exists():  # another process was faster
                return
            _log.info("downloading %s to %s", url, target)
            before = socket.getdefaulttimeout()
            socket.setdefaulttimeout(_STALLED_SECONDS)  # torch.hub takes no timeout, and would wait for ever
            try:
                download_url_to_file(url, str(part), progress=sys.stderr.isatty())
                verify_archive(part)
                part.replace(target)
            finally:
                socket.setdefaulttimeout(before)
                part.unlink(missing_ok=True)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataUnavailableError(
            f"{url} could not be downloaded to {target} ({one_line(error)}); connect to the network and run this "
            f"again, or save it there by hand, {_ADVICE}"
        ) from error


def verify_archive(path: Path) -> None:
    """Compare an archive of the repository with the number of images of each artist.

    Raises:
        ValueError: It is damaged, or an artist has another number of images.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"the archive cannot be read ({error})") from error
    if damaged is not None:
        raise ValueError(f"the archive is damaged at {damaged}")
    found, expected = Calligraphy(root=str(path)).list().counts(), Calligraphy().known_counts()
    wrong = []
    for part, name in itertools.product(_PARTS, sorted({*found, *expected})):
        number, right = (counts.get(name, {}).get(part, 0) for counts in (found, expected))
        if number != right:
            wrong.append(f"{part}/{name} has {number} instead of {right}")
    if wrong:
        raise ValueError(f"the number of images is wrong: {listing(wrong, shown=4)}")
