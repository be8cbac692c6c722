"""The published numbers, and which runs may be compared with them.

Sources: arXiv 2405.01524 (six networks, step 500, mean of three runs, largest layer; its table) and arXiv
2402.14095 (one run, read off its figure to about 0.01; the only one with ResNet-50).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.reporting.configuration import Configuration
from unseen.reporting.statistics import Estimate, estimates

PUBLISHED_STEP = 500
# what the two papers differ by on the same networks: .75 / .63 for CvT, .63 / .50 for ConvNeXtV2
TOLERANCE = 0.1
_MAIN_SOURCE = "arXiv 2405.01524"
_FIRST_SOURCE = "arXiv 2402.14095"
# our name of the network: name in print
NETWORKS = {
    "vit": "ViT",
    "swin": "Swin",
    "pvt": "PViT",
    "cvt": "CvT",
    "poolformer": "PoolFormer",
    "convnext": "ConvNeXtV2",
    "resnet": "ResNet-50",
}
DATA_SETS = {"calligraphy": "Calligraphy", "cifar100": "CIFAR-100"}
# (split, probe): name in print
PROBES = {
    ("seen", "accuracy"): "seen accuracy",
    ("unseen", "nmi"): "NMI unseen (g)",
    ("seen", "nmi"): "NMI seen",
    ("unseen", "nnk"): "NN@500 unseen",
    ("seen", "nnk"): "NN@500 seen",
    ("unseen", "linear_probe"): "linear probe unseen",
    ("seen", "linear_probe"): "linear probe seen",
}
_ORDER = ("vit", "swin", "pvt", "cvt", "poolformer", "convnext")
_TABLE: dict[str, dict[tuple[str, str], tuple[float, ...]]] = {
    "calligraphy": {
        ("seen", "accuracy"): (0.98, 0.99, 0.98, 0.99, 0.99, 0.99),
        ("seen", "nmi"): (0.97, 0.80, 0.95, 0.94, 0.94, 0.93),
        ("unseen", "nmi"): (0.68, 0.59, 0.76, 0.63, 0.78, 0.50),
        ("seen", "nnk"): (0.38, 0.34, 0.38, 0.37, 0.37, 0.37),
        ("unseen", "nnk"): (0.56, 0.50, 0.56, 0.54, 0.57, 0.47),
        ("seen", "linear_probe"): (0.99, 0.95, 0.98, 0.99, 0.98, 0.99),
        ("unseen", "linear_probe"): (0.97, 0.93, 0.95, 0.96, 0.96, 0.96),
    },
    "cifar100": {
        ("seen", "accuracy"): (0.97, 0.95, 0.92, 0.95, 0.93, 0.95),
        ("seen", "nmi"): (0.84, 0.71, 0.76, 0.78, 0.75, 0.79),
        ("unseen", "nmi"): (0.26, 0.04, 0.21, 0.15, 0.22, 0.15),
        ("seen", "nnk"): (0.20, 0.13, 0.20, 0.20, 0.19, 0.20),
        ("unseen", "nnk"): (0.36, 0.24, 0.33, 0.31, 0.33, 0.30),
        ("seen", "linear_probe"): (0.96, 0.92, 0.92, 0.95, 0.92, 0.94),
        ("unseen", "linear_probe"): (0.90, 0.67, 0.82, 0.80, 0.83, 0.80),
    },
}
# Settings of the published experiments: dotted key, the value it must have.
_SETTINGS: tuple[tuple[str, Any], ...] = (
    ("size", "paper"),
    ("model.pretrained", True),
    ("model.pooling", "paper"),
    ("model.optimizer.lr", 2.0e-4),
    ("model.optimizer.weight_decay", 0.0),
    ("model.scheduler.warmup_steps", 0),
    ("trainer.gradient_clip_val", 1.0),
    ("data.image_size", 224),
    ("data.batch_size", 72),
    ("data.rotation", 10),
    ("data.eval_deterministic", False),
    ("data.stratified", False),
    ("data.num_unseen", None),
    ("probe.k", 500),
    ("probe.n_init", 1),
    ("probe.standardize", False),
)
_DATA_SETTINGS: dict[str, tuple[tuple[str, Any], ...]] = {
    "calligraphy": (("data.train_size", 9100), ("data.test_size", 2500), ("data.unseen_per_class", 500)),
    "cifar100": (
        ("data.num_labels", 95),
        ("data.train_size", None),
        ("data.test_size", None),
        ("data.unseen_per_class", None),
    ),
}
_UNSEEN_CLASSES = {
    "calligraphy": ("csl", "hy", "mf", "shz", "wzm"),
    "cifar100": ("orchid", "poppy", "rose", "sunflower", "tulip"),
}


@dataclass(frozen=True)
class Published:
    """A printed number."""

    model: str
    data: str
    split: str
    probe: str
    value: float
    runs: int
    source: str


@dataclass(frozen=True)
class PaperRow:
    """A printed number and ours.

    Attributes:
        published: What is in print.
        ours: Ours at step 500: mean over seeds first, then the largest layer; None where it was not run.
        difference: Ours minus printed, NaN where it was not run.
        within: Whether the difference is inside the tolerance; None where it was not run.
    """

    published: Published
    ours: Estimate | None
    difference: float
    within: bool | None


def published() -> tuple[Published, ...]:
    """Return every printed number, by data set, network and probe."""
    rows = [
        Published(model, data, split, probe, values[place], 3, _MAIN_SOURCE)
        for data, table in _TABLE.items()
        for place, model in enumerate(_ORDER)
        for (split, probe), values in table.items()
    ]
    return (*rows, Published("resnet", "calligraphy", "unseen", "nmi", 0.61, 1, _FIRST_SOURCE))


def why_not_comparable(one: Configuration) -> str:
    """Return in which settings a configuration differs from the published experiments, "" where in none."""
    if one.data not in DATA_SETS:
        return f"the papers have no {one.data}"
    if one.model not in NETWORKS:
        return f"the papers have no {one.model}"
    config = one.runs[0].config
    if not config:
        return "its config.yaml is missing"
    reasons = []
    if one.runs[0].facts.entry != "train":
        reasons.append("it was only evaluated, not trained")
    epochs = ("model.scheduler.epochs", 5 if one.model == "resnet" else 4)
    for key, wanted in (*_SETTINGS, epochs, *_DATA_SETTINGS[one.data]):
        found = _setting(config, key)
        if found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
            reasons.append(f"{key} is {_plain(found)}, theirs {_plain(wanted)}")
    unseen = _setting(config, "data.unseen")
    if isinstance(unseen, list) and sorted(map(str, unseen)) != sorted(_UNSEEN_CLASSES[one.data]):
        reasons.append("other unseen classes")
    if _setting(config, "data.seen") not in (None, _ABSENT):
        reasons.append("other seen classes")
    if PUBLISHED_STEP not in one.steps:
        reasons.append(f"not scored at step {PUBLISHED_STEP}")
    return "; ".join(reasons)


def compare_with_papers(configurations: Sequence[Configuration]) -> tuple[PaperRow, ...]:
    """Return each printed number and ours; only configurations with the papers' settings count.

    Where several have them, the one with most seeds represents the network.
    """
    usable: dict[tuple[str, str], Configuration] = {}
    for one in configurations:
        key = (one.model, one.data)
        if not why_not_comparable(one) and (key not in usable or len(one.runs) > len(usable[key].runs)):
            usable[key] = one
    rows = []
    for row in published():
        match = usable.get((row.model, row.data))
        ours = _ours(match, row) if match else None
        difference = ours.mean - row.value if ours else math.nan
        rows.append(PaperRow(row, ours, difference, abs(difference) <= TOLERANCE if ours else None))
    return tuple(rows)


def _ours(one: Configuration, row: Published) -> Estimate | None:
    place = int(np.searchsorted(one.steps, PUBLISHED_STEP))
    if row.probe == "accuracy":
        found = [one.accuracy_of_steps[place]]
    else:
        found = estimates(one.layers(row.split, row.probe)[:, place])
    return max((each for each in found if each.n), key=lambda each: each.mean, default=None)


_ABSENT = object()


def _setting(config: dict[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _plain(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    return value if isinstance(value, str) else json.dumps(value, default=str)
