"""The networks of a correlation study: their biases, and their accuracies as means over groups of benchmarks.

Source: arXiv 2404.01509 (CVPR 2024), whose table of 48 ResNet-50 is `published.csv` beside this file (see NOTICE.md).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from unseen.reporting.statistics.intervals import Floats

PUBLISHED = Path(__file__).with_name("published.csv")
ADVERSARIAL_TRAINING = "adversarial_training"  # the category of subset AT
CUTOFFS = (0.1, 0.2, 0.3, 0.4, 0.5)  # of which the frequency biases are means
BIASES = {
    "shape_bias": "shape bias",
    "low_freq_bias": "low-frequency bias",
    "high_freq_bias": "high-frequency bias",
    "cb_bandwidth": "critical band: bandwidth",
    "cb_center_freq": "critical band: centre frequency",
    "cb_peak_noise_sens": "critical band: peak-noise sensitivity",
}
GROUPS = {  # columns of the table whose mean is the group's accuracy
    "ID": ("imagenet", "imagenet_v2", "imagenet_real"),
    "Robustness": ("imagenet_a", "imagenet_c", "imagenet_cbar"),
    "Concepts": ("imagenet_sketch", "imagenet_r", "stylized_16class"),
    "Adversarial": ("pgd40_low",),
}
# images, and 391 batches of 128, by which the published accuracy was divided
_ATTACKED, _IN_BATCHES = 50_000, 50_048


@dataclass(frozen=True, eq=False)
class Networks:
    """n networks, each with its biases and group means; NaN where one was not measured.

    Attributes:
        names: Names of the n networks.
        categories: How each was trained; "" where that is not known.
        biases: (n,) values by the name of the bias.
        groups: (n,) accuracies in percent by the name of the group.
        pass_curves: (n, 5) ratios of filtered to clean accuracy at `CUTOFFS`, by `low_pass` and `high_pass`.
    """

    names: tuple[str, ...]
    categories: tuple[str, ...]
    biases: Mapping[str, Floats]
    groups: Mapping[str, Floats]
    pass_curves: Mapping[str, Floats]

    def __len__(self) -> int:
        """Return n."""
        return len(self.names)

    def only(self, chosen: Sequence[int]) -> Networks:
        """Return some of the networks, by their places."""
        places = list(chosen)

        def part(columns: Mapping[str, Floats]) -> dict[str, Floats]:
            return {name: values[places] for name, values in columns.items()}

        return replace(
            self,
            names=tuple(self.names[at] for at in places),
            categories=tuple(self.categories[at] for at in places),
            biases=part(self.biases),
            groups=part(self.groups),
            pass_curves=part(self.pass_curves),
        )

    def subsets(self) -> dict[str, Networks]:
        """Return the subsets of the published study: all, the adversarially trained, and the others."""
        trained = np.array([category == ADVERSARIAL_TRAINING for category in self.categories])
        return {
            "total": self,
            "AT": self.only(np.flatnonzero(trained).tolist()),
            "other": self.only(np.flatnonzero(~trained).tolist()),
        }


def published_networks(*, real: bool = True, corrected_pgd: bool = False) -> Networks:
    """Return the 48 published networks.

    Args:
        real: Count ImageNet-ReaL in ID, as published. Its column has the accuracy of the last batch alone: each value
            is a multiple of 1/326.
        corrected_pgd: Divide adversarial accuracy by the 50,000 attacked images. The published one is divided by 50,048
            and counts the 48 that were never attacked as withstood, so that it cannot fall below 0.0959 %.
    """
    columns = dict(_columns())
    if corrected_pgd:
        withstood = columns["pgd40_low"] * _IN_BATCHES - 100 * (_IN_BATCHES - _ATTACKED)
        columns["pgd40_low"] = withstood / _ATTACKED
    used = {
        group: [name for name in names if real or name != "imagenet_real"] for group, names in GROUPS.items()
    }
    curves = {
        f"{kind}_pass": np.stack([columns[f"bandpass_{short}_{cutoff}"] for cutoff in CUTOFFS], axis=1)
        for kind, short in (("low", "LFC"), ("high", "HFC"))
    }
    frequency = {
        "low_freq_bias": curves["low_pass"].mean(axis=1),
        "high_freq_bias": curves["high_pass"].mean(axis=1),
    }
    names, categories = _names()
    return Networks(
        names=names,
        categories=categories,
        biases={name: frequency[name] if name in frequency else columns[name] for name in BIASES},
        groups={group: np.mean([columns[name] for name in names], axis=0) for group, names in used.items()},
        pass_curves=curves,
    )


@lru_cache(maxsize=1)
def _rows() -> tuple[dict[str, str], ...]:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(row["model"] for row in _rows()), tuple(row["category"] for row in _rows())


def _columns() -> dict[str, Floats]:
    rows = _rows()
    return {
        name: np.array([float(row[name]) for row in rows])
        for name in rows[0]
        if name not in {"model", "category"}
    }
