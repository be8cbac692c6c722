"""What is printed at the end of a run."""

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
