"""What is printed at the end of a run."""

import io
import sys
import warnings
from pathlib import Path

import pytest
from rich.console import Console

from unseen.callbacks.layer_scores import naming
from unseen.probes import ProbeWarning, linear_probe_accuracy
from unseen.runs.console import quiet_libraries
from unseen.runs.layer_table import closing_line, layer_table
from unseen.runs.sweeps.progress import StatusLine
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


@pytest.mark.parametrize(("width", "columns"), [(40, 1), (60, 2), (80, 4), (100, 6), (140, 10)])
def test_a_number_is_never_cut(width: int, columns: int) -> None:
    names = ("input", "backbone.stages.0.blocks.1.with.a.long.name", "stem")
    rows = [
        Score(4, 1, split, layer, names[layer + 1], None if layer < 0 else float(layer), probe, 0.123)
        for split in ("unseen", "seen")
        for layer in (-1, 0, 1)
        for probe in ("nmi", "nn1", "nnk", "linear_probe", "r_precision")
    ]
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    k = {"unseen": 180, "seen": 180}
    console.print(layer_table(ScoreTable(rows), title="vit on digits, step 4", k=k, width=width))
    shown = out.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert shown.count("0.123") == columns * 3
    assert shown.count("NMI") == 1 + (columns > 4)
    assert ("NN@180" in shown) is (columns > 8)
    assert ("precision" in shown) is (columns >= 4)
    assert "0.…" not in shown
    assert "★ best" in shown


@pytest.mark.parametrize(("pixels", "says"), [(0.3, "is above them"), (0.4, "is not above them")])
def test_the_answer_has_what_it_is_to_be_held_against(pixels: float, says: str) -> None:
    rows = [
        Score(4, 1, "unseen", INPUT_LAYER, INPUT_NAME, None, "nmi", pixels),
        Score(4, 1, "unseen", 0, "stem", 0.0, "nmi", 0.4),
        Score(4, 1, "unseen", 0, "stem", 0.0, "nmi_chance", 0.01),
        Score(4, 1, "unseen", 1, "blocks.0", 1.0, "nmi", 0.2),
        Score(4, 1, "unseen", 1, "blocks.0", 1.0, "nmi_chance", 0.02),
    ]
    answer, against, place = closing_line(
        ScoreTable(rows), seen_accuracy=0.5, folder=Path("/x/run")
    ).splitlines()
    assert answer == "seen accuracy 0.500 · g 0.400 · best layer 0 of 0..1 (stem, depth 0.00)"
    assert f"the last layer 0.200, raw pixels {pixels:.3f} (the network {says}), chance 0.010" in against
    assert place == "files in /x/run"
    rows.append(Score(4, 1, "seen", 1, "blocks.0", 1.0, "nc1", 0.3))
    with_choice = closing_line(ScoreTable(rows), seen_accuracy=0.5, folder=Path("/x"), recommended_by="nc1")
    assert with_choice.splitlines()[2] == (
        "recommended without unseen labels: layer 1 (blocks.0), NMI 0.200; it has the smallest neural-collapse ratio"
    )


def test_a_status_line_is_written_over_on_a_terminal_and_left_out_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    StatusLine().show("nobody reads this")
    assert out.getvalue() == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "9")
    line = StatusLine()
    line.show("1/6 done, much more")
    line.show("2/6 done")
    line.clear()
    assert out.getvalue() == "1/6 done\r\x1b[2K2/6 done\r\x1b[2K"


def test_labels_that_no_probe_can_split_are_one_note_however_many_layers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is wrong with the embeddings of a layer is a note for each layer."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        quiet_libraries()
        for layer in range(3):
            with naming(layer, f"blocks.{layer}", "unseen", 0.5 if layer == 2 else None):
                linear_probe_accuracy([[0.0], [1.0], [2.0]], [0, 0, 1], seed=0, standardize=False)
                warnings.warn("few distinct points", ProbeWarning, stacklevel=1)
    notes = " ".join(capsys.readouterr().err.split()).split("note: ")[1:]
    alone = (
        "unseen classes: linear probe is undefined: classes with a single sample cannot be split (labels 1)"
    )
    assert [note.strip() for note in notes] == [
        alone,
        "layer 0 (blocks.0), unseen classes: few distinct points",
        "layer 1 (blocks.1), unseen classes: few distinct points",
        "layer 2 (blocks.2), unseen classes with noise 0.5: few distinct points",
    ]
