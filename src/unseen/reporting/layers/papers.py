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

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.run_files import range_of
from unseen.reporting.statistics.intervals import Estimate, estimates
from unseen.scores import ACCURACY
from unseen.settings import ADDED, effect_of, flatten, value_at

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
# What a run must have to stand beside them: every setting that affects a result, by its dotted key, and the values it
# may have. A setting that is not here must be absent. `_ABSENT` allows that it is.
_ABSENT = object()
_ANY = object()
_IDENTITY: dict[str, tuple[Any, ...]] = {
    "size": ("paper",), "seed": (_ANY,), "ckpt_path": (_ANY,),  # its own, where it was resumed
    "model.name": (_ANY,), "model.pretrained": (True,), "model.pooling": ("paper",), "model.channels_last": (_ANY,),
    "model.backbone.name": (_ANY, _ABSENT), "model.backbone.pretrained": (True,),
    "model.backbone.has_checkpoint": (True,),
    "model.optimizer._target_": ("torch.optim.AdamW", _ABSENT), "model.optimizer.lr": (2.0e-4,),
    "model.optimizer.weight_decay": (0.0,), "model.optimizer.betas": ([0.9, 0.999],), "model.optimizer.eps": (1e-8,),
    "model.scheduler._target_": ("unseen.training.schedule.linear", _ABSENT), "model.scheduler.warmup_steps": (0,),
    "model.loss._target_": ("torch.nn.CrossEntropyLoss", _ABSENT),
    "model.tuning._target_": ("unseen.backbones.tuning.full", _ABSENT),
    "data.name": (_ANY,), "data.source.default_unseen": (_ABSENT,), "data.unseen": (None, _ANY),  # see `_classes`
    "data.seen": (None,), "data.num_unseen": (None,), "data.split_seed": (_ANY,), "data.test_fraction": (_ANY,),
    "data.image_size": (224,), "data.batch_size": (_ANY,),  # see `_batch`
    "data.rotation": (10,), "data.pad": (20 / 224,), "data.eval_deterministic": (False,), "data.stratified": (False,),
    "data.augment": (None, _ABSENT), "data.class_balanced": (False, _ABSENT), "data.num_seen": (None, _ABSENT),
    "model.checkpoint": (None, _ABSENT),
    "data.root": (None, _ABSENT), "data.source.root": (None, _ABSENT), "data.test_root": (None, _ABSENT),
    "probe.n_init": (1,), "probe.seed": (42,), "probe.k": (500,), "probe.standardize": (False,),
    "trainer._target_": ("lightning.pytorch.Trainer",), "trainer.accelerator": (_ANY,), "trainer.devices": (_ANY,),
    "trainer.num_nodes": (_ANY,), "trainer.strategy": ("auto", "ddp"), "trainer.deterministic": (_ANY, _ABSENT),
    "trainer.benchmark": (_ANY, _ABSENT), "trainer.precision": ("16-mixed", "32-true"), "trainer.eval_precision": (32,),
    "trainer.max_steps": (_ANY,), "trainer.max_epochs": (None,), "trainer.val_check_interval": (_ANY,),
    "trainer.gradient_clip_val": (1.0,), "trainer.accumulate_grad_batches": (_ANY,),
    "callbacks.layer_probe._target_": ("unseen.callbacks.layer_probe.LayerProbe",),
    "callbacks.layer_probe.pooling": ("paper",),
}  # fmt: skip
_BATCH = 72  # images a step, over all processes
_TIMM, _TRANSFORMERS = "unseen.backbones.timm.TimmSpec", "unseen.backbones.transformers.TransformersSpec"
_EPOCHS = 4  # for which the decay is planned
# network: class, weights, options, layers
_WEIGHTS: dict[str, tuple[str, str, dict[str, Any], list[str]]] = {
    "vit": (_TIMM, "vit_base_patch16_224.orig_in21k", {}, ["norm_pre", "blocks.*"]),
    "swin": (
        _TIMM, "swin_tiny_patch4_window7_224.ms_in1k", {}, ["patch_embed", "layers.[123].downsample", "layers.3"],
    ),
    "pvt": (
        _TRANSFORMERS, "Zetatech/pvt-tiny-224",
        {
            "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 320, 512], "num_attention_heads": [1, 2, 5, 8],
            "mlp_ratios": [8, 8, 4, 4], "sequence_reduction_ratios": [8, 4, 2, 1],
        },
        ["pvt.encoder.block.*.*", "pvt.encoder.layer_norm"],
    ),
    "cvt": (
        _TRANSFORMERS, "microsoft/cvt-21", {"depth": [1, 4, 16], "embed_dim": [64, 192, 384], "num_heads": [1, 3, 6]},
        ["cvt.encoder.stages.*"],
    ),
    "poolformer": (_TIMM, "poolformer_s12.sail_in1k", {}, ["stages.*"]),
    "convnext": (_TIMM, "convnextv2_tiny.fcmae_ft_in1k", {}, ["stem", "stages.*"]),
    "resnet": (_TIMM, "resnet50.a1_in1k", {}, ["maxpool", "layer[1234]"]),
}  # fmt: skip
_DATA_SETTINGS: dict[str, dict[str, tuple[Any, ...]]] = {
    "calligraphy": {
        "data.source._target_": ("unseen.data.sources.calligraphy.Calligraphy",),
        "data.train_size": (9100,), "data.test_size": (2500,), "data.unseen_per_class": (500,),
        "data.num_labels": (None,),
    },
    "cifar100": {
        "data.source._target_": ("unseen.data.sources.cifar100.Cifar100",),
        "data.train_size": (None,), "data.test_size": (None,), "data.unseen_per_class": (None,),
        "data.num_labels": (95,),
    },
}  # fmt: skip
_UNSEEN_CLASSES = {
    "calligraphy": ["csl", "hy", "mf", "shz", "wzm"],
    "cifar100": ["orchid", "poppy", "rose", "sunflower", "tulip"],
}
_SEEN_CLASSES = {"calligraphy": 15, "cifar100": 20}


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
    ours: Estimate | None = None  # at step 500, mean over runs first, then the largest layer; None: not run
    others: float | None = (
        None  # mean of the other networks' numbers in print, which knows nothing of this one
    )

    @property
    def difference(self) -> float:
        """Ours minus printed, NaN where it was not run."""
        return self.ours.mean - self.value if self.ours else math.nan

    @property
    def within(self) -> bool:
        """Whether it was run and the difference is inside the tolerance."""
        return abs(self.difference) <= TOLERANCE

    @property
    def others_within(self) -> bool:
        """Whether the mean of the other networks is inside the tolerance, too."""
        return self.others is not None and abs(self.others - self.value) <= TOLERANCE


