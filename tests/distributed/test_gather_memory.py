"""What a rank holds while the layers are gathered, on two real processes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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
