"""Kill a sweep with SIGKILL at random moments; the same line must finish it with the undisturbed sweep's results.

    python benchmarks/kill_sweep.py                 ten kills of a six-job sweep, three of them DDP over two processes
    python benchmarks/kill_sweep.py --kills 2       quicker

Fixed seed. Prints where each kill hit; exits with 1 if a job was lost, run twice, or found something else.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
JOBS = 6
LINE = (
    "-m", "model=resnet", "trainer=cpu,ddp_cpu", "seed=0,1,2", "trainer.max_steps=40", "trainer.val_check_interval=8",
    "data.train_size=144", "data.test_size=60", "data.unseen_per_class=20", "probe.n_init=1", "resume=true",
)  # fmt: skip


def command(logs: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"UNSEEN_LOG_DIR": str(logs), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "src" / "train.py"), *LINE],
        cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def results(logs: Path) -> dict[str, str]:
    """Return the scores of the finished runs by their configuration's hash."""
    found: dict[str, str] = {}
    for path in logs.rglob("summary.json"):
        summary = json.loads(path.read_text())
        if summary["status"] == "finished":
            assert summary["config_hash"] not in found, f"{path.parent} was finished twice"
            found[summary["config_hash"]] = (path.parent / "scores.csv").read_text()
    return found


def finished_at(logs: Path) -> dict[str, int]:
    """Return when each finished run wrote its summary."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in logs.rglob("summary.json")
        if json.loads(path.read_text())["status"] == "finished"
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    chance = random.Random(settings.seed)
    with tempfile.TemporaryDirectory() as folder:
        calm, rough = Path(folder) / "calm", Path(folder) / "rough"
        began = time.monotonic()
        assert command(calm).wait() == 0, "the undisturbed sweep failed"
        whole = time.monotonic() - began
        print(f"undisturbed: {len(results(calm))} jobs in {whole:.0f} s", flush=True)
        for kill in range(1, settings.kills + 1):
            before = finished_at(rough)
            process = command(rough)
            wait = chance.uniform(0.05, 0.45) * whole
            try:
                code = process.wait(wait)
                print(f"kill {kill}: came too late, the sweep had ended with {code}", flush=True)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                time.sleep(0.5)
                states = [json.loads(path.read_text()) for path in sorted(rough.rglob("summary.json"))]
                told = ", ".join(f"{state['status']} at step {state.get('steps', '-')}" for state in states)
                print(f"kill {kill} after {wait:.1f} s: {told or 'nothing begun'}", flush=True)
            after = finished_at(rough)
            assert all(after.get(path) == stamp for path, stamp in before.items()), (
                "a finished job was run again"
            )
        code = command(rough).wait()
        assert code == 0, f"the last call ended with {code}"
        expected, got = results(calm), results(rough)
        with next(rough.rglob("sweep.csv")).open() as file:
            rows = list(csv.DictReader(file))
        lost, differing = expected.keys() - got.keys(), [key for key in got if got[key] != expected.get(key)]
        print(
            f"after {settings.kills} kills: {len(got)} of {JOBS} jobs finished, {len(lost)} lost, {len(differing)} differ"
        )
        return int(len(got) != JOBS or bool(lost) or bool(differing) or len(rows) != JOBS)


if __name__ == "__main__":
    sys.exit(main())
