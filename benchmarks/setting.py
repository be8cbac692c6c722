"""How large a benchmark is, and what every benchmark is given."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.floors import Floors
from benchmarks.machine import ROOT
from benchmarks.timing import PAIRS, Pair

SAMPLE, FOLDER = ROOT / "../shared/data/calligraphy.zip", ROOT / "data/calligraphy"


@dataclass(frozen=True)
class Size:
    """Sizes of all benchmarks; `default` fits into ten minutes on two cores, `full` takes hours, `tiny` seconds.

    Attributes:
        name: default, full or tiny.
        pairs: Pairs per row.
        cut: The whole job is cut to one part in so many (see `whole_job`).
        train_steps: Steps of `floor`, and of `training_steps` after its warm-up.
        floor_images: Seen and unseen images, each, of `floor`.
        probing_images: The same of `probing`.
        image_size: Pixels a side of these.
        suite: N, D, C, layers of `probe_suite`.
        large: N, D, C, layers of `probe_suite_large`'s times.
        large_memory: The same of its memory.
        input_images: Images of `input`.
        input_size: Pixels a side of these.
        growth: N, D, C at the smallest of the three sizes of `scaling`.
    """

    name: str
    pairs: int
    cut: int
    train_steps: int
    floor_images: int
    probing_images: int
    image_size: int
    suite: tuple[int, int, int, int]
    large: tuple[int, int, int, int]
    large_memory: tuple[int, int, int, int]
    input_images: int
    input_size: int
    growth: tuple[int, int, int]


DEFAULT = Size(
    name="default",
    pairs=PAIRS,
    cut=12,
    train_steps=6,
    floor_images=400,
    probing_images=2500,
    image_size=64,
    suite=(2500, 768, 5, 3),
    large=(3000, 768, 100, 1),
    large_memory=(20_000, 768, 100, 1),
    input_images=864,
    input_size=224,
    growth=(1000, 128, 5),
)
FULL = Size(
    name="full",
    pairs=PAIRS,
    cut=1,
    train_steps=60,
    floor_images=2500,
    probing_images=2500,
    image_size=64,
    suite=(2500, 768, 5, 13),
    large=(20_000, 768, 100, 3),
    large_memory=(20_000, 768, 100, 3),
    input_images=2500,
    input_size=224,
    growth=(2500, 192, 10),
)
TINY = Size(
    name="tiny",
    pairs=2,
    cut=60,
    train_steps=2,
    floor_images=90,
    probing_images=90,
    image_size=32,
    suite=(200, 16, 5, 2),
    large=(200, 16, 10, 1),
    large_memory=(200, 16, 10, 1),
    input_images=16,
    input_size=32,
    growth=(100, 8, 3),
)
SIZES = {size.name: size for size in (DEFAULT, FULL, TINY)}


@dataclass
class Setting:
    """What a benchmark is given.

    Attributes:
        size: How large.
        floors: Rates of this machine.
        report: Shows a line of progress.
        deadline: On the clock of time.monotonic; no further pair begins after it.
        calligraphy: Folder or zip of the images, or None for where they usually are.
    """

    size: Size
    floors: Floors
    report: Callable[[str], None]
    deadline: float
    calligraphy: Path | None = None

    @property
    def pairs(self) -> int:
        """Pairs per row."""
        return self.size.pairs

    def go_on(self) -> bool:
        """Return whether there is time left."""
        return time.monotonic() < self.deadline

    def show_pair(self, name: str) -> Callable[[int, Pair], None]:
        """Return what shows a finished pair of a row."""

        def show(number: int, pair: Pair) -> None:
            self.report(
                f"{name}: pair {number + 1} of {self.pairs}: ours {pair.ours:.3g} s, reference {pair.reference:.3g} s"
            )

        return show

    def calligraphy_root(self) -> Path:
        """Return where the calligraphy images are: argument, UNSEEN_CALLIGRAPHY, ../shared/data, data/calligraphy.

        Raises:
            FileNotFoundError: One sentence that says what to do.
        """
        named = self.calligraphy or (
            Path(os.environ["UNSEEN_CALLIGRAPHY"]) if os.environ.get("UNSEEN_CALLIGRAPHY") else None
        )
        candidates = [named] if named else [SAMPLE, FOLDER]
        for path in candidates:
            if path.exists():
                return path.resolve()
        looked = named or "../shared/data/calligraphy.zip and data/calligraphy"
        raise FileNotFoundError(
            f"there are no calligraphy images at {looked}; name a folder or zip archive with --calligraphy or "
            "UNSEEN_CALLIGRAPHY"
        )


def allow_all_algorithms() -> None:
    """Undo a trainer's deterministic mode, which costs time and which nothing but our own run asks for."""
    import torch

    torch.use_deterministic_algorithms(False)
