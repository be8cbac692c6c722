"""What a sweep adds to a job beyond the job's own work: the median over one-step jobs.

    python benchmarks/sweep_startup.py              20 jobs

A job's own work is what it reports as its seconds (data, weights, training, probing). The rest of the time between
the starts of two jobs is the sweep's: fork, composing, imports that were not shared, writing the table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=20)
    jobs = parser.parse_args().jobs
    seeds = ",".join(str(seed) for seed in range(jobs))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, str(ROOT / "src" / "train.py"), "-m", "model=resnet", f"seed={seeds}", "trainer.max_steps=1",
             "probe.at_start=false", "data.train_size=72", "data.test_size=60", "data.unseen_per_class=20", "probe.n_init=1"],
            cwd=ROOT, env=os.environ | {"UNSEEN_LOG_DIR": folder}, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        ends, own = [], []
        for path in sorted(Path(folder).rglob("summary.json"), key=lambda path: path.stat().st_mtime_ns):
            ends.append(path.stat().st_mtime)
            own.append(json.loads(path.read_text())["seconds"])
    added = [later - earlier - work for earlier, later, work in zip(ends, ends[1:], own[1:], strict=False)]
    print(
        f"{datetime.now():%Y-%m-%d}, {os.cpu_count()} cores, {len(added)} jobs: own work {statistics.median(own):.2f} s, "
        f"added by the sweep {statistics.median(added):.2f} s (median; {min(added):.2f} to {max(added):.2f})"
    )


if __name__ == "__main__":
    main()
