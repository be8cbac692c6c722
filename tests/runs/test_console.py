"""What is printed at the end of a run."""

import io

import pytest
from rich.console import Console

from unseen.runs.console import layer_table
from unseen.scores import ACCURACY, HEAD_LAYER, HEAD_NAME, INPUT_LAYER, INPUT_NAME, Score, ScoreTable


def test_the_head_has_no_line_among_the_layers() -> None:
    rows = [
        Score(4, 1, "seen", HEAD_LAYER, HEAD_NAME, None, ACCURACY, 0.987),
        Score(4, 1, "unseen", INPUT_LAYER, INPUT_NAME, None, "nmi", 0.3),
        Score(4, 1, "unseen", 0, "stem", 0.0, "nmi", 0.2),
        Score(4, 1, "unseen", 1, "blocks.0", 1.0, "nmi", 0.4),
    ]
    table = layer_table(ScoreTable(rows), title="x", k={"seen": 3, "unseen": 5})
    assert list(table.columns[1].cells) == ["input (raw pixels)", "stem", "blocks.0 ★ best"]
    assert list(table.columns[3].cells) == ["0.300", "0.200", "0.400"]
    headings = [str(column.header) for column in table.columns]
    assert [heading for heading in headings if "NN@" in heading and "@1" not in heading] == [
        "unseen\nNN@5",
        "seen\nNN@3",
    ]


@pytest.mark.parametrize(("width", "columns"), [(40, 1), (60, 2), (80, 4), (100, 7), (140, 8)])
def test_a_number_is_never_cut(width: int, columns: int) -> None:
    names = ("input", "backbone.stages.0.blocks.1.with.a.long.name", "stem")
    rows = [
        Score(4, 1, split, layer, names[layer + 1], None if layer < 0 else float(layer), probe, 0.123)
        for split in ("unseen", "seen")
        for layer in (-1, 0, 1)
        for probe in ("nmi", "nn1", "nnk", "linear_probe")
    ]
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    k = {"unseen": 180, "seen": 180}
    console.print(layer_table(ScoreTable(rows), title="vit on digits, step 4", k=k, width=width))
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("0.123") == columns * 3
    assert shown.count("NMI") == min(columns, 2)
    assert "0.…" not in shown
    assert "★ best" in shown
