"""What decoded images on disk save a run: `setup()` without the cache, making an entry, and mapping it.

    python benchmarks/canvas_cache.py path/to/calligraphy.zip       five rounds at 64 pixels

Each measurement is a fresh process, and the three take turns. The files of the images and the entry itself are in
the system's memory, as they are for the second job of a sweep. `setup()` is timed alone, and then with one pass
over all canvases (CRC-32), which is when mapped memory is really read.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WAYS = ("without", "making", "mapping")


def measure(images: str, size: int, folder: str | None) -> None:
    """Print the seconds of one set-up, and with a pass over all pixels, as JSON."""
    sys.path.insert(0, str(ROOT / "src"))
    from unseen.data.canvas_cache import CanvasCache
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.data.sources.calligraphy import Calligraphy

    data = SeenUnseenDataModule(
        Calligraphy(root=images), image_size=size, rotation=10, mean=(0.5,) * 3, std=(0.5,) * 3,
        cache=None if folder is None else CanvasCache(Path(folder), float("inf")),
    )  # fmt: skip
    began = time.perf_counter()
    data.setup()
    ready = time.perf_counter()
    stores = [data._store(which) for which in ("train", "seen", "unseen")]
    sums = [zlib.crc32(store.canvases.numpy()) for store in stores]
    read = time.perf_counter()
    number = sum(len(store) for store in stores)
    megabytes = sum(store.canvases.nbytes for store in stores) / 2**20
    print(
        json.dumps(
            {"setup": ready - began, "read": read - began, "sums": sums, "images": number, "mb": megabytes}
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", help="folder or zip archive, as for data=calligraphy data.root=")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure is not None:
        measure(asked.images, asked.size, asked.measure or None)
        return

    def child(folder: str) -> dict[str, Any]:
        line = [sys.executable, __file__, asked.images, "--size", str(asked.size)]
        environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
        done = subprocess.run(
            [*line, "--measure", folder], check=True, capture_output=True, text=True, env=environment
        )
        return json.loads(done.stdout)

    found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    child("")  # the images' files come into memory
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for way in WAYS:
                found[way].append(child("" if way == "without" else folder))
    if len({str(row["sums"]) for rows in found.values() for row in rows}) > 1:
        raise SystemExit("the three ways gave different canvases")
    first = found["without"][0]
    print(
        f"{datetime.now():%Y-%m-%d}, {os.cpu_count()} cores, {first['images']:,} images at {asked.size} px "
        f"({first['mb']:.0f} MB), {asked.rounds} rounds: median (least .. most), ratio of each round's times"
    )
    for what in ("setup", "read"):
        for way in WAYS:
            times = [row[what] for row in found[way]]
            ratios = [row[what] / mine for row, mine in zip(found["without"], times, strict=True)]
            name = f"{way}, setup()" + (" and one pass" if what == "read" else "")
            print(
                f"{name:32} {statistics.median(times):6.2f} s ({min(times):.2f} .. {max(times):.2f})   "
                f"x {statistics.median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
