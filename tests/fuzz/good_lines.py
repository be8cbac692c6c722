"""Kinds of lines of which most must be accepted."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from tests.fuzz.generate import evaluate, kind, last, shuffled, train
from tests.fuzz.line import HERE, Line, quoted
from tests.fuzz.stage import ODD_NAMES, Stage
from tests.fuzz.values import SETTINGS, steps_of


def _pairs_that_fit(typed: dict[str, str]) -> bool:
    """Whether good values are good together."""
    unseen, number = typed.get("data.unseen", "null"), typed.get("data.num_unseen", "null")
    if unseen != "null" and number != "null":
        return False
    classes = int(number) if number != "null" else 2
    k, each = typed.get("probe.k", "null"), int(typed.get("data.unseen_per_class", "20"))
    if k != "null" and int(k) >= classes * each:
        return False
    if typed.get("data.num_labels") == "7" and (number == "2" or unseen not in ("null", "[1,4,9]")):
        return False
    if typed.get("data.pad") == "0" and typed.get("data.rotation", "0") != "0":
        return False
    if "data.keep_share" in typed and typed.get("data.keep", "all") == "all":
        return False
    # a fraction counts batches of an epoch, of which there must be one
    return typed.get("trainer.val_check_interval") != "0.5" or typed.get("data.batch_size") != "500"


@kind("good settings", weight=5)
def good_settings(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Several settings at once, each of a good value; config.yaml holds them as they were typed."""
    while True:
        entry = rng.choice(("train.py", "train.py", "eval.py"))
        usable = [setting for setting in SETTINGS if entry == "train.py" or not setting.training]
        chosen = rng.sample(usable, rng.randint(2, 5))
        typed = {setting.key: rng.choice(list(setting.good)) for setting in chosen}
        if not _pairs_that_fit(typed):
            continue
        settings = {setting.key: setting.good[typed[setting.key]] for setting in chosen}
        if entry == "eval.py":
            yield evaluate("good settings", typed, "accepted", jobs=1, settings=settings)
        else:
            wanted = {"jobs": 1, "settings": settings, "steps": steps_of(typed)}
            yield train("good settings", typed, "accepted", **wanted)