def published() -> list[PaperRow]:
    """Return every printed number, by data set, network and probe."""
    rows = [
        PaperRow(
            model, data, split, probe, values[place],
            others=(sum(values) - values[place]) / (len(values) - 1),
        )
        for data, table in _TABLE.items()
        for place, model in enumerate(_ORDER)
        for (split, probe), values in table.items()
    ]  # fmt: skip
    return [*rows, PaperRow("resnet", "calligraphy", "unseen", "nmi", 0.61, 1, _FIRST_SOURCE)]


def why_not_comparable(run: Run) -> str:
    """Return in what a run differs from the published experiments, "" where in nothing."""
    model, data = run.facts.model, run.facts.data
    if data not in DATA_SETS:
        return f"the papers have no {data}"
    if model not in NETWORKS:
        return f"the papers have no {model}"
    if not run.config:
        return "its config.yaml is missing"
    settings = {
        key: value
        for key, value in _flatten(run.config).items()
        if key in _IDENTITY or effect_of(key) == "result"
    }
    target, weights, options, taps = _WEIGHTS[model]
    allowed = _IDENTITY | _DATA_SETTINGS[data] | {key: (value, _ABSENT) for key, value in ADDED.items()}
    allowed |= {
        "model.backbone._target_": (target,), "model.backbone.options": (options,), "model.backbone.taps": (taps,),
        "model.scheduler.epochs": (5 if model == "resnet" else _EPOCHS,),
    }  # fmt: skip
    if target == _TIMM:
        allowed["model.backbone.architecture"] = (weights,)
    else:
        allowed |= {"model.backbone.architecture": (model,), "model.backbone.checkpoint": (weights,)}
    reasons = [] if run.facts.entry == "train" else ["it was only evaluated, not trained"]
    for key in sorted(settings.keys() | allowed.keys()):
        ours, theirs = settings.get(key, _ABSENT), allowed.get(key, (_ABSENT,))
        if not any(_same(ours, value) for value in theirs):
            reasons.append(f"{key} is {_plain(ours)}, theirs {_plain(theirs[0])}")
    reasons += [_batch(settings), _classes(run, settings)]
    if PUBLISHED_STEP not in run.scores.steps:
        reasons.append(f"not scored at step {PUBLISHED_STEP}")
    return "; ".join(reason for reason in reasons if reason)


