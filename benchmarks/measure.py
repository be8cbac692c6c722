"""Rows of results: timing in turns, the statistics of pairs, fresh processes, the machine, and the results file."""

from __future__ import annotations

import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
PAIRS = 5  # a target is judged on so many pairs or more
LIBRARIES = ("torch", "torchvision", "lightning", "timm", "transformers", "scikit-learn", "numpy")
CALLIGRAPHY = (ROOT.parent / "shared/data/calligraphy.zip", ROOT / "data/calligraphy")


class CannotMeasure(RuntimeError):  # noqa: N818  (not always an error: images or a device may be missing)
    """A row cannot be measured; the message is the reason in one sentence."""


@dataclass(frozen=True)
class Settings:
    """What every row is measured with.

    Attributes:
        size: full (the sizes of the claims), cut (a few minutes) or tiny (only to see that it runs).
        device: cpu or cuda.
        seed: Of made-up data, of the runs and of the initial weights.
        rounds: Times that each side is measured.
        images: Folder or zip archive of the calligraphy images; None: where they usually are.
        report: Shows a line of progress.
    """

    size: str
    device: str = "cpu"
    seed: int = 0
    rounds: int = PAIRS
    images: Path | None = None
    report: Callable[[str], None] = print

    def pick(self, full: Any, cut: Any, tiny: Any) -> Any:
        """Return the value for this size."""
        return {"full": full, "cut": cut, "tiny": tiny}[self.size]

    def calligraphy(self) -> Path:
        """Return where the calligraphy images are."""
        for path in [self.images] if self.images else CALLIGRAPHY:
            if path.exists():
                return path.resolve()
        raise CannotMeasure("no calligraphy images; name a folder or zip archive with --images")


@dataclass
class Row:
    """One line of the table.

    Attributes:
        name: How it is cited.
        what: Our side, the other side and the size, in words.
        ours: A value for each round.
        reference: Likewise of the other side; empty: none.
        overhead: The ratio is ours / reference and should be small; else it is reference / ours, a speed-up.
        target: Least speed-up, or most overhead; without a reference, most of ours.
        unit: Of `ours` and `reference`.
        check: Results of both sides, which show that they did the same work.
        not_run: The reason, where there are no values.
    """

    name: str
    what: str
    ours: Sequence[float] = ()
    reference: Sequence[float] = ()
    overhead: bool = False
    target: float | None = None
    unit: str = "s"
    check: str = ""
    not_run: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with median and range of both sides, and of the ratio taken pair by pair."""
        pairs = list(zip(self.ours, self.reference, strict=True)) if self.reference else []
        ratios = [ours / other if self.overhead else other / ours for ours, other in pairs]
        speed_up, judged = bool(pairs) and not self.overhead, ratios or self.ours
        target = met = None
        if self.target is not None:
            unit = "" if pairs else f" {self.unit}"
            target = f"{'≥' if speed_up else '≤'} {self.target:g}{unit}"
            if len(self.ours) >= (PAIRS if pairs else 1):
                met = median(judged) >= self.target if speed_up else median(judged) <= self.target
        return {
            "name": self.name, "what": self.what, "unit": self.unit, "overhead": self.overhead, "target": target, "met": met,
            "ours": summary(self.ours), "reference": summary(self.reference), "ratio": summary(ratios),
            "pairs": [list(pair) for pair in pairs] or [[value] for value in self.ours],
            "check": self.check, "not_run": self.not_run,
        }  # fmt: skip


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and most; nothing for no values.

    >>> summary([4.0, 1.0, 3.0])
    {'median': 3.0, 'min': 1.0, 'max': 4.0}
    """
    return {"median": median(values), "min": min(values), "max": max(values)} if values else {}


# ------------------------------------------------------------------ timing
def seconds(task: Callable[[], object]) -> float:
    """Return how long a call takes; garbage is collected before, work on a GPU is waited for."""
    gc.collect()
    began = time.perf_counter()
    task()
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is not None and cuda.is_initialized():
        cuda.synchronize()
    return time.perf_counter() - began


def in_turns(
    sides: Mapping[str, Callable[[], float]],
    rounds: int,
    report: Callable[[str], None] = print,
    name: str = "",
) -> dict[str, list[float]]:
    """Return the seconds of each side; every other round has the reverse order, so that a drift favours none."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            found[side].append(sides[side]())
        values = ", ".join(f"{side} {times[-1]:.3g} s" for side, times in found.items())
        report(f"{name}, round {number + 1} of {rounds}: {values}")
    return found


def child_environment(**extra: str) -> dict[str, str]:
    """Return the environment of a child process, without settings that could change a run."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("WANDB_", "UNSEEN_", "HYDRA_"))
    }
    return clean | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **extra}


