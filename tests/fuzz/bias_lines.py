"""Lines of biases.py and embed.py, on the small network of the stage."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

from tests.fuzz.generate import kind, last, shuffled
from tests.fuzz.line import HERE, Fate, Line, quoted
from tests.fuzz.stage import ODD_NAMES, Stage
from tests.fuzz.values import LONG, NO_WHOLE, Setting, switch

OF_BIASES = (
    Setting("limit", {"5": 5, "20": 20, "null": None}, (*NO_WHOLE, "0")),
    Setting("batch_size", {"1": 1, "16": 16}, (*NO_WHOLE, "null", "0")),
    Setting("seed", {"0": 0, "5": 5}, (*NO_WHOLE, "null", "4294967296")),
    Setting("images", {"auto": "auto"}, ("nope", "[nope]", "[]", "null", "1", "{a:1}", LONG)),
    Setting("benchmark", {"none": None}, ("nope", "''", "1", "true")),
    Setting("cache_gb", {"0": 0.0}, ("abc", "-1", "null", "inf", "nan", "[1]")),
    switch("faithful"),
    Setting("trainer.accelerator", {"cpu": "cpu"}, ("gpu", "abc", "''", "1")),
    Setting("measures.calibration.bins", {"5": 5, "15": 15}, ("0", "-1", "abc", "null", "1.5")),
)  # fmt: skip


def bias(
    stage: Stage,
    changes: Mapping[str, str],
    fate: Fate,
    *flags: str,
    more: tuple[str, ...] = (),
    **wanted: object,
) -> Line:
    """Measures of a network on its own test images, with other values for some settings."""
    typed = {"ckpt_path": quoted(str(stage.checkpoint)), "measures": "[calibration]", "limit": "10"} | dict(
        changes
    )
    arguments = (*flags, *(f"{key}={value}" for key, value in typed.items()), *more)
    return Line("biases", "biases.py", arguments, fate, **wanted)  # type: ignore[arg-type]


@kind("biases", weight=4)
def biases(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Good and bad values, what is not read, checkpoints that are none, plans and studies."""
    lines = [bias(stage, {one.key: value}, "accepted", jobs=1) for one in OF_BIASES for value in one.good]
    lines += [
        bias(stage, {one.key: value}, "refused", names=(last(one.key), value.strip("'"), "benchmark"))
        for one in OF_BIASES
        for value in one.bad
    ]
    for measures in ("[color]", "[patch_shuffle]", "[low_frequency]", "[color,calibration]"):
        lines.append(bias(stage, {"measures": measures}, "accepted", jobs=1))
    for measures in ("[nope]", "nope", "[]", "null", "[1]", "[color,color]", "''", "{a:1}"):
        names = ("measures", "nope", "color")
        lines.append(
            bias(
                stage,
                {"measures": measures},
                "either" if measures in ("[]", "null", "[color,color]") else "refused",
                names=names,
            )
        )
    for key in (
        "probe.k",
        "data.rotation",
        "trainer.max_steps",
        "callbacks.layer_probe",
        "model.optimizer.lr",
        "epochs",
        "foo",
        "model.foo",
    ):
        for sign in ("", "+"):
            lines.append(bias(stage, {}, "refused", more=(f"{sign}{key}=1",), names=(last(key), key)))
    for path in ("noise.ckpt", "truncated.ckpt", "empty", "text.txt", "fifo", "null", "no/such.ckpt"):
        lines.append(
            bias(stage, {"ckpt_path": quoted(str(stage.odd(path)))}, "refused", names=("ckpt_path", path))
        )
    lines += [
        bias(stage, {"seed": "0,1"}, "accepted", "-m", jobs=2, varied=({"seed": 0}, {"seed": 1})),
        bias(stage, {"seed": "0,1"}, "accepted", "-m", more=("plan=true",), jobs=0),
        bias(stage, {"limit": "0,1"}, "refused", "-m", names=("limit",)),
        bias(stage, {}, "accepted", "--cfg", "job", jobs=0),
        bias(stage, {"ckpt_path": quoted(str(stage.run))}, "either"),
        Line("biases", "biases.py", ("--help",), "accepted", jobs=0),
        Line("biases", "biases.py", ("study=published",), "accepted"),
        Line("biases", "biases.py", ("study=nope",), "refused", ("study",)),
        Line("biases", "biases.py", ("study=own", f"runs={stage.run}"), "either"),
        Line("biases", "biases.py", ("study=own", "runs=/nope"), "refused", ("runs", "/nope")),
        Line("biases", "biases.py", ("model=vti",), "refused", ("model", "vti")),
    ]
    yield from shuffled(rng, lines)


