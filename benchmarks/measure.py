"""Rows of results: sides timed in turns, fresh processes, the machine, the results file and its tables."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
PAIRS = 5  # a ratio's target is judged on so many pairs or more
LIBRARIES = ("torch", "torchvision", "lightning", "timm", "transformers", "scikit-learn", "numpy")
CALLIGRAPHY = ROOT / "data/calligraphy"  # where data=calligraphy downloads to
Results = dict[str, Any]


class CannotMeasure(RuntimeError):  # noqa: N818  (images or a device may be missing, which is no error)
    """A row cannot be measured; the message is the reason in one sentence."""


@dataclass(frozen=True)
class Settings:
    """What every row is measured with.

    Attributes:
        size: full (the sizes of the claims), cut (ten minutes) or tiny (only to see that it runs).
        device: cpu or cuda.
        seed: Of made-up data, of the runs and of the initial weights.
        rounds: Times that each side is measured.
        images: Folder or zip archive of the calligraphy images; None: where they usually are.
    """

    size: str
    device: str = "cpu"
    seed: int = 0
    rounds: int = PAIRS
    images: Path | None = None

    def pick(self, full: Any, cut: Any, tiny: Any) -> Any:
        """Return the value for this size."""
        return {"full": full, "cut": cut, "tiny": tiny}[self.size]

    def target(self, value: float) -> float | None:
        """Return a target that holds at full size only."""
        return value if self.size == "full" else None

    def calligraphy(self) -> Path:
        """Return where the calligraphy images are."""
        path = self.images or CALLIGRAPHY
        if not path.exists():
            raise CannotMeasure(
                f"no calligraphy images in {path}; name a folder or zip archive with --images"
            )
        return path.resolve()


@dataclass
class Row:
    """One line of the table.

    Attributes:
        name: How it is cited.
        what: Our side, the other side and the size, in words.
        ours: A value for each round; none: not run.
        reference: Likewise of the other side; empty: none.
        overhead: The ratio is ours / reference and should be small; else it is reference / ours, a speed-up.
        target: Least speed-up, or most overhead; without a reference, most of ours.
        unit: Of `ours` and `reference`.
        check: Results of both sides, which show that they did the same work.
    """

    name: str
    what: str
    ours: Sequence[float] = ()
    reference: Sequence[float] = ()
    overhead: bool = False
    target: float | None = None
    unit: str = "s"
    check: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with median and range of both sides, and of the ratio taken pair by pair."""
        pairs = list(zip(self.ours, self.reference, strict=True)) if self.reference else []
        ratios = [ours / other if self.overhead else other / ours for ours, other in pairs]
        met = None
        if self.target is not None and len(self.ours) >= (PAIRS if pairs else 1):
            value = median(ratios or self.ours)
            met = value >= self.target if pairs and not self.overhead else value <= self.target
        spreads = {"ours": spread(self.ours), "reference": spread(self.reference), "ratio": spread(ratios)}
        return asdict(self) | spreads | {"met": met, "pairs": pairs or [(value,) for value in self.ours]}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, least and most; nothing for no values.

    >>> spread([4.0, 1.0, 3.0])
    {'median': 3.0, 'min': 1.0, 'max': 4.0}
    """
    return {"median": median(values), "min": min(values), "max": max(values)} if values else {}


# ------------------------------------------------------------------ timing
def report(line: str) -> None:
    """Show a line of progress."""
    print(line, file=sys.stderr, flush=True)


def seconds(task: Callable[[], object]) -> float:
    """Return how long a call takes; garbage is collected before it, work on a GPU is waited for."""
    gc.collect()
    began = time.perf_counter()
    task()
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is not None and cuda.is_initialized():
        cuda.synchronize()
    return time.perf_counter() - began


def in_turns(name: str, rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Return the seconds of each side; every other round has the reverse order, so that a drift favours none."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in list(sides) if number % 2 == 0 else list(sides)[::-1]:
            found[side].append(sides[side]())
        values = ", ".join(f"{side} {times[-1]:.3g} s" for side, times in found.items())
        report(f"{name}, round {number + 1} of {rounds}: {values}")
    return found


def in_fresh_process(measure: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function of a module gives in a new process, in which nothing is loaded yet."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def memory(kind: str) -> float:
    """Return the process's memory now (VmRSS), or its peak since it was reset (VmHWM), in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(kind)) * 1024 / 1e6


def child_environment(**extra: str) -> dict[str, str]:
    """Return the environment of a child process, without settings that could change a run."""
    foreign = ("WANDB_", "UNSEEN_", "HYDRA_", "GOMP_SPINCOUNT")  # the last is set by our own commands
    clean = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    return clean | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **extra}


def run_child(*arguments: object, **extra: str) -> float:
    """Run `python ARGUMENTS` in the project's folder; return its seconds from start to end."""
    command = [sys.executable, *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=child_environment(**extra), capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CannotMeasure(f"{' '.join(command[1:4])} ended with {done.returncode}: {' '.join(last)}")
    return took


def run_ours(*arguments: object, data_dir: str = "", **extra: str) -> tuple[float, dict[str, Any]]:
    """Run `python src/train.py ARGUMENTS` in folders of its own; return its seconds and its summary.json."""
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        extra |= {"UNSEEN_LOG_DIR": folder, "UNSEEN_DATA_DIR": data_dir or folder}
        took = run_child("src/train.py", *arguments, **extra)
        (path,) = Path(folder).rglob("summary.json")
        return took, json.loads(path.read_text(encoding="utf-8"))


# ------------------------------------------------------------------ the results file
def machine(settings: Settings) -> dict[str, Any]:
    """Return what the numbers of this call are measured on and with."""
    import torch

    try:
        git = ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty=+"]  # +: files differ
        commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit,
        "seed": settings.seed,
        "cpu": names[0] if names else platform.processor(),
        "gpu": torch.cuda.get_device_name() if settings.device == "cuda" else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": round(os.getloadavg()[0], 2),
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in LIBRARIES},
    }


