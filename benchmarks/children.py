"""Fresh processes: what a user's command costs includes its imports."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import ROOT


class ChildError(RuntimeError):
    """A child process failed; the message is the end of what it wrote."""


def environment(**extra: str) -> dict[str, str]:
    """Return the environment without settings that could change a run."""
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("WANDB_", "UNSEEN_", "HYDRA_"))
    }
    return clean | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", **extra}


def run_child(arguments: Sequence[str], **extra: str) -> float:
    """Run `python ARGUMENTS` in the project's folder; return its seconds from start to end.

    Raises:
        ChildError: It ended with an error.
    """
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(**extra),
        capture_output=True,
        text=True,
        check=False,
    )
    took = time.perf_counter() - began
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise ChildError(f"{' '.join(arguments[:3])} ended with {done.returncode}: {' '.join(tail)}")
    return took


def run_until(arguments: Sequence[str], path: Path, *, limit: float, **extra: str) -> float:
    """Run `python ARGUMENTS` until it writes `path`, then end it; return when it was started, as time.time().

    Raises:
        ChildError: It ended first, or took longer than `limit` seconds.
    """
    began = time.time()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(**extra),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not path.exists():
            if process.poll() is not None:
                raise ChildError(
                    f"{' '.join(arguments[:2])} ended with {process.returncode} before its first step"
                )
            if time.time() - began > limit:
                raise ChildError(f"{' '.join(arguments[:2])} made no step in {limit:.0f} s")
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    return began
