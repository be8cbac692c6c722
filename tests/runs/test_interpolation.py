"""The sweep over weights between zero-shot and fine-tuned: its ends are what was tested, its rows by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unseen.encoders.forgetting import copied
from unseen.encoders.low_rank import LowRank
from unseen.runs.transfer.interpolation import COLUMNS, Curve, decisions_between


def linear() -> Any:
    torch.manual_seed(0)
    return nn.Linear(6, 5)


def tuned(technique: str) -> tuple[Any, dict[str, Tensor], Tensor, Tensor]:
    """A layer after training, its weights before, and its outputs before and after."""
    model, inputs = linear(), torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
    zero_shot, before = copied(model), model(inputs)
    if technique == "lora":
        update = LowRank(model.weight, stacked=1, changed=(0,), rank=2, scale=0.2, accumulate=False)
        parametrize.register_parametrization(model, "weight", update)
        nn.init.normal_(model.parametrizations.weight[0].b, std=50)
    else:
        nn.init.normal_(model.weight)
    return model, zero_shot, before, model(inputs)


@pytest.mark.parametrize("technique", ["full", "lora"])
def test_the_ends_are_exactly_what_was_tested(technique: str) -> None:
    model, zero_shot, before, after = tuned(technique)
    inputs = torch.randn(400, 6, generator=torch.Generator().manual_seed(1))
    assert not torch.equal(before.argmax(1), after.argmax(1))
    found = dict(decisions_between(model, zero_shot, [1, 0.25, 0], lambda: [model(inputs)]))
    assert list(found) == [0, 0.25, 1]
    assert torch.equal(found[0][0], before)
    assert torch.equal(found[1][0], after)
    torch.testing.assert_close(
        found[0.25][0], 0.75 * before + 0.25 * after
    )  # one layer: linear in its weights
    assert torch.equal(model(inputs), after)


def test_rows_by_hand(tmp_path: Path) -> None:
    def right(*values: int) -> Tensor:
        return torch.tensor(values, dtype=torch.bool)

    zero_shot = [right(1, 0, 0, 0), right(1, 1), right(1, 1, 1, 0)]
    curve = Curve(tmp_path, "clip", "full + L2 0.1", ["a", "b", "c"], zero_shot)
    curve.add(0.0, zero_shot)
    curve.add(0.5, [right(1, 1, 1, 0), right(1, 0), right(0, 1, 1, 0)])
    with (tmp_path / "interpolation.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [(row["alpha"], row["tested_on"], row["role"], row["n"]) for row in rows[4:]] == [
        ("0.5", "a", "task", "4"),
        ("0.5", "b", "other", "2"),
        ("0.5", "c", "other", "4"),
        ("0.5", "other tasks", "mean of others", "2"),
    ]
    assert {(row["encoder"], row["trained_on"], row["technique"]) for row in rows} == {
        ("clip", "a", "full + L2 0.1")
    }
    of_task, mean = rows[4], rows[7]
    # 2 of 4 images gained; with half an image added to each outcome 2 more of 6
    middle, half = 2 / 6, 1.959964 * math.sqrt(3 - 4 / 6) / 6
    assert [float(of_task[name]) for name in ("accuracy", "change", "change_low", "change_high")] == (
        pytest.approx([0.75, 0.5, middle - half, middle + half])
    )
    # others: .5 and .5, and changes of -.5 and -.25
    assert (float(mean["accuracy"]), float(mean["change"])) == (0.5, -0.375)
    assert {rows[0][name] for name in ("change", "change_low", "change_high")} == {"0.0"}  # the same weights
    assert (mean["accuracy_low"], mean["change_low"]) == ("", "")
    assert curve.facts() == {"alphas": [0, 0.5], "accuracy": [0.25, 0.75], "mean_change": [0, -0.375]}


def test_without_other_tasks_there_is_no_mean(tmp_path: Path) -> None:
    curve = Curve(tmp_path, "clip", "full", ["a"], [torch.tensor([True, False])])
    curve.add(1.0, [torch.tensor([True, True])])
    assert curve.facts() == {"alphas": [1], "accuracy": [1]}
    assert "mean of others" not in (tmp_path / "interpolation.csv").read_text()
