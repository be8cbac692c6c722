"""What commands cost, and that they survive: `startup`, `sweep_overhead`, `busy_machine`, `kill_sweep`."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback

from benchmarks.measure import (
    ROOT,
    CannotMeasure,
    Row,
    Settings,
    child_environment,
    in_turns,
    run_child,
    run_ours,
)

SMALL = ("data.train_size=144", "data.test_size=60", "data.unseen_per_class=20", "probe.n_init=1")
GONE = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


class FirstStep(Callback):
    """Writes the time when the first training step has ended."""

    def __init__(self, out: str) -> None:
        self._out = Path(out)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 1 and not self._out.exists():
            partial = self._out.with_suffix(".part")
            partial.write_text(str(time.time()), encoding="ascii")
            partial.replace(self._out)


def startup(settings: Settings) -> list[Row]:
    """Return the rows of --help and of the first training step."""
    sides = {"--help": lambda: run_child(["src/train.py", "--help"]), "first step": first_step}
    took = in_turns(sides, settings.rounds, settings.report, "startup")
    return [
        Row("help", "python src/train.py --help, from start to end", took["--help"], target=3.0),
        Row(
            "first_step",
            "python src/train.py, until the first training step has ended; the evaluation at step 0 is in it",
            took["first step"],
            target=12.0,
        ),
    ]


def first_step(limit: float = 180.0) -> float:
    """Return the seconds from the default command to the end of its first training step."""
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        out = Path(folder) / "first"
        added = ["+callbacks.first._target_=benchmarks.commands.FirstStep", f"+callbacks.first.out={out}"]
        environment = child_environment(UNSEEN_LOG_DIR=folder, UNSEEN_DATA_DIR=folder)
        began = time.time()
        process = subprocess.Popen(
            [sys.executable, "src/train.py", *added], cwd=ROOT, env=environment, **GONE
        )
        try:
            while not out.exists():
                if process.poll() is not None or time.time() - began > limit:
                    raise CannotMeasure(f"src/train.py made no training step in {time.time() - began:.0f} s")
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
        return float(out.read_text(encoding="ascii")) - began


def sweep_overhead(settings: Settings) -> list[Row]:
    """Return the row of what a sweep adds to each of its jobs: time between their ends less their own seconds."""
    jobs = settings.pick(20, 6, 3)
    command = [
        "-m",
        "model=resnet",
        f"seed={','.join(map(str, range(jobs)))}",
        "trainer.max_steps=1",
        "probe.at_start=false",
    ]
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        run_child(["src/train.py", *command, *SMALL], UNSEEN_LOG_DIR=folder, UNSEEN_DATA_DIR=folder)
        paths = sorted(Path(folder).rglob("summary.json"), key=lambda path: path.stat().st_mtime_ns)
        ends = [path.stat().st_mtime for path in paths]
        own = [json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in paths]
    added = [later - earlier - work for earlier, later, work in zip(ends, ends[1:], own[1:], strict=False)]
    return [Row("sweep_overhead", "what a sweep adds to each one-step job of its own process", added)]


def image_cache(settings: Settings) -> list[Row]:
    """Return the row of a job that finds its decoded images in the cache against the same job that decodes them."""
    train_size = settings.pick("null", "null", 72)
    run = [
        "data=calligraphy", f"data.root={settings.calligraphy()}", f"data.train_size={train_size}", "data.test_size=60",
        "data.unseen_per_class=20", "probe.n_init=1", "probe.at_start=false", "trainer=cpu", "trainer.max_steps=1",
    ]  # fmt: skip
    cached, decoded = [], []
    for number in range(settings.rounds):
        with tempfile.TemporaryDirectory(prefix="unseen-bench-") as data:
            decoded.append(run_ours(run, data)[1]["seconds"])
            cached.append(run_ours(run, data)[1]["seconds"])
        settings.report(
            f"image_cache, round {number + 1} of {settings.rounds}: {cached[-1]:.3g} s, {decoded[-1]:.3g} s"
        )
    what = "summary.json's seconds of a one-step job on all training images of calligraphy, from the cache against decoded"
    return [Row("image_cache", what, cached, decoded)]


# ------------------------------------------------------------------ another process on the machine
def busy_machine(settings: Settings) -> list[Row]:
    """Return the rows of a run with our waiting of OpenMP threads against OpenMP's default, alone and beside another."""
    steps = settings.pick(20, 10, 1)
    run = ["trainer=cpu", f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps}",
           "probe.at_start=false", "probe.n_init=1"]  # fmt: skip

    sides = {
        "ours": lambda: run_ours(run)[0],
        "default": lambda: run_ours(run, GOMP_SPINCOUNT="300000")[0],  # libgomp's own number
    }
    alone = in_turns(sides, settings.rounds, settings.report, "alone")
    with _other_process():
        beside = in_turns(sides, settings.rounds, settings.report, "beside another process")
    what = f"python src/train.py, {steps} steps, threads that spin shortly against OpenMP's default, "
    return [
        Row("busy_machine/alone", what + "alone", alone["ours"], alone["default"]),
        Row(
            "busy_machine/beside_another",
            what + "beside a process on all cores",
            beside["ours"],
            beside["default"],
        ),
    ]