def run_child(arguments: Sequence[str], **extra: str) -> float:
    """Run `python ARGUMENTS` in the project's folder; return its seconds from start to end."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=child_environment(**extra), capture_output=True, text=True, check=False
    )  # fmt: skip
    took = time.perf_counter() - began
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CannotMeasure(f"{' '.join(arguments[:3])} ended with {done.returncode}: {' '.join(last)}")
    return took


def run_ours(
    arguments: Sequence[str], data_dir: str | None = None, **extra: str
) -> tuple[float, dict[str, Any]]:
    """Run `python src/train.py ARGUMENTS` in folders of its own; return its seconds and its summary.json."""
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        took = run_child(
            ["src/train.py", *arguments], UNSEEN_LOG_DIR=folder, UNSEEN_DATA_DIR=data_dir or folder, **extra
        )
        (path,) = Path(folder).rglob("summary.json")
        return took, json.loads(path.read_text(encoding="utf-8"))


# ------------------------------------------------------------------ the results file
def machine(settings: Settings) -> dict[str, Any]:
    """Return what the numbers of this call were measured on and with."""
    import torch

    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "seed": settings.seed,
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if settings.device == "cuda" else None,
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in LIBRARIES},
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _commit() -> str:
    """Return the commit, with a plus where tracked files differ from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def read_results(path: Path | None) -> dict[str, Any]:
    """Return the content of a results file; that of an empty one where there is none yet.

    Raises:
        ValueError: It is no results file.
    """
    if path is None or not path.exists():
        return {"runs": [], "rows": []}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not {"runs", "rows"} <= content.keys():
        raise ValueError("no results")
    return content


def keep(results: dict[str, Any], rows: Sequence[Row], settings: Settings, run: dict[str, Any]) -> None:
    """Put rows into results in the place of earlier ones of the same name, size and device.

    Machines and versions that no row refers to any longer are dropped.
    """
    key = {"size": settings.size, "device": settings.device}
    fresh = [row.to_dict() | key | {"run": run["taken"]} for row in rows]
    replaced = {(row["name"], row["size"], row["device"]) for row in fresh}
    kept = [row for row in results["rows"] if (row["name"], row["size"], row["device"]) not in replaced]
    results["rows"] = kept + fresh
    used = {row["run"] for row in results["rows"]}
    others = [other for other in results["runs"] if other["taken"] != run["taken"]]
    results["runs"] = [each for each in [*others, run] if each["taken"] in used]


# ------------------------------------------------------------------ tables
HEADER = ("row", "ours", "reference", "ratio (least–most)", "target", "met")
SECTIONS = {
    ("full", "cpu"): ("Full size: `make bench ARGS=--full`", (
        "help", "first_step", "whole_job/authors", "whole_job/plain", "floor", "training_steps", "inputs", "probing_share",
        "probe_suite", "probe_suite_large", "probe_suite_large/memory", "sweep_overhead", "image_cache",
        "busy_machine/alone", "busy_machine/beside_another", "kill_sweep",
    )),
    ("cut", "cpu"): ("Cut to ten minutes: `make bench`", ()),
    ("full", "cuda"): ("On a GPU: `make bench ARGS='--device cuda --full'`", (
        "probe_suite_cuda", "training_steps_cuda", "probing_share_cuda",
    )),
}  # fmt: skip


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the texts of a row, in the order of `HEADER`."""
    if row["not_run"]:
        return (row["name"], "not run", "", "", "", "")
    ratio, spread = row["ratio"], ""
    if ratio:
        kind = "× the time" if row["overhead"] else "× as fast"
        spread = f"{ratio['median']:.2f} {kind} ({ratio['min']:.2f}–{ratio['max']:.2f})"
        spread += f", {len(row['pairs'])} pairs" if len(row["pairs"]) != PAIRS else ""
    ours, other = (
        f"{side['median']:.3g} {row['unit']}" if side else "" for side in (row["ours"], row["reference"])
    )
    return (
        row["name"],
        ours,
        other,
        spread,
        row["target"] or "",
        {True: "yes", False: "no", None: ""}[row["met"]],
    )


def text_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return an aligned table for a terminal."""
    lines = [HEADER, *map(cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def markdown(results: dict[str, Any]) -> str:
    """Return the tables of all sizes and devices, each over what its rows compare and what they were measured on."""
    parts = []
    for (size, device), (title, expected) in SECTIONS.items():
        measured = [row for row in results["rows"] if (row["size"], row["device"]) == (size, device)]
        absent = [
            {"name": name, "not_run": "-"}
            for name in expected
            if name not in {row["name"] for row in measured}
        ]
        lines = [HEADER, ("---",) * len(HEADER), *map(cells, measured + absent)]
        runs = [run for run in results["runs"] if run["taken"] in {row["run"] for row in measured}]
        parts += [
            f"### {title}",
            "\n".join(map(_run_line, runs)),
            "\n".join(f"| {' | '.join(line)} |" for line in lines) if measured + absent else "Not run.",
            "\n".join(f"- `{row['name']}`: {words(row)}" for row in measured),
        ]
    return "\n\n".join(part for part in parts if part)


def words(row: dict[str, Any]) -> str:
    """Return what a row compares and the check of its two sides, or why it was not run."""
    return "; ".join(text for text in (row["what"], row["check"], row["not_run"]) if text)


def _run_line(run: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    chip = f"{run['gpu']}, " if run["gpu"] else ""
    return (
        f"- {run['taken'][:16]}, commit {run['commit']}, seed {run['seed']}: {chip}{run['cpu']}, {run['cores']} cores, "
        f"{run['threads']} threads, {run['memory_gb']:g} GB, load {run['load']:g} at the start; {versions}"
    )