@kind("embed", weight=3)
def embed(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Which images, which layer, where to."""
    out = f"{HERE}/logs/found.npz"

    def line(changes: Mapping[str, str], fate: Fate, names: tuple[str, ...] = (), makes: str = out) -> Line:
        typed = {
            "ckpt_path": quoted(str(stage.checkpoint)),
            "images": quoted(str(stage.photos)),
            "out": out,
        } | dict(changes)
        arguments = tuple(f"{key}={value}" for key, value in typed.items())
        return Line("embed", "embed.py", arguments, fate, names, makes=(makes,) if fate != "refused" else ())

    lines = [line({"layer": layer}, "accepted") for layer in ("best", "last", "0", "1")]
    lines += [
        line({"images": quoted(str(root))}, "accepted")
        for root in (stage.photos_zip, stage.root / ODD_NAMES[0], stage.photos / "cat")
    ]
    lines += [line({"ckpt_path": quoted(str(stage.run))}, "accepted"), line({"batch_size": "7"}, "accepted")]
    lines += [line({"device": "cpu"}, "accepted"), line({"skip_bad": "true"}, "accepted")]
    lines += [
        line({"layer": layer}, "refused", ("layer", layer))
        for layer in ("-1", "99", "nope", "''", "null", "1.5", "[0]", "true", LONG)
    ]
    lines += [
        line({"batch_size": value}, "refused", ("batch_size", value)) for value in (*NO_WHOLE, "0", "null")
    ]
    lines += [
        line({"device": value}, "refused", ("device", value))
        for value in ("cuda", "tpu", "''", "1", "null", "[cpu]")
    ]
    lines += [
        line({"trust": value}, "refused", ("trust", value))
        for value in ("abc", "[1]", "null", "[nope]", "{a:1}")
    ]
    images = (
        "''",
        "null",
        "1",
        "[a]",
        "/nope",
        *(quoted(str(stage.odd(each))) for each in ("empty", "text.txt", "fifo", "null")),
    )
    lines += [line({"images": value}, "refused", ("images", value.strip("'"))) for value in images]
    paths = (
        *(
            quoted(str(stage.odd(each)))
            for each in ("empty", "noise.ckpt", "truncated.ckpt", "fifo", "text.txt")
        ),
        "null",
        "''",
        "1",
        "/nope.ckpt",
    )
    lines += [line({"ckpt_path": value}, "refused", ("ckpt_path", value.strip("'"))) for value in paths]
    outs = (
        "''",
        "null",
        "x.txt",
        "[a]",
        "1",
        f"{stage.odd('text.txt')}/x.npz",
        "/proc/nope/x.npz",
        str(stage.odd("empty")),
    )
    lines += [line({"out": value}, "refused", ("out", value)) for value in outs]
    lines += [
        line({f"{sign}{key}": "1"}, "refused", (key,))
        for sign, key in itertools.product(("", "+"), ("foo", "layers", "seed", "model"))
    ]
    lines.append(Line("embed", "embed.py", (), "refused", ("ckpt_path", "images")))
    lines.append(Line("embed", "embed.py", ("--help",), "accepted"))
    lines.append(Line("embed", "embed.py", ("--cfg", "job"), "accepted"))
    yield from shuffled(rng, lines)