@contextmanager
def _other_process() -> Iterator[None]:
    """Keep all cores busy with another process's torch, which has OpenMP's default."""
    code = "import torch\na = torch.randn(512, 512)\nwhile True: a = torch.tanh(a @ a)"
    process = subprocess.Popen([sys.executable, "-c", code])
    time.sleep(3)  # to load torch
    try:
        yield
    finally:
        process.kill()
        process.wait()


# ------------------------------------------------------------------ kills
KILLED = ("-m", "model=resnet", "trainer=cpu,ddp_cpu", "seed=0,1,2", *SMALL, "resume=true")  # fmt: skip
JOBS = 6


def kill_sweep(settings: Settings) -> list[Row]:
    """Kill a sweep, three of its six jobs DDP, with SIGKILL at random moments; the same line must finish it.

    The row's value is the number of jobs that were finished once, with the scores of an undisturbed sweep.
    """
    kills, steps = settings.pick((10, 40), (3, 16), (1, 4))
    chance = random.Random(settings.seed)
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        calm, killed = Path(folder) / "calm", Path(folder) / "killed"
        command = [*KILLED, f"trainer.max_steps={steps}", f"trainer.val_check_interval={steps // 4}"]
        began = time.monotonic()
        if _sweep(command, calm).wait():
            raise CannotMeasure("the undisturbed sweep failed")
        whole = time.monotonic() - began
        for kill in range(kills):
            before = _finished(killed)
            process = _sweep(command, killed)
            try:
                process.wait(chance.uniform(0.05, 0.45) * whole)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                time.sleep(0.5)  # for what was being written
            settings.report(
                f"kill_sweep, kill {kill + 1} of {kills}: {len(_finished(killed))} of {JOBS} jobs finished"
            )
            if not before.items() <= _finished(killed).items():
                raise CannotMeasure("a finished job was run again")
        code = _sweep(command, killed).wait()
        expected, got = (sorted(scores for _, scores in _finished(logs).values()) for logs in (calm, killed))
        with next(killed.rglob("sweep.csv")).open(encoding="utf-8") as file:
            listed = len(list(csv.DictReader(file)))
    equal = sum(one == other for one, other in zip(expected, got, strict=False))
    check = f"{len(got)} finished, {listed} in sweep.csv, {equal} with equal scores, exit code {code}"
    return [Row("kill_sweep", f"jobs of {JOBS} that end as if nothing had been after {kills} SIGKILLs", [equal], unit="jobs",
                check=check)]  # fmt: skip


def _sweep(command: list[str], logs: Path) -> subprocess.Popen[bytes]:
    environment = child_environment(
        UNSEEN_LOG_DIR=str(logs), UNSEEN_DATA_DIR=str(logs.parent / "data"), OMP_NUM_THREADS="1"
    )
    return subprocess.Popen(
        [sys.executable, "src/train.py", *command], cwd=ROOT, env=environment, start_new_session=True, **GONE
    )


def _finished(logs: Path) -> dict[str, tuple[int, str]]:
    """Return when each finished run wrote its summary, and its scores."""
    return {
        str(path.parent.relative_to(logs)): (
            path.stat().st_mtime_ns,
            (path.parent / "scores.csv").read_text(encoding="utf-8"),
        )
        for path in logs.rglob("summary.json")
        if json.loads(path.read_text(encoding="utf-8"))["status"] == "finished"
    }
