"""What a rank holds while the layers are gathered, on two real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUFFER = 192 * 2**20  # pieces of 32 MiB on their way, and the allocator's slack


@pytest.mark.slow
def test_a_rank_holds_its_share_and_one_layer() -> None:
    """At most (L/W + 1) x N x D x 4 bytes and the buffer: L=13, N=20,000, D=768, W=2; all layers would be 799 MB."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT / "src"), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    ranks = [
        subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("gather_memory.py"))],
            env=environment | {"RANK": str(rank)}, stdout=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    peaks = [int(rank.communicate(timeout=200)[0]) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0]
    share = (13 / 2 + 1) * 20_000 * 768 * 4
    assert max(peaks) <= share + BUFFER, f"peaks {peaks} beyond {share:.0f}"
