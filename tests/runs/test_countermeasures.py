"""Replayed images are drawn evenly; countermeasures that mean nothing are refused, the others are in the label."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from unseen.runs.transfer.countermeasures import check_countermeasures, check_trained_encoder, technique_label
from unseen.runs.transfer.replay import drawn

FULL, ADAPTER, PROBE = (
    {"_target_": f"unseen.encoders.tuning.{name}"} for name in ("full", "adapter", "probe")
)


def test_draws_go_round_the_tasks_and_through_all_images() -> None:
    sizes = (2, 3, 7)
    steps = [drawn(first, 4, sizes, seed=0) for first in range(0, 84, 4)]  # 84 draws, 28 of each task
    assert all(max(map(len, step)) - min(map(len, step)) <= 1 for step in steps)
    for task, size in enumerate(sizes):
        order = [image for step in steps for image in step[task]]
        assert len(order) == 28
        assert Counter(order[: size * (28 // size)]) == dict.fromkeys(range(size), 28 // size)
    assert steps[3] == drawn(12, 4, sizes, seed=0)  # a step knows no earlier one
    assert steps != [drawn(first, 4, sizes, seed=1) for first in range(0, 84, 4)]
    assert drawn(5, 0, sizes, seed=0) == [[], [], []]


@pytest.mark.parametrize(
    ("changed", "others", "sentence"),
    [
        (
            {"l2_to_init": 0.1, "measure_only": True},
            ("b",),
            "measure_only=true does not train, so it does not read l2_to_init",
        ),
        ({"l2_to_init": 0.1, "technique": ADAPTER}, (), "l2_to_init=0.1: tuning=own trains new layers"),
        ({"l2_to_init": 0.1, "technique": PROBE}, (), "which have no zero-shot weights to stay near"),
        ({"alphas": [0.5], "measure_only": True}, (), "so it does not read alphas"),
        ({"alphas": [0.5], "technique": ADAPTER}, (), "which have no zero-shot weights to interpolate with"),
        (
            {"alphas": [0.5], "technique": FULL | {"accumulate": True}},
            (),
            "the weight drifts with every forward",
        ),
        ({"replay": 0.5, "technique": PROBE}, ("b",), "replay=0.5: tuning=own leaves every other task"),
        ({"replay": 0.5}, (), r"name one at least, others=\[\.\.\.\]"),
        ({"replay": 0.1, "batch_size": 4}, ("b",), "replay=0.1 of batch_size=4 is no image"),
    ],
)
def test_what_means_nothing_is_refused(
    changed: dict[str, Any], others: tuple[str, ...], sentence: str
) -> None:
    plain = {"l2_to_init": 0.0, "replay": 0.0, "alphas": [], "measure_only": False}
    plain |= {"technique": FULL, "batch_size": 64}
    check_countermeasures(plain, "full", others)
    with pytest.raises(ValueError, match=sentence):
        check_countermeasures(plain | changed, "own", others)


def test_a_technique_of_ones_own_that_adds_layers_is_refused() -> None:
    loaded, plain = object(), {"l2_to_init": 0.0, "alphas": [0.5]}
    check_trained_encoder(loaded, loaded, plain, "own")
    check_trained_encoder(loaded, object(), plain | {"alphas": []}, "own")
    with pytest.raises(ValueError, match=r"alphas=\[0.5\]: tuning=own trains new layers"):
        check_trained_encoder(loaded, object(), plain, "own")


def test_a_technique_is_called_after_its_countermeasures() -> None:
    label = technique_label("full", {"l2_to_init": 1e-3, "replay": 0.0})
    assert label == "full + L2 0.001"
