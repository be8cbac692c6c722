"""Gathering by index in one process; the ranks' own test runs real processes."""

import pytest
import torch

from unseen.distributed import ProcessGroup, check_places, share_out


def test_rows_come_back_in_index_order() -> None:
    rows = torch.arange(12.0).reshape(4, 3)
    gathered = ProcessGroup().gather_rows(rows, [torch.tensor([2, 0, 3, 1])], 3, owner=0)
    assert gathered is not None
    assert gathered.tolist() == rows[[1, 3, 0, 2]].tolist()


@pytest.mark.parametrize(
    ("places", "says"),
    [([[0, 1], [1]], "1 arrived twice and 1 never"), ([[0, 1], []], "0 arrived twice and 1 never")],
)
def test_every_row_is_filled_exactly_once(places: list[list[int]], says: str) -> None:
    check_places([torch.tensor([2, 0]), torch.tensor([1])], 3)
    with pytest.raises(RuntimeError, match=says):
        check_places([torch.tensor(some, dtype=torch.long) for some in places], 3)


def test_the_longest_layers_are_shared_out_first() -> None:
    """A ResNet's layers over two ranks: the widest alone takes as long as the others together."""
    assert share_out([64, 256, 512, 1024, 2048], 2) == [1, 1, 1, 1, 0]
    assert share_out([768] * 13, 3) == [layer % 3 for layer in range(13)]
    assert share_out([5, 5], 4) == [0, 1]
