"""What a process holds while layers are gathered and scored, in real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BUFFER = 192 * 2**20  # pieces of 32 MiB on their way, and the allocator's slack
LAYER = 20_000 * 768


@pytest.mark.slow
def test_a_rank_holds_its_share_and_one_layer(peaks_of_two_ranks: Callable[[str], list[int]]) -> None:
    """At most (L/W + 1) x N x D x 4 bytes and the buffer: L=13, N=20,000, D=768, W=2; all layers would be 799 MB."""
    peaks = peaks_of_two_ranks("gather_memory.py")
    share = (13 / 2 + 1) * LAYER * 4
    assert max(peaks) <= share + BUFFER, f"peaks {peaks} beyond {share:.0f}"


@pytest.mark.slow
def test_three_layers_reach_the_first_rank_at_the_price_of_two(
    peaks_of_two_ranks: Callable[[str], list[int]],
) -> None:
    """Layers that outlive an evaluation: the best, 5, is the second rank's; the first and the last are rank 0's."""
    peaks = peaks_of_two_ranks("kept_layers.py")
    share = (13 / 2 + 1) * LAYER * 4 + 2 * LAYER * 2  # what gathering holds, and two layers in float16
    assert max(peaks) <= share + BUFFER, f"peaks {peaks} beyond {share:.0f}"


@pytest.mark.slow
def test_scoring_holds_the_bank_and_a_few_copies_of_a_layer_for_each_worker() -> None:
    """(L + 16 workers) x N x D x 4 bytes and the blocks of distances; for 50,000 x 768 and two workers 7 GB.

    A whole matrix of distances would be 144 MB beyond the bank, for each worker.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("score_memory.py")), "2"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    bound = (5 + 16 * 2) * 6_000 * 48 * 4 + BUFFER
    assert int(done.stdout) <= bound, f"{done.stdout} beyond {bound}"
