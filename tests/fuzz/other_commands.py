"""Lines for the report and the dashboard."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from tests.fuzz.generate import kind, shuffled
from tests.fuzz.line import HERE, Line, quoted
from tests.fuzz.stage import ODD_NAMES, Stage
from tests.fuzz.values import LONG


@kind("report", weight=2)
def reports(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Which folders, where to."""
    runs, out = f"runs={stage.root}/runs", f"{HERE}/logs/out"
    page = (f"{out}/index.html",)
    lines = [
        Line("report", "report.py", (runs, f"out={out}"), "accepted", makes=page),
        Line("report", "report.py", (f"runs=[{stage.run},{stage.other}]", f"out={out}"), "accepted", makes=page),
        Line("report", "report.py", (f"runs=[{stage.run},{stage.run}]", f"out={out}"), "accepted", makes=page),
        Line("report", "report.py", (f"runs={stage.run}", f"out={out}/deep/er"), "accepted",
             makes=(f"{out}/deep/er/index.html",)),
        Line("report", "report.py", (f"runs={stage.run}/", f"out={out}"), "accepted", makes=page),
    ]  # fmt: skip
    for name in ODD_NAMES:
        place = f"{HERE}/logs/{name}"
        fate = "either" if "$" in name else "accepted"
        typed = (f"runs={stage.run}", f"out={quoted(place)}")
        lines.append(Line("report", "report.py", typed, fate, makes=(f"{place}/index.html",)))
    odd = [stage.odd(each) for each in ("empty", "text.txt", "fifo", "null", "no/such")]
    for value in [*map(str, odd), "null", "''", "[]", "[null]", "1", "{a:1}", f"[{stage.run},/nope]", LONG,
                  "true", "nan", "${nope}", "[[a]]", "a,b"]:  # fmt: skip
        lines.append(
            Line("report", "report.py", (f"runs={value}", f"out={out}"), "refused", ("runs", value, "nope"))
        )
    taken = [str(stage.odd(each)) for each in ("own_null", "own_full", "own_fifo", "text.txt")]
    for value in ("null", "''", *taken, "[a]", "{a:1}", "/proc/nope", LONG, "${nope}"):
        # `out` is Hydra's own folder, too, so an empty value may be told by that name
        lines.append(
            Line("report", "report.py", (runs, f"out={value}"), "refused", ("out", value, "hydra.run.dir"))
        )
    lines.append(Line("report", "report.py", (runs, f"out={out}", "-m"), "either"))
    yield from shuffled(rng, lines)


@kind("dashboard", weight=2)
def dashboards(rng: random.Random, stage: Stage) -> Iterator[Line]:
    """Without a key it only writes a file."""
    out = f"{HERE}/logs/out.json"
    lines = [
        Line("dashboard", "dashboard.py", (), "accepted", makes=(f"{HERE}/logs/dashboard.json",)),
        Line("dashboard", "dashboard.py", (f"out={out}",), "accepted", makes=(out,)),
    ]
    for key, value in itertools.product(
        ("name", "project", "entity"), ("abc", "a-b_c", "'two words'", "ünï", "x.y")
    ):
        fate = (
            "accepted" if key == "name" or value in ("abc", "a-b_c") else "either"
        )  # W&B's own rules for the others
        lines.append(Line("dashboard", "dashboard.py", (f"{key}={value}", f"out={out}"), fate, makes=(out,)))
    for key, value in itertools.product(("project", "name"), ("[a]", "{a:1}", "null", "${nope}")):
        lines.append(
            Line(
                "dashboard", "dashboard.py", (f"{key}={value}", f"out={out}"), "refused", (key, value, "nope")
            )
        )
    taken = [str(stage.odd(each)) for each in ("own_full", "own_fifo", "empty", "text.txt/x")]
    for value in ("null", "''", *taken, "[a]", "{a:1}", "/proc/nope/x", LONG, "${nope}"):
        lines.append(Line("dashboard", "dashboard.py", (f"out={value}",), "refused", ("out", value, "nope")))
    lines.append(Line("dashboard", "dashboard.py", ("entity=[a]", f"out={out}"), "refused", ("entity",)))
    lines.append(
        Line("dashboard", "dashboard.py", ("project=a/b:c", f"out={out}"), "either", ("a/b:c", "project"))
    )
    lines.append(Line("dashboard", "dashboard.py", (f"out={out}", "-m"), "either"))
    yield from shuffled(rng, lines)
