"""The promise: 500 run folders in 20 seconds, one gigabyte, a page of five megabytes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from reporting.synthetic import LAYERS, Made, make_run

PROJECT = Path(__file__).parents[2]
SECONDS = 20
BUSY = 4  # a machine that does other work at the same time
GIGABYTE = 1 << 20  # in kilobytes


@pytest.mark.slow
def test_five_hundred_runs(tmp_path: Path) -> None:
    rates = (1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 1e-5, 5e-6)
    grid = [
        (data, model, rate, seed)
        for data in ("calligraphy", "cifar100")
        for model in LAYERS
        for rate in rates
        for seed in range(5)
    ]
    for number, (data, model, rate, seed) in enumerate(grid[:500]):
        settings = (("model.optimizer.lr", rate),)
        steps = (0, 100, 200, 300, 400, 500)
        made = Made(model=model, data=data, seed=seed, steps=steps, settings=settings, controls=True)
        make_run(tmp_path / "runs" / f"{number:03d}", made)
    line = [
        sys.executable,
        str(PROJECT / "src" / "report.py"),
        f"runs={tmp_path / 'runs'}",
        f"out={tmp_path / 'out'}",
    ]
    began = time.monotonic()
    with (tmp_path / "screen").open("w") as screen:
        process = subprocess.Popen(
            line, stdout=screen, stderr=subprocess.STDOUT, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _peak_kilobytes(process.pid))
            time.sleep(0.05)
    seconds = time.monotonic() - began
    output = (tmp_path / "screen").read_text()
    assert process.returncode == 0, output
    assert "500 runs" in output
    assert seconds < SECONDS * BUSY
    assert 50_000 < peak < GIGABYTE
    assert (tmp_path / "out" / "index.html").stat().st_size < 5e6


def _peak_kilobytes(pid: int) -> int:
    """The process's own high-water mark; getrusage would count what its parent held when it was forked."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
