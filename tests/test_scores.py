"""Rows, g and the CSV file."""

import math
from dataclasses import replace

import pytest

from unseen.scores import (
    ACCURACY,
    COLUMNS,
    HEAD_LAYER,
    HEAD_NAME,
    INPUT_LAYER,
    Score,
    ScoreTable,
    metric_name,
)
from unseen.selector_table import SELECTORS


def row(layer: int, value: float, *, step: int = 0, split: str = "unseen", probe: str = "nmi") -> Score:
    depth = None if layer == INPUT_LAYER else layer / 2
    name = "input" if layer == INPUT_LAYER else f"blocks.{layer}"
    return Score(step, 0, split, layer, name, depth, probe, value)


def test_g_is_the_best_layer_and_never_the_raw_pixels() -> None:
    table = ScoreTable(
        [row(INPUT_LAYER, 0.9), row(0, 0.2), row(1, 0.6), row(2, 0.5), row(2, 0.99, split="seen")]
    )
    best = table.generalization()
    assert best is not None
    assert (best.g, best.best_layer, best.best_layer_name, best.best_depth, best.num_layers) == (
        0.6,
        1,
        "blocks.1",
        0.5,
        3,
    )


def test_the_head_is_no_layer() -> None:
    head = Score(0, 0, "seen", HEAD_LAYER, HEAD_NAME, None, ACCURACY, 0.99)
    odd = replace(head, split="unseen", probe="nmi")  # nobody writes this row; even so it is no layer
    best = ScoreTable([head, odd, row(0, 0.2), row(1, 0.6)]).generalization()
    assert best is not None
    assert (best.g, best.best_layer, best.num_layers) == (0.6, 1, 2)


def test_ties_go_to_the_shallowest_and_nan_never_wins() -> None:
    best = ScoreTable([row(0, math.nan), row(1, 0.4), row(2, 0.4)]).generalization()
    assert best is not None
    assert best.best_layer == 1
    with pytest.raises(ValueError, match="no layer has a finite NMI"):
        ScoreTable([row(0, math.nan)]).generalization()
    assert ScoreTable().generalization() is None


def test_a_step_probed_again_replaces_itself_and_later_steps_can_be_dropped() -> None:
    table = ScoreTable([row(0, 0.1, step=0), row(0, 0.2, step=10)])
    table.put([row(0, 0.3, step=10)])
    assert [(r.step, r.value) for r in table] == [(0, 0.1), (10, 0.3)]
    table.drop_after(5)
    assert table.steps == [0]


def test_csv_keeps_every_bit(tmp_path) -> None:
    rows = [row(INPUT_LAYER, 1 / 3), row(0, math.nan), replace(row(1, 0.1 + 0.2), layer_name='a,"b"')]
    path = tmp_path / "scores.csv"
    ScoreTable(rows).write(path)
    assert path.read_text().splitlines()[0] == "step,epoch,split,layer,layer_name,depth,probe,value"
    back = list(ScoreTable.read(path))
    assert back[0] == rows[0]
    assert math.isnan(back[1].value)
    assert back[2] == rows[2]


def test_another_file_is_refused(tmp_path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has the columns"):
        ScoreTable.read(path)
    assert COLUMNS == ("step", "epoch", "split", "layer", "layer_name", "depth", "probe", "value")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("0,0,unseen,0,stem,0.0,nmi", r"line 3: not enough values to unpack \(expected 8, got 7\)"),
        ("0,0,unseen,0,stem,0.0,nmi,0.5,1", r"line 3: too many values to unpack \(expected 8"),
        ("0,0,unseen,x,stem,0.0,nmi,0.5", r"line 3: invalid literal for int.*'x'"),
        ("0,0,unseen,0,stem,0.0,nmi,", r"line 3: could not convert string to float: ''"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, line: str, said: str) -> None:
    path = tmp_path / "scores.csv"
    path.write_text(",".join(COLUMNS) + "\n0,0,unseen,0,stem,0.0,nmi,0.5\n" + line + "\n")
    with pytest.raises(ValueError, match=said):
        ScoreTable.read(path)


def test_an_empty_file_is_refused(tmp_path) -> None:
    (tmp_path / "scores.csv").touch()
    with pytest.raises(ValueError, match=r"has the columns \[\]"):
        ScoreTable.read(tmp_path / "scores.csv")


def test_metric_names_sort_by_layer() -> None:
    names = [metric_name("unseen", "nmi", layer, f"blocks.{layer}") for layer in (2, 10)]
    assert names == sorted(names) == ["unseen/nmi/02_blocks.2", "unseen/nmi/10_blocks.10"]
    assert metric_name("seen", "nn1", INPUT_LAYER) == "seen/nn1/input"


def test_a_selector_chooses_the_shallowest_of_the_best_and_no_nan() -> None:
    ratio, silhouette = SELECTORS["nc1"], SELECTORS["silhouette"]
    values = {INPUT_LAYER: 0.0, 0: math.nan, 1: 0.2, 2: 0.2, 3: 0.9}
    rows = [row(layer, value, split="seen", probe="nc1") for layer, value in values.items()]
    table = ScoreTable(
        [*rows, row(0, 0.5, probe="silhouette"), row(1, 0.5, probe="silhouette", split="seen")]
    )
    assert table.choice(ratio) == rows[2]  # the smallest of a ratio
    assert table.choice(silhouette).layer == 0  # of its own split
    assert table.choice(SELECTORS["seen_nmi"]) is None
    assert ScoreTable([row(0, math.nan, probe="silhouette")]).choice(silhouette) is None
    assert ScoreTable().choice(silhouette) is None
