"""Lines of transfer.py, with a small encoder of one's own."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fuzz.generate import kind, last, shuffled
from tests.fuzz.line import HERE, TINY_TRANSFER, Fate, Line, quoted, with_tiny
from tests.fuzz.stage import Stage
from tests.fuzz.values import LONG, NO_NUMBER, NO_WHOLE, SETTINGS, Setting, switch

# what is typed on a tiny run: values that must be taken, with what config.yaml then holds, and values that may not
OF_TRANSFER = (
    Setting("draws", {"0": 0, "2": 2, "3": 3}, (*NO_WHOLE, "99999999999")),
    Setting("batch_size", {"1": 1, "7": 7, "64": 64, "500": 500}, (*NO_WHOLE, "null", "0")),
    Setting("epochs", {"1": 1, "2": 2, "50": 50}, (*NO_WHOLE, "null", "0")),
    Setting(
        "shares", {"[.5,1]": [0.5, 1], "[0.01]": [0.01], "null": None},
        ("0.5", "[]", "[0]", "[1.1]", "[0.5,0.5]", "[nan]", "[abc]", "''", "{a:1}", "[-0.5,1]", "[inf]", "[[0.5]]"),
    ),
    Setting(
        "prompts", {"[bare]": ["bare"], "[ensemble,photo]": ["ensemble", "photo"], "null": None},
        ("bare", "[]", "[bare,bare]", "[own]", "[bar]", "''", "[1]", "[null]", "{a:1}", "true"),
    ),
    Setting(
        "templates", {"['{c}']": ["{c}"], "['a {c}','the {c}!']": ["a {c}", "the {c}!"], "null": None},
        ("[]", "[a photo]", "['']", "[1]", "{a:1}", "['{d}']", "true"),
    ),
    Setting("class_names", {"null": None},
            ("[a,b]", "{cat: felis}", "[]", "true", "1", f"[{','.join('abcdefghijk')}]")),
    Setting("label_models", {"null": None}, ("''", "mask", "true", "[masked]", "masked", "faithful")),
    Setting("l2_to_init", {"0": 0.0, "0.5": 0.5}, (*NO_NUMBER, "null", "-1", "inf")),
    Setting("replay", {"0": 0.0}, (*NO_NUMBER, "null", "-0.1", "1.1", "inf", "0.5")),
    Setting("alphas", {"[]": [], "[0,1]": [0, 1], "[0.5]": [0.5]},
            ("null", "0.5", "[2]", "[-1]", "[nan]", "[a]", "{a:1}")),
    Setting("others", {"[]": [], "[digits]": ["digits"]}, ("digits", "[nope]", "[1]", "[null]", "{digits: {}}",
            "[{typefaces: {tests: 3}}]", "[{typefaces: 3}]", "[../data/digits]", "[typefaces,typefaces]")),
    switch("measure_only"),
    switch("save_embeddings"),
    Setting("data.train_size", {"80": 80, "60": 60}, (*NO_WHOLE, "0", "1798")),
    Setting("data.test_size", {"40": 40, "10": 10}, (*NO_WHOLE, "0", "1", "1798")),
    Setting("seed", {"0": 0, "7": 7}, (*NO_WHOLE, "null", "4294967296")),
    Setting("encoder.width", {"2": 2, "70": 70}, ("abc", "-1", "null", "1.5")),
    Setting("trainer.accelerator", {"cpu": "cpu", "auto": "auto"}, ("gpu", "abc", "''", "1")),
)  # fmt: skip
_TECHNIQUES = {"full": (), "probe": (), "adapter": ("technique.reduction=2",)}


def tune(
    stage: Stage,
    name: str,
    changes: Mapping[str, str],
    fate: Fate,
    *flags: str,
    more: tuple[str, ...] = (),
    **wanted: Any,
) -> Line:
    """A tiny run of transfer.py with other values for some settings."""
    arguments = (*flags, f"--config-dir={stage.own}", *with_tiny(changes, TINY_TRANSFER), *more)
    return Line(name, "transfer.py", arguments, fate, environment={"PYTHONPATH": str(stage.own)}, **wanted)


def _fit(typed: Mapping[str, str]) -> bool:
    """Whether good values are good together."""
    if typed.get("shares", "null") != "null" and typed.get("draws") == "0":
        return False
    if typed.get("measure_only", "true") == "true":
        plain = typed.get("l2_to_init", "0") == "0" and typed.get("alphas", "[]") == "[]"
        return plain and "epochs" not in typed
    return True


@kind("transfer: good settings", weight=4)
def good_settings(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Several settings at once, each of a good value; now and then with training."""
    name = "transfer: good settings"
    while True:
        chosen = rng.sample([one for one in OF_TRANSFER if one.key != "measure_only"], rng.randint(2, 5))
        typed = {one.key: rng.choice(list(one.good)) for one in chosen}
        if not _fit(typed):
            continue
        settings = {one.key: one.good[typed[one.key]] for one in chosen}
        more: tuple[str, ...] = ()
        if rng.random() < 0.4:
            technique = rng.choice(list(_TECHNIQUES))
            more = (f"tuning={technique}", *_TECHNIQUES[technique])
            typed |= {"measure_only": "false", "epochs": "2", "alphas": rng.choice(("[]", "[0.5]"))}
            if technique != "full":  # new layers have no zero-shot weights
                typed |= {"alphas": "[]", "l2_to_init": "0"}
            settings = {
                key: value for key, value in settings.items() if key not in ("epochs", "alphas", "l2_to_init")
            }
        yield tune(stage, name, typed, "accepted", more=more, jobs=1, settings=settings)


