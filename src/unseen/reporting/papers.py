"""The published numbers, and which runs may be compared with them.

Sources: arXiv 2405.01524 (six networks, step 500, mean of three runs, largest layer; its table) and arXiv
2402.14095 (one run, read off its figure to about 0.01; the only one with ResNet-50).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from unseen.reporting.configuration import Configuration
from unseen.reporting.statistics import Estimate, estimates
from unseen.scores import ACCURACY
from unseen.settings import flatten

PUBLISHED_STEP = 500
# what the two papers differ by on the same networks: .75 / .63 for CvT, .63 / .50 for ConvNeXtV2
TOLERANCE = 0.1
_MAIN_SOURCE = "arXiv 2405.01524"
_FIRST_SOURCE = "arXiv 2402.14095"
# our name of the network: name in print
NETWORKS = {
    "vit": "ViT", "swin": "Swin", "pvt": "PViT", "cvt": "CvT", "poolformer": "PoolFormer", "convnext": "ConvNeXtV2",
    "resnet": "ResNet-50",
}  # fmt: skip
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
_SETTINGS: dict[str, Any] = {
    "size": "paper", "model.pretrained": True, "model.pooling": "paper", "model.optimizer.lr": 2.0e-4,
    "model.optimizer.weight_decay": 0.0, "model.scheduler.warmup_steps": 0, "trainer.gradient_clip_val": 1.0,
    "data.image_size": 224, "data.batch_size": 72, "data.rotation": 10, "data.eval_deterministic": False,
    "data.stratified": False, "data.num_unseen": None, "probe.k": 500, "probe.n_init": 1, "probe.standardize": False,
}  # fmt: skip
_DATA_SETTINGS: dict[str, dict[str, Any]] = {
    "calligraphy": {"data.train_size": 9100, "data.test_size": 2500, "data.unseen_per_class": 500},
    "cifar100": {
        "data.num_labels": 95, "data.train_size": None, "data.test_size": None, "data.unseen_per_class": None,
    },
}  # fmt: skip
_UNSEEN_CLASSES = {
    "calligraphy": ["csl", "hy", "mf", "shz", "wzm"],
    "cifar100": ["orchid", "poppy", "rose", "sunflower", "tulip"],
}


@dataclass(frozen=True)
class PaperRow:
    """A printed number and ours."""

    model: str
    data: str
    split: str
    probe: str
    value: float  # in print
    runs: int = 3  # theirs
    source: str = _MAIN_SOURCE
    ours: Estimate | None = None  # at step 500, mean over seeds first, then the largest layer; None: not run

    @property
    def difference(self) -> float:
        """Ours minus printed, NaN where it was not run."""
        return self.ours.mean - self.value if self.ours else math.nan

    @property
    def within(self) -> bool:
        """Whether it was run and the difference is inside the tolerance."""
        return abs(self.difference) <= TOLERANCE


def published() -> list[PaperRow]:
    """Return every printed number, by data set, network and probe."""
    rows = [
        PaperRow(model, data, split, probe, values[place])
        for data, table in _TABLE.items()
        for place, model in enumerate(_ORDER)
        for (split, probe), values in table.items()
    ]
    return [*rows, PaperRow("resnet", "calligraphy", "unseen", "nmi", 0.61, 1, _FIRST_SOURCE)]


def why_not_comparable(config: Configuration) -> str:
    """Return in which settings a configuration differs from the published experiments, "" where in none."""
    run = config.runs[0]
    if config.data not in DATA_SETS:
        return f"the papers have no {config.data}"
    if config.model not in NETWORKS:
        return f"the papers have no {config.model}"
    if not run.config:
        return "its config.yaml is missing"
    settings = flatten(run.config)
    theirs = (
        _SETTINGS
        | {"model.scheduler.epochs": 5 if config.model == "resnet" else 4}
        | _DATA_SETTINGS[config.data]
    )
    reasons = [] if run.facts.entry == "train" else ["it was only evaluated, not trained"]
    for key, wanted in theirs.items():
        ours = settings.get(key, "absent")
        if ours != wanted or isinstance(ours, bool) != isinstance(wanted, bool):
            reasons.append(f"{key} is {_plain(ours)}, theirs {_plain(wanted)}")
    unseen = settings.get("data.unseen")
    if isinstance(unseen, list) and sorted(map(str, unseen)) != _UNSEEN_CLASSES[config.data]:
        reasons.append("other unseen classes")
    if settings.get("data.seen") is not None:
        reasons.append("other seen classes")
    if PUBLISHED_STEP not in config.steps:
        reasons.append(f"not scored at step {PUBLISHED_STEP}")
    return "; ".join(reasons)


def compare_with_papers(configurations: Sequence[Configuration]) -> list[PaperRow]:
    """Return each printed number and ours; only configurations with the papers' settings count.

    Where several have them, the one with most seeds represents the network.
    """
    usable: dict[tuple[str, str], Configuration] = {}
    for config in sorted(configurations, key=lambda config: -len(config.runs)):
        if not why_not_comparable(config):
            usable.setdefault((config.model, config.data), config)
    return [
        replace(row, ours=_ours(usable[row.model, row.data], row)) if (row.model, row.data) in usable else row
        for row in published()
    ]


def _ours(config: Configuration, row: PaperRow) -> Estimate | None:
    place = config.steps.index(PUBLISHED_STEP)
    if row.probe == ACCURACY:
        means = [config.accuracy_of_steps[place]]
    else:
        means = estimates(config.layers(row.split, row.probe)[:, place])
    return max((mean for mean in means if mean.n), key=lambda mean: mean.mean, default=None)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
