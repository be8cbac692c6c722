"""Kinds of lines of which most must be refused."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator

from tests.fuzz.generate import evaluate, kind, last, shuffled, train
from tests.fuzz.line import HERE, TINY, Line
from tests.fuzz.stage import Stage
from tests.fuzz.values import BY_KEY, LONG, SETTINGS, Setting


@kind("bad values", weight=8)
def bad_values(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """One setting of a wrong type, or outside its bounds."""
    all_bad = [(setting, value) for setting in SETTINGS for value in setting.bad]
    for setting, value in shuffled(rng, all_bad):
        command = evaluate if not setting.training and rng.random() < 0.3 else train
        names = (last(setting.key), value.strip("'"))
        yield command("bad values", {setting.key: value}, "refused", names=names)


@kind("bad values in sweeps", weight=2)
def bad_values_in_sweeps(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """One bad value among good ones: known before the first job starts."""
    while True:
        setting: Setting = rng.choice(SETTINGS)
        bad = [value for value in setting.bad if value not in (LONG, "$(id)") and "\n" not in value]
        values = [rng.choice(list(setting.good)), rng.choice(bad)]
        rng.shuffle(values)
        changes = {setting.key: ",".join(values)}
        yield train(
            "bad values in sweeps", changes, "refused", "-m", names=(last(setting.key), values[0], values[1])
        )


NODES = ("", "model", "model.optimizer", "model.scheduler", "model.backbone", "data", "data.source", "probe", "trainer",
         "callbacks", "callbacks.layer_probe", "callbacks.best_checkpoint", "logger", "logger.csv", "paths", "recipe",
         "hydra", "hydra.run", "hydra.sweep", "hydra.job")  # fmt: skip
NAMES = ("foo", "n_inti", "_target_x", "imagesize", "freeze", "x", "épaisseur", "None")


@kind("unknown keys", weight=5)
def unknown_keys(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """A key that nothing reads, at every place, however it is typed."""
    for node, name, sign in shuffled(rng, itertools.product(NODES, NAMES, ("", "+", "++", "~"))):
        if node.startswith("hydra") and "+" in sign:
            continue  # Hydra's own, and it may take what is added to it
        key = f"{node}.{name}" if node else name
        typed = f"{sign}{key}" + ("" if sign == "~" else "=1")
        command = rng.choice((train, train, evaluate))
        sweep = ("-m",) if rng.random() < 0.15 else ()
        yield command("unknown keys", {}, "refused", *sweep, typed, names=(name, key))


@kind("unknown keys of the report and the dashboard")
def unknown_keys_elsewhere(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """The same for the other two commands."""
    nodes = ("", "paths", "hydra", "hydra.run")
    for entry, node, name, sign in shuffled(
        rng,
        itertools.product(("report.py", "dashboard.py"), nodes, ("foo", "run", "outt"), ("", "+", "++", "~")),
    ):
        key = f"{node}.{name}" if node else name
        if key == "hydra.run" or (node.startswith("hydra") and "+" in sign):
            continue  # Hydra's own
        typed = f"{sign}{key}" + ("" if sign == "~" else "=1")
        base = (
            (f"runs={stage.run}", f"out={HERE}/logs/out")
            if entry == "report.py"
            else (f"out={HERE}/logs/out.json",)
        )
        kind = "unknown keys of the report and the dashboard"
        yield Line(kind, entry, (*base, typed), "refused", (name, key))


# Lines of the documentation, one a part that was added later or belongs to another command; a word gets a letter wrong.
DOCUMENTED = (
    "train.py optimizer=sam",
    "train.py loss=simclr data.views=2 augment=simclr",
    "train.py loss=vicreg data.views=2 augment=simclr",
    "train.py data.keep=random data.keep_share=0.5",
    "train.py data.shift=blur data.imbalance=10",
    "train.py callbacks=el2n probe.ensembles=true",
    "train.py probe.few_shot=[1,5] probe.discovery=true",
    "train.py -m study=g4 resume=true plan=true",
    "eval.py probe.noise_levels=[0.5,1.0] callbacks=el2n",
    "biases.py measures=[color,calibration] benchmark=samples limit=60",
    "biases.py -m study=b1 resume=true plan=true",
    "transfer.py model=composed data=digits tuning=lora technique.rank=2",
    "transfer.py transfer_experiment=demo label_models=masked",
    "transfer.py -m study=i3 resume=true plan=true",
    "report.py study=g4",
)


def slipped(rng: random.Random, word: str) -> str:
    """The word without a letter, with two of them changed over, one twice, or one for another."""
    place = rng.randrange(max(1, len(word) - 1))
    before, letter, rest = word[:place], word[place], word[place + 1 :]
    return rng.choice((before + rest, before + rest[:1] + letter + rest[1:], before + letter * 2 + rest))


@kind("slips of the pen", weight=3)
def slips(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """A known setting with a letter wrong; a word of a documented line, which need not be one of a tiny job."""
    tiny, documented = slips_of_settings(rng), slips_of_lines(rng)
    while True:
        yield from (next(documented), next(tiny))


def slips_of_lines(rng: random.Random) -> Iterator[Line]:
    """Names of settings and of files of groups."""
    while True:
        entry, *words = rng.choice(DOCUMENTED).split()
        place = rng.choice([number for number, word in enumerate(words) if "=" in word])
        key, _, value = words[place].partition("=")
        node, _, name = key.rpartition(".")
        of_group = re.search("[a-z_]{4,}", value) if not node and value not in ("true", "null") else None
        if of_group and rng.random() < 0.5:
            wrong = slipped(rng, of_group[0])
            typed, same = f"{key}={value.replace(of_group[0], wrong, 1)}", wrong == of_group[0]
        else:
            wrong = slipped(rng, name)
            typed, same = f"{node}{'.' if node else ''}{wrong}={value}", wrong in (name, "")
        if not same:
            words[place] = typed
            yield Line("slips of the pen", entry, tuple(words), "refused", (wrong,))


def slips_of_settings(rng: random.Random) -> Iterator[Line]:
    """Each setting that a tiny job may be given."""
    while True:
        setting = rng.choice(SETTINGS)
        node, _, name = setting.key.rpartition(".")
        place = rng.randrange(max(1, len(name) - 1))
        slip = rng.choice(
            (
                name[:place] + name[place + 1 :],
                name[:place] + name[place + 1 : place + 2] + name[place] + name[place + 2 :],
                name[:place] + name[place] * 2 + name[place + 1 :],
                name.replace("_", "-") if "_" in name else name + "s",
                name.upper(),
            )
        )
        key = f"{node}.{slip}" if node else slip
        if slip in (name, "") or key in BY_KEY:
            continue
        sign, value = rng.choice(("", "+", "++")), rng.choice(list(setting.good))
        yield rng.choice((train, evaluate))(
            "slips of the pen", {}, "refused", f"{sign}{key}={value}", names=(slip, key)
        )


@kind("groups", weight=3)
def groups(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Names of groups."""
    values = (
        "null",
        "1",
        "''",
        "nope",
        "[a,b]",
        "true",
        "_defaults",
        "../model/vit",
        "{a:1}",
        "resnet.yaml",
        "é",
        LONG,
    )
    lines = []
    for group, value in itertools.product(("model", "data", "trainer", "size", "probe", "paths"), values):
        lines.append(
            rng.choice((train, evaluate))("groups", {}, "refused", f"{group}={value}", names=(group, value))
        )
    lines = [
        # the group of a tiny job is typed already; Hydra would rather speak of that
        Line(
            each.kind,
            each.entry,
            tuple(a for a in each.arguments if a != "model=resnet"),
            each.fate,
            each.names,
        )
        if any(argument.startswith("model=") for argument in each.arguments[1:])
        else each
        for each in lines
    ]
    for group, value in itertools.product(("debug", "experiment", "logger", "callbacks"), values[1:]):
        lines.append(train("groups", {}, "refused", f"{group}={value}", names=(group, value)))
    lines += [
        train("groups", {}, "refused", "+model=vit", names=("model",)),
        train("groups", {}, "refused", "++data=cifar100", names=("data",)),
        train("groups", {}, "refused", "model@backbone=vit", names=("model", "backbone")),
        train("groups", {}, "either", "logger=null", jobs=1),
        train("groups", {}, "either", "callbacks=null"),
        train("groups", {}, "either", "~logger"),
        train("groups", {}, "either", "~callbacks"),
        train("groups", {}, "either", "debug=null", jobs=1, steps=1, names=("debug",)),
        train("groups", {}, "either", "experiment=null", jobs=1, steps=1, names=("experiment",)),
        train("groups", {}, "accepted", "debug=tiny", jobs=1, steps=1),
        train(
            "groups", {}, "accepted", "trainer=cpu", jobs=1, steps=1, settings={"trainer.accelerator": "cpu"}
        ),
        train("groups", {}, "accepted", "logger=csv", jobs=1, steps=1),
        train("groups", {}, "refused", "trainer=gpu", names=("GPU",)),
        train("groups", {}, "refused", "-m", "hydra/launcher=nope", names=("launcher",)),
        train("groups", {}, "refused", "hydra/nope=1", names=("hydra/nope",)),
        train("groups", {"model": "timm"}, "refused", "model.name=convnextv2_ato", names=("convnextv2_ato",)),
        train("groups", {"model": "timm"}, "refused", "model.name=[a]", names=("model.name",)),
        train("groups", {"model": "timm"}, "refused", "model.name=''", names=("model.name",)),
        train("groups", {"model": "module"}, "refused", names=("model.backbone.network",)),
        train(
            "groups",
            {"model": "module"},
            "refused",
            "model.backbone.network._target_=nope.Net",
            names=("nope.Net",),
        ),
        train(
            "groups",
            {"model": "module"},
            "refused",
            "model.backbone.network._target_=torch.nn.Linear",
            names=("num_classes",),
        ),
        train("groups", {"data": "torch_dataset"}, "refused", names=("data.source.dataset",)),
        train(
            "groups",
            {"data": "torch_dataset"},
            "refused",
            "data.source.dataset={_target_: nope.Data}",
            names=("nope",),
        ),
        train("groups", {"model": "timm"}, "refused", f"model.name={LONG}", names=("model", LONG)),
        train(
            "groups", {"model": "timm"}, "refused", "model.name=${oc.env:NOPE}", names=("NOPE", "model.name")
        ),
    ]
    yield from shuffled(rng, lines)


