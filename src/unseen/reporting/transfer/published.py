"""The numbers of the paper on CLIP, EVA-02, CoCa and SigLIP over its tasks (Niss et al., arXiv 2407.15731)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class Published:
    """One number of the paper.

    Attributes:
        encoder: As in configs/encoder; `all four` where the paper gives a range.
        outcome: gain: accuracy gained, divided by the zero-shot error.
        statistic: r2, or tau: Kendall's.
        value: As printed; of a range its lower end, and `value_high` the upper one.
        n: Tasks.
        source: Where it is printed.
    """

    encoder: str
    outcome: str
    measure: str
    statistic: str
    value: float
    value_high: float
    n: int
    source: str


@lru_cache(maxsize=1)
def published_numbers() -> tuple[Published, ...]:
    """Return the published numbers. Those of a composed encoder are none that may stand beside them."""
    text = resources.files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    return tuple(
        Published(
            row["encoder"], row["outcome"], row["measure"], row["statistic"], float(row["value"]),
            float(row["value_high"]), int(row["n"]), row["source"],
        )
        for row in csv.DictReader(text.splitlines())
    )  # fmt: skip
