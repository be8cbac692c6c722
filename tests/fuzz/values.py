"""Every setting that people type: values that must be taken, with what config.yaml then holds, and values that may not.

Values at which two answers are good ones (numbers in quotes, `devices=-1`, `max_epochs=-1`) are in neither list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HUGE = "99999999999999999999"
LONG = "x" * 10_000
# No number, switch or choice can be any of these.
NONSENSE = (
    "abc",
    "''",
    "[1,2]",
    "{a:1}",
    "' '",
    "1 2",
    "é",
    "'it''s'",
    LONG,
    "'a\nb'",
    "${nope}",
    "$(id)",
    "'0x'",
    "--1",
)
NO_NUMBER = (*NONSENSE, "true", "nan")
NO_WHOLE = (*NO_NUMBER, "1.5", "inf", "1e400", "-1")


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        key: Dotted.
        good: What is typed: what is recorded.
        bad: What is typed.
        training: Only train.py makes anything of it.
    """

    key: str
    good: dict[str, Any]
    bad: tuple[str, ...]
    training: bool = False


def switch(key: str) -> Setting:
    return Setting(key, {"true": True, "false": False}, (*NONSENSE, "null", "2", "0.5", "[true]", "nan"))


SETTINGS = (
    Setting("seed", {"0": 0, "7": 7, "4294967295": 2**32 - 1}, (*NO_WHOLE, "null", "4294967296", HUGE)),
    Setting("size", {"demo": "demo"}, ("huge", "null", "1", "Demo", "''", "paperr")),
    Setting("model.pooling", {p: p for p in ("auto", "paper", "mean", "first")}, (*NONSENSE, "null", "Mean", "1")),
    Setting("model.pretrained", {"false": False}, (*NONSENSE, "null", "true")),  # nobody has trained the small variant
    Setting("model.channels_last", {"auto": "auto", "true": True, "false": False}, (*NONSENSE, "null", "2", "last")),
    Setting(
        "model.optimizer.lr", {"1e-3": 1e-3, "0.01": 0.01, "1e-6": 1e-6},
        (*NO_NUMBER, "null", "0", "-0.1", "10.1", "inf", "-inf", "1e400", HUGE), True,
    ),
    Setting(
        "model.optimizer.weight_decay", {"0": 0.0, "0.1": 0.1}, (*NO_NUMBER, "null", "-0.1", "inf", "1e400"), True
    ),
    Setting("model.optimizer.eps", {"1e-8": 1e-8, "1e-4": 1e-4}, (*NO_NUMBER, "null", "0", "-1", "inf", "1e400"), True),
    Setting(
        "model.optimizer.betas", {"[0.9,0.99]": [0.9, 0.99], "[0.0,0.5]": [0.0, 0.5]},
        ("null", "[]", "[0.9]", "[0.9,0.9,0.9]", "[0.9,1.0]", "[1,0.9]", "[nan,0.9]", "[-0.1,0.9]", "[a,b]", "0.9",
         "abc", "''", "{a:1}", "[0.9,inf]", "[0.9,null]"), True,
    ),
    Setting("model.scheduler.warmup_steps", {"0": 0, "1": 1, "500": 500}, (*NO_WHOLE, "null"), True),
    Setting(
        "model.scheduler.epochs", {"null": None, "1": 1.0, "0.5": 0.5, "4": 4.0},
        (*NO_NUMBER, "0", "-1", "inf", "1e400"), True,
    ),
    Setting(
        "data.image_size", {"32": 32, "40": 40, "64": 64}, (*NO_WHOLE, "null", "0", "7", "2049", "1000000", HUGE)
    ),
    Setting(
        "data.unseen", {"[7,8]": [7, 8], "[1,4,9]": [1, 4, 9], "['3','5']": ["3", "5"], "null": None},
        ("[]", "[7]", "[7,7]", "[7,cat]", "[10,11]", "[7,null]", "[7,7.5]", "[0,1,2,3,4,5,6,7,8,9]", "[true,7]", "abc",
         "''", "{a:1}", "[-1,2]", "[[1,2]]", "nan"),
    ),
    Setting("data.num_unseen", {"null": None, "2": 2, "5": 5}, (*NO_WHOLE, "0", "1", "10", "11", HUGE)),
    Setting("data.split_seed", {"0": 0, "3": 3}, (*NO_WHOLE, "null", HUGE)),
    Setting("data.train_size", {"144": 144, "100": 100}, (*NO_WHOLE, "0", "1798", HUGE)),
    Setting("data.test_size", {"60": 60, "30": 30}, (*NO_WHOLE, "0", "1798", HUGE)),
    Setting("data.unseen_per_class", {"20": 20, "2": 2}, (*NO_WHOLE, "0", "1")),
    Setting("data.test_fraction", {"0.2": 0.2, "0.5": 0.5}, (*NO_NUMBER, "null", "0", "1", "1.0", "-0.1", "2", "inf")),
    Setting("data.rotation", {"0": 0.0, "10": 10.0, "2.5": 2.5}, (*NO_NUMBER, "null", "-1", "181", "inf", "1e400")),
    Setting("data.pad", {"0": 0.0, "0.1": 0.1, "0.25": 0.25}, (*NO_NUMBER, "null", "-0.1", "inf", "1e400")),
    Setting("data.batch_size", {"72": 72, "48": 48, "500": 500}, (*NO_WHOLE, "null", "0"), True),
    Setting("data.eval_batch_size", {"250": 250, "1": 1, "16": 16}, (*NO_WHOLE, "null", "0")),
    Setting("data.num_labels", {"null": None, "7": 7, "95": 95}, (*NO_WHOLE, "0", "6", "50%", HUGE)),
    Setting("data.cache_gb", {"0": 0.0, "1": 1.0, "0.5": 0.5}, (*NO_NUMBER, "null", "-1", "inf", "1e400")),
    Setting("data.decode", {d: d for d in ("auto", "ahead", "on_the_fly")}, (*NONSENSE, "null", "Ahead", "1", "true")),
    Setting("data.workers", {"auto": "auto", "0": 0, "2": 2}, (*NO_WHOLE, "null", "1025", HUGE)),
    # 2 needs an augmentation, hardest a file
    Setting("data.views", {"1": 1}, (*NO_WHOLE, "null", "0", "3", "2"), True),
    Setting("data.keep", {"all": "all", "random": "random"}, (*NONSENSE, "null", "half", "hardest"), True),
    Setting("data.keep_share", {"0.5": 0.5, "0.3": 0.3}, (*NO_NUMBER, "null", "0", "1", "-0.1", "2", "inf"), True),
    Setting("data.imbalance", {"1": 1, "3": 3.0, "1.5": 1.5}, (*NO_NUMBER, "null", "0", "0.5", "-1", "inf", "1e7")),
    Setting("data.shift", {s: s for s in ("none", "blur", "invert", "contrast")}, (*NONSENSE, "null", "Blur", "1")),
    Setting("data.cue_agreement", {"null": None, "0": 0.0, "1": 1.0, "0.9": 0.9}, (*NO_NUMBER, "-0.1", "1.1", "inf")),
    switch("data.stratified"),
    switch("data.eval_deterministic"),
    switch("data.skip_bad"),
    switch("data.thumbnails"),
    Setting("probe.n_init", {"1": 1, "3": 3}, (*NO_WHOLE, "null", "0")),
    Setting("probe.seed", {"42": 42, "0": 0}, (*NO_WHOLE, "null", HUGE)),
    Setting("probe.k", {"null": None, "1": 1, "20": 20}, (*NO_WHOLE, "0", "60", "533", HUGE)),
    switch("probe.standardize"),
    Setting("probe.image_bootstrap", {"null": None, "2": 2, "50": 50}, (*NO_WHOLE, "0", "1", HUGE)),
    Setting(
        "probe.few_shot", {"[]": [], "[1]": [1]},
        ("null", "5", "[0]", "[3]", "[1,1]", "[1.0]", "[true]", "[abc]", "abc", "''", "{a:1}", "[[1]]", "nan"),
    ),
    switch("probe.discovery"),
    switch("probe.layer_costs"),
    switch("probe.ensembles"),
    switch("probe.save_embeddings"),
    Setting(
        "probe.noise_levels", {"[]": [], "[0.5]": [0.5], "[0.25,1.0]": [0.25, 1.0]},
        ("null", "0.5", "[0]", "[1.1]", "[-0.5]", "[0.5,0.5]", "[nan]", "[abc]", "''", "{a:1}", "abc", "[inf]"),
    ),
    Setting("probe.at_start", {"false": False, "true": True}, (*NONSENSE, "null", "2"), True),
    Setting("trainer.max_steps", {"1": 1, "2": 2, "3": 3}, (*NO_WHOLE, "null", "0", "-2"), True),
    Setting("trainer.max_epochs", {"null": None, "5": 5}, (*NONSENSE, "true", "nan", "1.5", "0", "-2"), True),
    Setting(
        "trainer.val_check_interval", {"1": 1, "2": 2, "1.0": 1.0, "0.5": 0.5},
        (*NO_NUMBER, "null", "0", "0.0", "-1", "1.5", "inf", "1e400"), True,
    ),
    Setting("trainer.gradient_clip_val", {"null": None, "1.0": 1.0, "0.5": 0.5}, (*NO_NUMBER, "-1"), True),
    Setting("trainer.accumulate_grad_batches", {"1": 1, "2": 2}, (*NO_WHOLE, "null", "0", HUGE), True),
    Setting("trainer.log_every_n_steps", {"1": 1, "10": 10}, (*NO_WHOLE, "null", "0"), True),
    Setting(
        "trainer.precision", {"auto": "auto", "32-true": "32-true", "bf16-mixed": "bf16-mixed"},
        ("null", "abc", "''", "bf16-true", "16-true", "64-true", "[16]", "{a:1}", "nan", "16-Mixed", "half"), True,
    ),
    Setting("trainer.eval_precision", {"32": 32, "tf32": "tf32"}, ("null", "abc", "''", "16", "bf16", "[32]", "{a:1}")),
    Setting("trainer.devices", {"1": 1}, ("null", "0", "abc", "1.5", "''", "{a:1}", "[]", "nan", "true", "-2")),
    Setting("trainer.num_nodes", {"1": 1}, (*NO_WHOLE, "null", "0")),
    Setting(
        "trainer.accelerator", {"cpu": "cpu", "auto": "auto"},
        ("gpu", "cuda", "abc", "''", "1", "[cpu]", "tpu", "mps", "{a:1}", "CPU2"),
    ),
    Setting(
        "trainer.deterministic", {"warn": "warn", "true": True, "false": False}, ("abc", "''", "2", "[true]"), True
    ),
)  # fmt: skip

BY_KEY = {setting.key: setting for setting in SETTINGS}


def steps_of(typed: dict[str, str]) -> int:
    """Optimiser steps of a tiny job with these settings, by hand: 144 images, the last batch never a single one."""
    batch = int(typed.get("data.batch_size", "72"))
    images = int(typed.get("data.train_size", "144"))
    batches = -(-images // batch)
    if batches > 1 and batch > 1 and images % batch == 1:
        batches -= 1
    per_epoch = -(-batches // int(typed.get("trainer.accumulate_grad_batches", "1")))
    limits = []
    if typed.get("trainer.max_steps", "1") != "-1":
        limits.append(int(typed.get("trainer.max_steps", "1")))
    if typed.get("trainer.max_epochs", "null") != "null":
        limits.append(int(typed["trainer.max_epochs"]) * per_epoch)
    return min(limits)
