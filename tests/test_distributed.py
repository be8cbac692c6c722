"""Gathering by index in one process; the ranks' own test runs real processes."""

import pytest
import torch

from unseen.distributed import ProcessGroup


def test_rows_come_back_in_index_order() -> None:
    rows = torch.arange(12.0).reshape(4, 3)
    gathered = ProcessGroup().gather_rows(torch.tensor([2, 0, 3, 1]), rows, 4, owner=0)
    assert gathered is not None
    assert gathered.tolist() == rows[[1, 3, 0, 2]].tolist()


@pytest.mark.parametrize(
    ("indices", "says"), [([0, 1, 1], "1 arrived twice and 1 never"), ([0, 1], "0 arrived twice and 1 never")]
)
def test_every_row_is_filled_exactly_once(indices: list[int], says: str) -> None:
    with pytest.raises(RuntimeError, match=says):
        ProcessGroup().gather_rows(torch.tensor(indices), torch.zeros(len(indices), 2), 3, owner=0)