@kind("deletions", weight=2)
def deletions(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Settings that are taken away; where the rest can do without, the run may go on."""
    needed = ("model", "data", "trainer", "probe", "size", "paths", "data.source", "model.backbone",
              "model.backbone._target_", "data.source._target_", "model.optimizer", "model.scheduler", "data.name",
              "data.image_size", "model.name", "seed", "recipe", "trainer._target_")  # fmt: skip
    for key in shuffled(rng, needed):
        yield train("deletions", {}, "refused", f"~{key}", names=(last(key), key))
    for setting in shuffled(rng, SETTINGS):
        # one that a tiny job types would be set and taken away
        kept = {key: value for key, value in TINY.items() if key != setting.key}
        arguments = (*(f"{key}={value}" for key, value in kept.items()), f"~{setting.key}")
        yield Line("deletions", "train.py", arguments, "either", names=(last(setting.key),))


@kind("contradictions", weight=3)
def contradictions(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Values that are good alone."""
    cases: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"data.unseen": "[7,8]", "data.num_unseen": "2"}, ("num_unseen", "unseen")),
        ({"data.seen": "[1,2,3]", "data.unseen": "[3,4]"}, ("3", "seen")),
        ({"data.seen": "[]"}, ("seen",)),
        ({"data.seen": "[1,cat]"}, ("cat",)),
        ({"data.seen": "[1,1]"}, ("seen",)),
        ({"data.unseen_per_class": "2", "probe.k": "6"}, ("k",)),
        ({"data.unseen": "[7,8]", "probe.k": "40"}, ("k",)),
        ({"trainer.max_steps": "-1"}, ("max_steps", "max_epochs")),
        ({"data.num_labels": "2", "data.num_unseen": "7"}, ("num_labels",)),
        ({"model": "vit", "data.image_size": "33"}, ("33",)),
        ({"model": "vit", "data.image_size": "8"}, ("8",)),
        ({"model": "swin", "data.image_size": "33"}, ("33",)),
        ({"data.rotation": "45", "data.pad": "0"}, ("rotation", "pad")),
        ({"data.rotation": "10", "data.pad": "0.01"}, ("rotation", "pad")),
        ({"data": "image_folder"}, ("root",)),
        ({"data": "torchvision"}, ("dataset",)),
        ({"data": "torchvision", "data.dataset": "Nope", "data.num_unseen": "2"}, ("Nope",)),
        ({"data": "torchvision", "data.dataset": "[SVHN]", "data.num_unseen": "2"}, ("dataset",)),
        ({"model": "timm", "model.name": "vit_tiny_patch16_224", "data.image_size": "40"}, ("40",)),
    ]
    set_by_us = ("fast_dev_run=true", "overfit_batches=1", "limit_val_batches=1", "limit_val_batches=0.5",
                 "callbacks=[]", "logger=false", "num_sanity_val_steps=2", "inference_mode=false",
                 "use_distributed_sampler=true", "enable_model_summary=true", "enable_progress_bar=false",
                 "check_val_every_n_epoch=2", f"default_root_dir={HERE}/logs")  # fmt: skip
    cases += [({f"+trainer.{pair.partition('=')[0]}": pair.partition("=")[2]}, (pair.partition("=")[0],))
              for pair in set_by_us]  # fmt: skip
    for command, (typed, names) in itertools.product((train, evaluate), shuffled(rng, cases)):
        if command is evaluate and "trainer.max_steps" in typed:
            continue
        yield command("contradictions", typed, "refused", names=names)


