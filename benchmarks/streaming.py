"""Images decoded on the fly: start-up, images a second against torchvision, and memory, with very many files.

    python benchmarks/streaming.py                     200,000 files in 100 classes, some minutes
    python benchmarks/streaming.py --files 20000 --steps 60 --pairs 2

The files are hard links to 400 different JPEG pictures of 128 x 96, so that they fit into the system's cache: what is
measured is the work of the programs, not of a disk. Both sides resize, cut, scale and normalise (and rotate with
--rotation 10) all images of `--steps` training batches with the same number of worker processes, in turns. Start-up
is the time from listing the files to the first batch, without imports. Memory is the sum over all processes, with what
they share counted once (PSS), at its peak.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DIFFERENT, CLASSES, SIZE, BATCH = 400, 100, 64, 72
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def write_files(root: Path, number: int) -> Path:
    """Make a folder of so many JPEG files in 100 classes."""
    random, pictures = np.random.default_rng(0), root / "pictures"
    pictures.mkdir()
    for i in range(DIFFERENT):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        coarse.resize((128, 96), Image.Resampling.BICUBIC).save(pictures / f"{i}.jpg", quality=90)
    for name in range(CLASSES):
        folder = root / "images" / f"class{name:03d}"
        folder.mkdir(parents=True)
        for i in range(name, number, CLASSES):
            os.link(pictures / f"{i % DIFFERENT}.jpg", folder / f"image_{i:08d}.jpg")
    return root / "images"


def our_batches(images: Path, asked: argparse.Namespace) -> Iterator[Any]:
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.data.sources.image_folder import ImageFolder
    from unseen.data.splits import choose_classes
    from unseen.data.transforms import View

    yield None
    data = SeenUnseenDataModule(
        ImageFolder(str(images)), View(SIZE, asked.rotation), mean=MEAN, std=STD,
        choose=partial(choose_classes, num_unseen=20), batch_size=BATCH, decode="on_the_fly", workers=asked.workers,
    )  # fmt: skip
    data.check(k=10)
    data.setup()
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(batch, 0).images


def torchvision_batches(images: Path, asked: argparse.Namespace) -> Iterator[Any]:
    from torch.utils.data import DataLoader
    from torchvision import transforms as t
    from torchvision.datasets import ImageFolder

    yield None
    turn = (
        [t.Pad(round(SIZE * 20 / 224), fill=255), t.RandomRotation(asked.rotation)] if asked.rotation else []
    )
    steps = [t.Resize(SIZE), *turn, t.CenterCrop(SIZE), t.ToTensor(), t.Normalize(MEAN, STD)]
    folder = ImageFolder(str(images), t.Compose(steps))
    for batch, _ in DataLoader(folder, BATCH, shuffle=True, num_workers=asked.workers):
        yield batch


def measure(batches: Iterator[Any], asked: argparse.Namespace) -> dict[str, float]:
    """Return seconds to the first batch, images a second after some batches, and the peak of memory in MB."""
    import torch

    torch.set_num_threads(asked.threads)
    next(batches)  # the imports
    peak, began = [0.0], time.perf_counter()

    def watch() -> None:
        while True:
            peak[0] = max(peak[0], memory_of_all())
            time.sleep(0.2)

    threading.Thread(target=watch, daemon=True).start()
    next(batches)
    first = time.perf_counter() - began
    for _ in range(2 * asked.workers):  # that were made while nobody waited
        next(batches)
    began, images = time.perf_counter(), 0
    for batch in itertools.islice(batches, asked.steps):
        images += len(batch)
    return {
        "first_batch_s": first,
        "images_per_s": images / (time.perf_counter() - began),
        "peak_mb": peak[0],
    }


def memory_of_all() -> float:
    """Return the PSS of this process and its children in MB."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    total = 0
    for number in ("self", *children):
        try:
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
        except OSError:  # it has ended
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def in_a_process(side: str, images: Path) -> dict[str, float]:
    """Measure in a fresh process."""
    command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--images", str(images)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--threads", type=int, default=1, help="of torch in the main process")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rotation", type=float, default=0.0)
    parser.add_argument("--side", choices=("ours", "torchvision"), help=argparse.SUPPRESS)
    parser.add_argument("--images", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
        batches = {"ours": our_batches, "torchvision": torchvision_batches}[asked.side]
        print(json.dumps(measure(batches(asked.images, asked), asked)))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"{asked.files:,} files, {asked.workers} workers, load average before {os.getloadavg()[0]:.1f}")
        few, many = Path(folder) / "few", Path(folder) / "many"
        few.mkdir(), many.mkdir()
        small, large = write_files(few, asked.files // 10), write_files(many, asked.files)
        pairs = []
        for _ in range(asked.pairs):
            pairs.append((in_a_process("ours", large), in_a_process("torchvision", large)))
            rates = "{:.0f} against {:.0f} images/s".format(*(side["images_per_s"] for side in pairs[-1]))
            print(f"{rates}, first batch after {pairs[-1][0]['first_batch_s']:.1f} s", flush=True)
        ratios = sorted(ours["images_per_s"] / theirs["images_per_s"] for ours, theirs in pairs)
        print(f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f}), target >= 0.95")
        starts = [statistics.median(pair[side]["first_batch_s"] for pair in pairs) for side in (0, 1)]
        print("start-up to the first batch {:.1f} s, torchvision {:.1f} s".format(*starts))
        peaks = [in_a_process("ours", images)["peak_mb"] for images in (small, large)]
        print("peak of memory {:.0f} MB at a tenth of the files, {:.0f} MB at all".format(*peaks))


if __name__ == "__main__":
    main()