@kind("transfer: bad values", weight=5)
def bad_values(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """One setting of a wrong type, or outside its bounds."""
    for setting, value in shuffled(rng, [(one, value) for one in OF_TRANSFER for value in one.bad]):
        names = (last(setting.key), value.strip("'"), "label model", "encoder")
        yield tune(stage, "transfer: bad values", {setting.key: value}, "refused", names=names)


@kind("transfer: what it does not read", weight=3)
def unread(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Keys that nothing reads, and settings of the main job; and names of groups."""
    name = "transfer: what it does not read"
    training = (
        "trainer.max",
        "trainer.val",
        "trainer.grad",
        "trainer.acc",
        "trainer.log",
        "model.sch",
        "probe.",
        "data.unseen",
    )
    of_main = [one for one in SETTINGS if one.key.startswith(training) and one.key != "trainer.accelerator"]
    lines = [
        tune(stage, name, {one.key: next(iter(one.good))}, "refused", names=(last(one.key), one.key))
        for one in of_main
    ]
    nodes = (
        "",
        "data",
        "encoder",
        "technique",
        "model.optimizer",
        "trainer",
        "logger",
        "paths",
        "hydra",
        "data.source",
    )
    for node, key, sign in itertools.product(nodes, ("foo", "tempaltes", "épaisseur"), ("", "+", "++", "~")):
        if node.startswith("hydra") and "+" in sign:
            continue
        place = f"{node}.{key}" if node else key
        typed = f"{sign}{place}" + ("" if sign == "~" else "=1")
        lines.append(tune(stage, name, {}, "refused", more=(typed,), names=(key, place)))
    for group, value in itertools.product(
        ("model", "tuning", "data", "optimizer"), ("nope", "null", "''", "1", "[a]", LONG, "../x")
    ):
        base = {key: each for key, each in TINY_TRANSFER.items() if key != group}
        arguments = (
            f"--config-dir={stage.own}",
            *(f"{key}={each}" for key, each in base.items()),
            f"{group}={value}",
        )
        names = (group, "encoder", "technique", value.strip("'"))
        lines.append(
            Line(name, "transfer.py", arguments, "refused", names, environment={"PYTHONPATH": str(stage.own)})
        )
    yield from shuffled(rng, lines)


@kind("transfer: files, sweeps and flags", weight=3)
def other_ways(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Embeddings from a file, sweeps, plans, studies, configurations."""
    name, clip = "transfer: files, sweeps and flags", {"model": "clip_vit_b32"}
    lines = [
        Line(name, "transfer.py", (f"model={stage.embeddings}", "draws=2"), "accepted", jobs=1, settings={"draws": 2}),
        Line(name, "transfer.py", (f"model={stage.embeddings}", "draws=2", "shares=[.5]"), "accepted", jobs=1),
        Line(name, "transfer.py", ("-m", f"model={stage.embeddings}", "draws=2", "seed=0,1"), "accepted", jobs=2,
             varied=({"seed": 0}, {"seed": 1})),
        tune(stage, name, {"seed": "0,1"}, "accepted", "-m", jobs=2, varied=({"seed": 0}, {"seed": 1})),
        tune(stage, name, {"data": "digits,typefaces"}, "accepted", "-m", more=("plan=true",), jobs=0),
        tune(stage, name, {"seed": "0,1"}, "accepted", "-m", more=("plan=true",), jobs=0),
        tune(stage, name, {"draws": "-1,2"}, "refused", "-m", names=("draws",)),
        tune(stage, name, {"encoder.width": "4,8"}, "accepted", "-m", jobs=2),
        tune(stage, name, {}, "accepted", "--cfg", "job", jobs=0),
        tune(stage, name, {}, "accepted", "--cfg", "job", "--resolve", jobs=0),
        tune(stage, name, {"draws": "0"}, "refused", more=("shares=[.5]",), names=("draws",)),
        tune(stage, name, {"measure_only": "false"}, "refused", more=("tuning=bitfit",), names=("blocks",)),
        tune(stage, name, {"measure_only": "false"}, "refused", more=("tuning=adapter", "technique.reduction=100"),
             names=("reduction",)),
        tune(stage, name, {}, "either", more=("study=own",)),
        tune(stage, name, {}, "accepted", more=(f"hydra.run.dir={HERE}/logs/mine",), jobs=1),
        tune(stage, name, {}, "refused", more=("hydra.run.dir=''",), names=("hydra.run.dir",)),
        tune(stage, name, {"model": "composed"}, "refused", more=("encoder.network=lite",), names=("lite",)),
        tune(stage, name, clip, "refused", names=("hub", "HF_HUB_OFFLINE", "cache")),
        tune(stage, name, clip, "refused", more=("encoder.architecture=ViT-B-33",), names=("ViT-B-33",)),
        tune(stage, name, clip, "refused", more=("encoder.pretrained=/nope.pt",), names=("/nope.pt",)),
        Line(name, "transfer.py", ("--help",), "accepted", jobs=0),
        Line(name, "transfer.py", ("--version",), "accepted", jobs=0),
        Line(name, "transfer.py", ("study=own", f"runs={stage.run}"), "either"),
        Line(name, "transfer.py", ("study=own", "runs=/nope"), "refused", ("runs", "/nope")),
        Line(name, "transfer.py", ("study=published",), "refused", ("study",)),
        Line(name, "transfer.py", (f"model={stage.embeddings}", "tuning=full"), "refused", ("tuning",)),
        Line(name, "transfer.py", (f"model={stage.embeddings}", "prompts=[bare]"), "refused", ("prompts",)),
        Line(name, "transfer.py", (f"model={stage.embeddings}", "measure_only=false"), "refused", ("measure_only",)),
    ]  # fmt: skip
    for file in ("zero", "widths", "one", "beyond", "no_texts", "noise", "nothing"):
        path = f"{stage.root}/{file}.npz"
        lines.append(Line(name, "transfer.py", (f"model={path}", "draws=2"), "refused", (path, file)))
    odd = ("text.txt", "fifo", "null", "empty", "noise.ckpt")
    for path in [*(str(stage.odd(each)) for each in odd), "nowhere.npz", "'${nope}.npz'"]:
        lines.append(
            Line(
                name,
                "transfer.py",
                (f"model={path}", "draws=2"),
                "refused",
                (path, "encoder", "model", "nope"),
            )
        )
    photos = {
        "data": "image_folder",
        "data.root": quoted(str(stage.photos)),
        "data.train_size": "30",
        "data.test_size": "10",
    }
    names = "[{bear: grizzly}]"
    lines += [
        tune(stage, name, photos, "accepted", jobs=1),
        tune(stage, name, photos, "refused", more=("class_names={bear: grizzly}",), names=("class_names",)),
        tune(stage, name, photos, "refused", more=(f"class_names={names}",), names=("class_names",)),
        tune(stage, name, photos, "accepted", more=("class_names=[a,b,c,d,e]",), jobs=1),
        tune(stage, name, photos | {"data.root": str(stage.odd("one_class"))}, "refused", names=("classes",)),
        tune(stage, name, photos | {"data.root": str(stage.odd("empty"))}, "refused", names=("root", "empty")),
        tune(stage, name, photos | {"data.root": "/nope"}, "refused", names=("/nope", "root")),
    ]  # fmt: skip
    yield from shuffled(rng, lines)