def read_results(path: Path | None) -> Results:
    """Return the content of a results file, that of an empty one where there is none yet.

    Raises:
        ValueError: It is no results file.
    """
    if path is None or not path.exists():
        return {"runs": [], "rows": []}
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or content.keys() != {"runs", "rows"}:
        raise ValueError("no results")
    return content


def write_results(results: Results, path: Path | None) -> None:
    """Write the results file in one step."""
    if path is not None:
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)


def keep(
    results: Results, rows: Sequence[Row], settings: Settings, run: dict[str, Any]
) -> list[dict[str, Any]]:
    """Put rows into results in the place of earlier ones of the same name, size and device; return them.

    Machines and versions that no row refers to any longer are dropped.
    """

    def key(row: dict[str, Any]) -> tuple[str, str, str]:
        return row["name"], row["size"], row["device"]

    added = {"size": settings.size, "device": settings.device, "run": run["taken"]}
    fresh = [row.to_dict() | added for row in rows]
    replaced = set(map(key, fresh))
    results["rows"] = [row for row in results["rows"] if key(row) not in replaced] + fresh
    runs = {each["taken"]: each for each in [*results["runs"], run]}
    results["runs"] = [runs[taken] for taken in sorted({row["run"] for row in results["rows"]})]
    return fresh


# ------------------------------------------------------------------ tables
HEADER = ("row", "ours", "reference", "ratio (least–most)", "target", "met")
FULL = """help first_step whole_job/authors whole_job/plain floor training_steps inputs probing_share probe_suite
    probe_suite_large sweep_overhead whole_job_500/authors image_cache busy_machine/alone busy_machine/beside_another
    kill_sweep band_noise band_noise_memory iimm iimm_memory"""
SECTIONS = {  # (size, device): title, rows that are listed even if they were not run
    ("full", "cpu"): ("Full size: `make bench ARGS=--full`", FULL),
    ("cut", "cpu"): ("Cut to ten minutes: `make bench`", ""),
    ("full", "cuda"): (
        "On a GPU: `make bench ARGS='--device cuda --full'`",
        "probe_suite_cuda training_steps_cuda probing_share_cuda",
    ),
    ("cut", "cuda"): ("Cut, on a GPU: `make bench ARGS='--device cuda'`", ""),
}


def tables(results: Results) -> str:
    """Return the tables of all sizes and devices as Markdown."""
    parts = []
    for kind, (title, names) in SECTIONS.items():
        rows = [row for row in results["rows"] if (row["size"], row["device"]) == kind]
        measured = {row["name"] for row in rows}
        rows += [Row(name, "").to_dict() for name in names.split() if name not in measured]
        parts.append(f"### {title}\n\n{table(rows, results['runs']) or 'Not run.'}")
    return "\n\n".join(parts)


def table(rows: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> str:
    """Return rows as Markdown, between what they were measured on and what they compare."""
    used = {row.get("run") for row in rows}
    lines = [f"- {_run(run)}" for run in runs if run["taken"] in used]
    lines += [
        "",
        *(f"| {' | '.join(line)} |" for line in (HEADER, ("---",) * len(HEADER), *map(cells, rows))),
        "",
    ]
    lines += [
        f"- `{row['name']}`: {row['what']}" + f"; {row['check']}" * bool(row["check"])
        for row in rows
        if row["what"]
    ]
    return "\n".join(lines).strip() if rows else ""


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return the texts of a row, in the order of `HEADER`."""
    if not row["ours"]:
        return (row["name"], "not run", "", "", "", "")
    ratio, unit, target, text = row["ratio"], row["unit"], "", ""
    if ratio:
        kind = "× the time" if row["overhead"] else "× as fast"
        text = f"{ratio['median']:.2f} {kind} ({ratio['min']:.2f}–{ratio['max']:.2f})"
        text += f", {len(row['pairs'])} pairs" if len(row["pairs"]) != PAIRS else ""
    if row["target"] is not None:
        target = f"{'≥' if ratio and not row['overhead'] else '≤'} {row['target']:g}" + f" {unit}" * (
            not ratio
        )
    ours, other = (f"{side['median']:.3g} {unit}" if side else "" for side in (row["ours"], row["reference"]))
    return (row["name"], ours, other, text, target, {True: "yes", False: "no", None: ""}[row["met"]])


def _run(run: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    chip = f"{run['gpu']}, " if run["gpu"] else ""
    return (
        f"{run['taken'][:16]}, commit {run['commit']}, seed {run['seed']}: {chip}"
        f"{run['cpu']}, {run['cores']} cores, {run['threads']} threads, {run['memory_gb']:g} GB, load {run['load']:g} "
        f"at the start; {versions}"
    )