def _flatten(config: dict[str, Any]) -> dict[str, Any]:
    """Return dotted settings; a network's options are one setting."""
    flat = flatten(config)
    options = value_at(config, ("model", "backbone", "options"))
    flat = {key: value for key, value in flat.items() if not key.startswith("model.backbone.options.")}
    return flat | {"model.backbone.options": options}


def _same(ours: Any, theirs: Any) -> bool:
    if theirs is _ANY:
        return ours is not _ABSENT
    if isinstance(theirs, float) and isinstance(ours, int | float) and not isinstance(ours, bool):
        return math.isclose(ours, theirs, rel_tol=1e-9)
    return bool(ours == theirs) and isinstance(ours, bool) == isinstance(theirs, bool)


def _batch(settings: dict[str, Any]) -> str:
    devices = settings.get("trainer.devices")
    devices = len(devices) if isinstance(devices, list) else devices
    names = ("data.batch_size", "trainer.num_nodes", "trainer.accumulate_grad_batches")
    parts = [part for part in (devices, *map(settings.get, names)) if isinstance(part, int) and part > 0]
    if len(parts) <= len(names):
        return f"how many images a step had is not known (trainer.devices is {_plain(devices)})"
    batch = math.prod(parts)
    return "" if batch == _BATCH else f"{batch} images a step (all processes), theirs {_BATCH}"


def _classes(run: Run, settings: dict[str, Any]) -> str:
    theirs, unseen = _UNSEEN_CLASSES[run.facts.data], settings.get("data.unseen")
    if isinstance(unseen, list) and sorted(map(str, unseen)) != theirs:
        return "other unseen classes"
    if run.split and sorted(run.split.unseen) != theirs:
        return "other unseen classes"
    if run.split and len(run.split.seen) != _SEEN_CLASSES[run.facts.data]:
        return "other seen classes"
    return ""


def compare_with_papers(configurations: Sequence[Configuration]) -> list[PaperRow]:
    """Return each printed number and ours; only runs with the papers' settings count.

    Where several configurations have such runs, the one with most of them represents the network.
    """
    usable: dict[tuple[str, str], Configuration] = {}
    for config in configurations:
        runs = tuple(run for run in config.runs if not why_not_comparable(run))
        known = usable.get((config.model, config.data))
        if runs and (known is None or len(runs) > len(known.runs)):
            usable[config.model, config.data] = replace(config, runs=runs)
    return [
        replace(row, ours=_ours(usable[row.model, row.data], row)) if (row.model, row.data) in usable else row
        for row in published()
    ]


def _ours(config: Configuration, row: PaperRow) -> Estimate | None:
    place = config.steps.index(PUBLISHED_STEP)
    if row.probe == ACCURACY:
        means = [config.accuracy_of_steps[place]]
    else:
        found = estimates(config.units.arrange(config.layers(row.split, row.probe)[:, place]))
        means = [one.within(*range_of(row.probe)) for one in found]
    return max((mean for mean in means if mean.n), key=lambda mean: mean.mean, default=None)


def _plain(value: Any) -> str:
    if value is _ABSENT or value is _ANY:
        return "absent" if value is _ABSENT else "any"
    return value if isinstance(value, str) else json.dumps(value)
