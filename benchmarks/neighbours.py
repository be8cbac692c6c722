"""What another torch process on the machine costs a run, and what a short wait at barriers costs a run that is alone.

    python benchmarks/neighbours.py                       3 rounds, some minutes
    python benchmarks/neighbours.py --spin 1000           also with a short spin

Each round runs the same training in turns: alone and beside a neighbour, with the program's own setting (threads spin
shortly while they wait) and with OpenMP's default (a long spin). The neighbour multiplies matrices on all cores for as
long as the run lasts, at normal priority and with OpenMP's default. CPU seconds are those of the run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUN = (
    "data=digits", "model=swin", "trainer.max_steps=20", "trainer.val_check_interval=20", "probe.at_start=false",
)  # fmt: skip
NEIGHBOUR = "import torch\na = torch.randn(512, 512)\nwhile True: a = torch.tanh(a @ a)"
DEFAULT_SPIN = "300000"  # what libgomp does when nothing is set


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spin", nargs="*", default=[], help="further values of GOMP_SPINCOUNT")
    arguments = parser.parse_args()
    settings: dict[str, dict[str, str]] = {"ours": {}, "OpenMP's default": {"GOMP_SPINCOUNT": DEFAULT_SPIN}}
    settings |= {f"GOMP_SPINCOUNT={spin}": {"GOMP_SPINCOUNT": spin} for spin in arguments.spin}
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_", "KMP_"))
    }
    took: dict[tuple[str, str], list[tuple[float, float]]] = {}
    load = os.getloadavg()[0]
    for _ in range(arguments.rounds):
        for where in ("alone", "beside one"):
            for name, extra in settings.items():
                with neighbour(clean) if where == "beside one" else nothing():
                    took.setdefault((where, name), []).append(run(clean | extra))
    print(f"{datetime.now():%Y-%m-%d}, {os.cpu_count()} cores, load average before {load:.1f}")
    print("| | setting | seconds (min to max) | CPU seconds |\n|---|---|---|---|")
    for (where, name), times in took.items():
        walls, cpus = zip(*times, strict=True)
        print(
            f"| {where} | {name} | {statistics.median(walls):.1f} ({min(walls):.1f} to {max(walls):.1f}) "
            f"| {statistics.median(cpus):.1f} |"
        )


def run(environment: dict[str, str]) -> tuple[float, float]:
    """Train; return the seconds that it took and the CPU seconds that it used."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "src" / "train.py"), *RUN],
            cwd=ROOT, env=environment | {"UNSEEN_LOG_DIR": folder}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.stderr is not None
        if process.returncode:
            sys.exit(process.stderr.read().decode(errors="replace"))
        process.stderr.close()
    return wall, used.ru_utime + used.ru_stime


@contextmanager
def neighbour(environment: dict[str, str]) -> Iterator[None]:
    """Keep all cores busy with another process's torch."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env=environment)
    time.sleep(3)  # to load torch
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def nothing() -> Iterator[None]:
    yield


if __name__ == "__main__":
    main()
