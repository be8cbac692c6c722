"""Layers that outlive an evaluation reach rank 0 exactly and cost two of them in memory, on two real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUFFER = 192 * 2**20  # as in the gather alone


@pytest.mark.slow
def test_three_layers_reach_the_first_rank_at_the_price_of_two() -> None:
    """The best layer, 5, is the second rank's; the first and the last are rank 0's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    ranks = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("kept_layers.py"))],
            env=environment | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    peaks = [int(rank.communicate(timeout=200)[0]) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    layer = 20_000 * 768
    share = (13 / 2 + 1) * layer * 4 + 2 * layer * 2  # what gathering holds, and two layers in float16
    assert max(peaks) <= share + BUFFER, f"peaks {peaks} beyond {share:.0f}"
