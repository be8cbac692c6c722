"""Two real processes that run one script."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def peaks_of_two_ranks() -> Callable[[str], list[int]]:
    """Runs a script of this folder on two ranks and returns the peak of memory in bytes that each prints."""

    def run(script: str) -> list[int]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / "src"), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
            "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        ranks = [
            subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name(script))],
                env=environment | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True,
            )
            for rank in range(2)
        ]  # fmt: skip
        peaks = [int(rank.communicate(timeout=200)[0]) for rank in ranks]
        assert [rank.returncode for rank in ranks] == [0, 0]
        return peaks

    return run