@kind("steps", weight=4)
def steps(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Every score that is reported at the end belongs to the last checkpoint, whatever divides what."""
    while True:
        typed = {
            "trainer.max_steps": rng.choice(("-1", "1", "2", "3", "5")),
            "trainer.val_check_interval": rng.choice(("1", "2", "3", "4", "1.0", "0.5")),
            "trainer.accumulate_grad_batches": rng.choice(("1", "1", "2", "3")),
            "trainer.max_epochs": rng.choice(("null", "null", "1", "2", "3")),
            "data.batch_size": rng.choice(("72", "48", "143", "144")),
        }
        if typed["trainer.max_steps"] == "-1" and typed["trainer.max_epochs"] == "null":
            yield train("steps", typed, "refused", names=("max_steps", "max_epochs"))
            continue
        if typed["trainer.val_check_interval"] == "0.5" and typed["data.batch_size"] in ("143", "144"):
            continue  # half a batch
        yield train("steps", typed, "accepted", jobs=1, steps=steps_of(typed))


@kind("networks and data", weight=2)
def networks_and_data(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Small networks, images of one's own in a folder and an archive."""
    photos = {"data": "image_folder", "data.image_size": "32", "data.train_size": "20", "data.test_size": "4",
              "data.unseen_per_class": "8"}  # fmt: skip
    roots = shuffled(rng, [stage.photos, stage.photos_zip, *(stage.root / name for name in ODD_NAMES)])
    choices = (
        ({"data.unseen": "[cat,owl]"}, {"data.unseen": ["cat", "owl"]}),
        ({"data.num_unseen": "2"}, {"data.num_unseen": 2}),
        ({"data.unseen": "[cat,owl]", "data.seen": "[bear,dog]"}, {"data.seen": ["bear", "dog"]}),
    )
    models = ("vit", "poolformer", "convnext", "swin", "pvt", "cvt", "efficientnet_lite0")
    for root, model in itertools.zip_longest(roots, shuffled(rng, models)):
        typed, settings = rng.choice(choices)
        typed = photos | typed | {"data.root": quoted(str(root))}
        yield train(
            "networks and data",
            typed,
            "accepted",
            jobs=1,
            steps=1,
            settings=settings | {"data.root": str(root)},
        )
        if model:
            extra = {"model.pretrained": "false"} if model == "efficientnet_lite0" else {}
            yield train(
                "networks and data", {"model": model} | extra, "accepted", jobs=1, steps=1,
                settings={"model.name": model},
            )  # fmt: skip
    yield train(
        "networks and data", {"model": "timm", "model.name": "test_resnet", "model.pretrained": "false"}, "accepted",
        jobs=1, steps=1, settings={"model.name": "test_resnet"},
    )  # fmt: skip


@kind("sweeps", weight=3)
def sweeps(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Grids of two jobs, written in each of Hydra's ways."""
    two_seeds = ({"seed": 0}, {"seed": 1})
    grids: list[tuple[dict[str, str], tuple[dict[str, Any], ...]]] = [
        ({"seed": "0,1"}, two_seeds),
        ({"seed": "range(0,2)"}, two_seeds),
        ({"seed": "choice(0,1)"}, two_seeds),
        ({"seed": "sort(1,0)"}, two_seeds),
        ({"seed": "shuffle(0,1)"}, two_seeds),
        ({"probe.k": "null,5"}, ({"probe.k": None}, {"probe.k": 5})),
        ({"model.pooling": "mean,first"}, ({"model.pooling": "mean"}, {"model.pooling": "first"})),
        ({"data.unseen": "[1,2],[3,4]"}, ({"data.unseen": [1, 2]}, {"data.unseen": [3, 4]})),
        ({"probe.noise_levels": "[],[0.5]"}, ({"probe.noise_levels": []}, {"probe.noise_levels": [0.5]})),
        ({"trainer.max_steps": "1", "seed": "0,0"}, ({"seed": 0}, {"seed": 0})),
        ({"seed": "3"}, ({"seed": 3},)),
        ({"model.optimizer.lr": "1e-3,1e-4"}, ({"model.optimizer.lr": 1e-3}, {"model.optimizer.lr": 1e-4})),
    ]
    for typed, varied in shuffled(rng, grids):
        yield train("sweeps", typed, "accepted", "-m", jobs=len(varied), varied=varied, steps=1)
        if rng.random() < 0.5 and not any(key.startswith("model.opt") or "trainer" in key for key in typed):
            yield evaluate("sweeps", typed, "accepted", "-m", jobs=len(varied), varied=varied)
    yield train("sweeps", {"seed": "0,1"}, "accepted", "-m", "resume=true", jobs=2, varied=two_seeds, steps=1)
    yield train(
        "sweeps", {"seed": "0,1"}, "accepted", "-m", f"hydra.sweep.dir={HERE}/logs/mine", jobs=2, steps=1
    )
    if find_spec("hydra_plugins.hydra_joblib_launcher"):
        joblib = ("-m", "hydra/launcher=joblib")
        yield train("sweeps", {"seed": "0,1"}, "accepted", *joblib, jobs=2, varied=two_seeds, steps=1)
        yield train(
            "sweeps", {"seed": "0,1"}, "refused", *joblib, "hydra.launcher.n_jobs=abc", names=("n_jobs",)
        )


@kind("plans", weight=2)
def plans(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """A plan runs nothing, and is as particular about what was typed as a run."""
    for changes, *more in shuffled(
        rng,
        [
            ({"model": "resnet,vit", "seed": "range(3)"},),
            ({"model": "glob(res*)"},),
            ({"seed": "0,1"}, "resume=true"),
            ({"data": "digits,cifar100"},),
            ({"seed": "range(0,4,2)"}, "logger=csv"),
            ({"model": "glob([r*,v*])"},),
        ],
    ):
        yield train("plans", changes, "accepted", "-m", "plan=true", *more, jobs=0)
        bad = rng.choice(("seed=abc", "model=vti", "probe.k=0", "+foo=1", "data.num_unseen=1"))
        key = bad.lstrip("+").partition("=")[0]
        broken = changes | {bad.partition("=")[0]: bad.partition("=")[2]}  # instead of what is typed else
        yield train("plans", broken, "refused", "-m", "plan=true", *more, names=(last(key),))


@kind("checkpoints", weight=3)
def checkpoints(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Files that are checkpoints, and files that are not, alone and in sweeps."""
    good, other = stage.checkpoint, stage.other_checkpoint
    resumed = {"data.unseen": "[0,1]", "data.batch_size": "48", "seed": "0", "ckpt_path": quoted(str(good))}
    own = {"data.unseen": [0, 1], "model.name": "resnet", "data.name": "digits"}
    wrong = [stage.odd(name) for name in ("empty", "text.txt", "empty.ckpt", "noise.ckpt", "truncated.ckpt",
                                          "picture.ckpt", "fifo", "null", "no/such.ckpt")]  # fmt: skip
    wrong += [stage.run, stage.run / "config.yaml", stage.run / "embeddings.npz", "nowhere.ckpt", "${x}"]
    lines = [
        # the two jobs of a sweep may be continued from one place only if they are the same run: the first seed's
        train("checkpoints", resumed | {"trainer.max_steps": "4"}, "accepted", jobs=1, steps=4, settings=own),
        train("checkpoints", resumed | {"seed": "1", "trainer.max_steps": "4"}, "refused", names=("seed",)),
        train("checkpoints", resumed | {"data.unseen": "[2,3]", "trainer.max_steps": "4"}, "refused"),
        train("checkpoints", resumed | {"model": "vit", "trainer.max_steps": "4"}, "refused"),
        train("checkpoints", {"ckpt_path": "''"}, "refused", names=("ckpt_path",)),
        Line("checkpoints", "eval.py", (f"ckpt_path={good}",), "accepted", jobs=1, settings=own),
        Line("checkpoints", "eval.py", (f"ckpt_path={good}", "data.eval_batch_size=16"), "accepted", jobs=1,
             settings=own | {"data.eval_batch_size": 16}),
        Line("checkpoints", "eval.py", (f"ckpt_path={good}", "probe.n_init=2"), "accepted", jobs=1,
             settings=own | {"probe.n_init": 2}),
        Line("checkpoints", "eval.py", ("-m", f"ckpt_path={good},{other}"), "accepted", jobs=2, settings=own,
             varied=({"ckpt_path": str(good)}, {"ckpt_path": str(other)})),
        Line("checkpoints", "eval.py", ("-m", f"ckpt_path={good}", "probe.k=2,3"), "accepted", jobs=2, settings=own,
             varied=({"probe.k": 2}, {"probe.k": 3})),
        Line("checkpoints", "eval.py", ("-m", f"ckpt_path={good},/nope.ckpt"), "refused", names=("/nope.ckpt",)),
        Line("checkpoints", "eval.py", ("-m", "ckpt_path=''", "seed=0,1"), "refused", names=("ckpt_path",)),
        train("checkpoints", {"seed": "0,1", "ckpt_path": "/nope.ckpt"}, "refused", "-m", names=("/nope.ckpt",)),
        Line("checkpoints", "eval.py", ("ckpt_path=''",), "refused", names=("ckpt_path",)),
        Line("checkpoints", "eval.py", (f"ckpt_path=[{good}]",), "refused", names=("ckpt_path",)),
        Line("checkpoints", "eval.py", ("ckpt_path=1",), "refused", names=("ckpt_path",)),
        Line("checkpoints", "eval.py", ("ckpt_path=true",), "refused", names=("ckpt_path",)),
    ]  # fmt: skip
    for path in wrong:
        names = ("ckpt_path", str(path))
        lines.append(
            Line("checkpoints", "eval.py", (f"ckpt_path={quoted(str(path))}",), "refused", names=names)
        )
        lines.append(train("checkpoints", resumed | {"ckpt_path": quoted(str(path))}, "refused", names=names))
    yield from shuffled(rng, lines)


@kind("places", weight=3)
def places(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Folders for logs of every name, folders of images that are none."""
    lines = []
    for name in ODD_NAMES:
        # OmegaConf and Hydra read quotes and ${} again, so one sentence is as good an answer as a run
        fate = "either" if set(name) & set("'${\"") else "accepted"
        logs = {"UNSEEN_LOG_DIR": f"{HERE}/logs/{name}"}
        lines.append(train("places", {}, fate, jobs=1, steps=1, environment=logs))
        lines.append(train("places", {"seed": "0,1"}, fate, "-m", jobs=2, steps=1, environment=logs))
        lines.append(evaluate("places", {}, fate, jobs=1, environment=logs))
    images = {"data": "image_folder", "data.unseen": "[cat,owl]"}
    odd = ("empty", "text.txt", "fifo", "null", "one_class", "picture.ckpt", "no/such/folder")
    for root in [*(str(stage.odd(name)) for name in odd), "''", "null", "1", "[a]"]:
        key = "data.root" if root[0] in "'n1[" else quoted(root)
        typed = f"data.root={root if key == 'data.root' else key}"
        for entry in (train, evaluate):
            lines.append(entry("places", images, "refused", typed, names=("root", root)))
    busy = str(stage.odd("text.txt"))
    lines += [
        train("places", {}, "accepted", f"hydra.run.dir={HERE}/logs/mine", jobs=1, steps=1),
        train("places", {}, "refused", "hydra.run.dir=''", names=("hydra.run.dir",)),
        train("places", {}, "refused", "hydra.run.dir=null", names=("hydra.run.dir",)),
        train("places", {}, "refused", f"hydra.run.dir={busy}", names=(busy,)),
        train("places", {}, "refused", f"hydra.run.dir={stage.odd('null')}", names=(str(stage.odd("null")),)),
        train("places", {}, "refused", environment={"UNSEEN_LOG_DIR": busy}, names=(busy,)),
        evaluate("places", {}, "refused", environment={"UNSEEN_LOG_DIR": busy}, names=(busy,)),
        train("places", {"seed": "0,1"}, "refused", "-m", "hydra.sweep.dir=''", names=("hydra.sweep.dir",)),
        train("places", {"seed": "0,1"}, "refused", "-m", f"hydra.sweep.dir={busy}", names=(busy,)),
    ]
    if os.geteuid() != 0:  # root reads everything
        locked = str(stage.odd("locked"))
        lines += [
            train("places", images | {"data.root": locked}, "refused", names=(locked,)),
            train("places", {}, "refused", environment={"UNSEEN_LOG_DIR": locked}, names=(locked,)),
        ]
    yield from shuffled(rng, lines)


@kind("environment")
def environments(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Variables that a machine may lack or have odd; none of them matters to a run on the CPU."""
    for variables in shuffled(
        rng,
        [
            {"HOME": None}, {"HOME": "/nonexistent"}, {"HOME": ""}, {"TZ": "Nowhere/Town"}, {"COLUMNS": "abc"},
            {"COLUMNS": "1"}, {"LANG": "C", "LC_ALL": "C"}, {"USER": None, "LOGNAME": None}, {"TERM": None},
            {"TERM": "nonsense"}, {"NO_COLOR": "1"}, {"WANDB_MODE": "nonsense"}, {"WANDB_API_KEY": "short"},
            {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "abc"}, {"UNSEEN_LOG_DIR": f"{HERE}/logs/./a/../b"},
            {"XDG_CACHE_HOME": "/nonexistent"}, {"HYDRA_FULL_ERROR": "0"}, {"PWD": "/nonexistent"}, {"SHLVL": "x"},
        ],
    ):  # fmt: skip
        if rng.random() < 0.7:
            yield train("environment", {}, "accepted", jobs=1, steps=1, environment=variables)
        else:
            yield evaluate("environment", {}, "accepted", jobs=1, environment=variables)
