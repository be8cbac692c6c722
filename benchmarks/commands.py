"""What commands cost, and that they survive: startup, sweep_overhead, image_cache, busy_machine, kill_sweep."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
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
    report,
    run_child,
    run_ours,
)

DIGITS = ("data=digits", "model=swin")
SMALL = ("data.train_size=144", "data.test_size=60", "data.unseen_per_class=20", "probe.n_init=1")


class FirstStep(Callback):
    """Writes the time when the first training step has ended."""

    def __init__(self, out: str) -> None:
        self._out = Path(out)

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        if trainer.global_step == 1:
            partial = self._out.with_suffix(".part")
            partial.write_text(str(time.time()), encoding="ascii")
            partial.replace(self._out)


def startup(settings: Settings) -> list[Row]:
    """Return the rows of --help and of the first training step."""
    sides = {"--help": lambda: run_child("src/train.py", "--help"), "first step": _first_step}
    helps, firsts = in_turns("startup", settings.rounds, sides).values()
    what = "python src/train.py data=digits model=swin, until its first training step has ended; the evaluation at step 0 is in it"
    return [
        Row("help", "python src/train.py --help, from start to end", helps, target=3.0),
        Row("first_step", what, firsts, target=12.0),
    ]


def _first_step() -> float:
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        out, began = Path(folder) / "first", time.time()
        process = _start(
            folder,
            *DIGITS,
            "+callbacks.first._target_=benchmarks.commands.FirstStep",
            f"+callbacks.first.out={out}",
        )
        try:
            while not out.exists():
                if process.poll() is not None:
                    raise CannotMeasure(
                        f"src/train.py ended with {process.returncode} before its first training step"
                    )
                time.sleep(0.02)
        finally:
            _kill(process)
        return float(out.read_text(encoding="ascii")) - began


def _start(logs: object, *arguments: str, **extra: str) -> subprocess.Popen[bytes]:
    """Start our command in a process group of its own."""
    environment = child_environment(UNSEEN_LOG_DIR=str(logs), UNSEEN_DATA_DIR=str(logs), **extra)
    command, null = [sys.executable, "src/train.py", *arguments], subprocess.DEVNULL
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=null, stderr=null, start_new_session=True
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and its group at once; one that has ended is left alone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def sweep_overhead(settings: Settings) -> list[Row]:
    """Return the row of what a sweep adds to each job: the time between two ends less the job's own seconds."""
    seeds = ",".join(map(str, range(settings.pick(20, 6, 3))))
    job = f"-m data=digits model=resnet seed={seeds} trainer.max_steps=1 probe.at_start=false".split()
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        run_child("src/train.py", *job, *SMALL, UNSEEN_LOG_DIR=folder, UNSEEN_DATA_DIR=folder)
        paths = sorted(Path(folder).rglob("summary.json"), key=lambda path: path.stat().st_mtime_ns)
        ends = [path.stat().st_mtime for path in paths]
        own = [json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in paths]
    added = [later - earlier - work for earlier, later, work in zip(ends, ends[1:], own[1:], strict=False)]
    return [Row("sweep_overhead", "what a sweep adds to each one-step job of its own process", added)]


def image_cache(settings: Settings) -> list[Row]:
    """Return the row of a one-step job with cached images against the same job that decodes and caches them."""
    size = settings.pick("null", "null", 72)
    few = ["data=calligraphy", f"data.root={settings.calligraphy()}", *SMALL[1:], f"data.train_size={size}"]
    few += ["trainer=cpu", "trainer.max_steps=1", "probe.at_start=false"]
    cached, decoded = [], []
    for number in range(settings.rounds):
        with tempfile.TemporaryDirectory(prefix="unseen-bench-") as data:
            for times in (decoded, cached):
                times.append(run_ours(*few, data_dir=data)[1]["seconds"])
        report(
            f"image_cache, round {number + 1} of {settings.rounds}: {cached[-1]:.3g} s, {decoded[-1]:.3g} s"
        )
    return [
        Row(
            "image_cache",
            "a one-step job on cached images against one that decodes 9,100 of them",
            cached,
            decoded,
        )
    ]