@kind("empty sweeps and odd flags", weight=3)
def odd_flags(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Sweeps of nothing, flags in odd places, arguments that are no settings."""
    name = "empty sweeps and odd flags"
    seedless = "seed={}"
    lines = []
    for value in ("range(0,0)", "range(2,0)", "glob(*)", "glob(zzz*)", "choice()", "range(0,1,0)", "range(a,b)",
                  "[0,1],2", "", ",", "0,", "sort()", "nope(1)", "range(0,2"):  # fmt: skip
        lines.append(train(name, {}, "refused", "-m", seedless.format(value), names=("seed", value)))
    for changes in (
        {"model": "glob(zzz*)"},
        {"model": "resnet,vti"},
        {"model": "resnet,"},
        {"data": "digits,digit"},
    ):
        key, value = next(iter(changes.items()))
        lines.append(train(name, changes, "refused", "-m", "plan=true", names=(key, value)))
    for key, value in itertools.product(
        ("resume", "plan"), ("maybe", "2", "''", "[true]", "null", "nan", "{a:1}", "tru", "1.0")
    ):
        lines.append(train(name, {"seed": "0,1"}, "refused", "-m", f"{key}={value}", names=(key,)))
        lines.append(train(name, {}, "refused", f"{key}={value}", names=(key,)))
    refused_flags = (
        ("--resolve",), ("--nope",), ("-x",), ("--cfg", "nope"), ("--cfg",), ("--config-name", "nope"),
        ("--config-path", "/nope"), ("--config-dir", "/nope"), ("--experimental-rerun", "/nope"), ("seed",), ("=1",),
        ("resnet",), ("seed==1",), ("seed=0,1",), ("seed 1",), ("seed=[0",), ("seed={0",), ("seed='0",), ("",),
        ("seed=0;rm",), ("seed=0 seed=1",), ("model.=1",), (".seed=1",), ("a..b=1",), ("+=1",), ("~",), ("++",),
        ("\N{BOM}seed=1",), ("-seed=1",), ("@seed=1",), ("seed:=1",), (LONG,), ("hydra=1",), ("hydra/launcher=nope",),
    )  # fmt: skip
    for flags in refused_flags:
        lines.append(rng.choice((train, evaluate))(name, {}, "refused", *flags))
    accepted_flags = (
        ("--help",), ("--version",), ("--cfg", "job"), ("--cfg", "job", "--resolve"), ("--hydra-help",),
        ("--cfg", "hydra"), ("--cfg", "all"), ("--cfg", "job", "-p", "model"), ("--info", "defaults"),
    )  # fmt: skip
    for flags in accepted_flags:
        for command in (train, evaluate):
            lines.append(command(name, {}, "accepted", *flags, jobs=0))
        lines.append(Line(name, rng.choice(("report.py", "dashboard.py")), flags, "accepted", jobs=0))
    for flags in (("-c", "job", "-m"), ("-m", "--cfg", "job"), ("--",), ("--info",), ("--shell-completion",),
                  ("--cfg", "job", "seed=abc"), ("--run",), ("plan=true",), ("resume=true",)):  # fmt: skip
        lines.append(train(name, {}, "either", *flags))
    # settings on both sides of the flag: Python's parser of arguments may not take them
    lines.append(Line(name, "train.py", ("model=resnet", "-m", "plan=true", "seed=0,1"), "either"))
    lines.append(
        train(name, {"seed": "${data.split_seed}"}, "accepted", jobs=1, steps=1, settings={"seed": 0})
    )
    lines.append(train(name, {"trainer.max_steps": "${oc.decode:'2'}"}, "accepted", jobs=1, steps=2))
    yield from shuffled(rng, lines)