def busy_machine(settings: Settings) -> list[Row]:
    """Return the rows of how our OpenMP threads wait against OpenMP's default, alone and beside another process."""
    steps = settings.pick(20, 10, 1)
    job = f"trainer=cpu trainer.max_steps={steps} trainer.val_check_interval={steps} probe.at_start=false".split()
    job += DIGITS
    default = {"GOMP_SPINCOUNT": "300000"}  # libgomp's own
    sides = {"ours": lambda: run_ours(*job)[0], "default": lambda: run_ours(*job, **default)[0]}
    alone = in_turns("busy_machine/alone", settings.rounds, sides)
    other = "import torch\na = torch.randn(512, 512)\nwhile True: a = torch.tanh(a @ a)"
    process = subprocess.Popen([sys.executable, "-c", other], env=child_environment(), start_new_session=True)
    try:
        time.sleep(3)  # to load torch
        beside = in_turns("busy_machine/beside_another", settings.rounds, sides)
    finally:
        _kill(process)
    what = f"python src/train.py data=digits model=swin, {steps} steps, our short spin of waiting threads against OpenMP's long one, "
    return [
        Row("busy_machine/alone", f"{what}alone", *alone.values()),
        Row("busy_machine/beside_another", f"{what}beside a process on all cores", *beside.values()),
    ]


def kill_sweep(settings: Settings) -> list[Row]:
    """Kill a sweep, three of its six jobs DDP, with SIGKILL at random moments; the same line must finish it.

    The row's value is the number of jobs that end with the scores of an undisturbed sweep.
    """
    kills, steps = settings.pick((10, 40), (3, 16), (1, 4))
    sweep = f"-m data=digits model=resnet trainer=cpu,ddp_cpu seed=0,1,2 resume=true trainer.max_steps={steps}".split()
    sweep += [f"trainer.val_check_interval={steps // 4}", *SMALL]
    chance = random.Random(settings.seed)
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        calm, killed = Path(folder) / "calm", Path(folder) / "killed"
        began = time.monotonic()
        _finish(_start(calm, *sweep, OMP_NUM_THREADS="1"))
        whole = time.monotonic() - began
        for kill in range(kills):
            before = _finished(killed)
            _finish(_start(killed, *sweep, OMP_NUM_THREADS="1"), chance.uniform(0.05, 0.45) * whole)
            time.sleep(0.5)  # for what the system still writes
            report(f"kill_sweep, kill {kill + 1} of {kills}: {len(_finished(killed))} of 6 jobs finished")
            if not before.items() <= _finished(killed).items():
                raise CannotMeasure("a finished job was run again")
        code = _finish(_start(killed, *sweep, OMP_NUM_THREADS="1"))
        expected, got = (sorted(scores for _, scores in _finished(logs).values()) for logs in (calm, killed))
    equal = sum(one == other for one, other in zip(expected, got, strict=False))
    check = f"{len(expected)} finished in the undisturbed sweep and {len(got)} in the other, whose exit code is {code}"
    return [
        Row(
            "kill_sweep",
            f"jobs of 6 with the undisturbed scores after {kills} SIGKILLs",
            [equal],
            unit="jobs",
            check=check,
        )
    ]


def _finish(process: subprocess.Popen[bytes], limit: float | None = None) -> int | None:
    """Wait for a process; after so many seconds, or when interrupted, kill it. Return its exit code."""
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _kill(process)


def _finished(logs: Path) -> dict[str, tuple[int, str]]:
    """Return when each finished run wrote its summary, and its scores."""
    paths = [
        path for path in logs.rglob("summary.json") if json.loads(path.read_text())["status"] == "finished"
    ]
    return {
        str(path.parent.relative_to(logs)): (
            path.stat().st_mtime_ns,
            (path.parent / "scores.csv").read_text(),
        )
        for path in paths
    }
