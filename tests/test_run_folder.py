"""summary.json and scores.csv through the life of a run."""

import json

from unseen.run_folder import RunFolder, Scoring
from unseen.scores import INPUT_LAYER, Score, ScoreTable


def scoring(step: int, *, nmi: tuple[float, float] = (0.3, 0.6)) -> Scoring:
    rows = [Score(step, 1, "unseen", INPUT_LAYER, "input", None, "nmi", 0.4)]
    for layer, value in enumerate(nmi):
        rows.append(Score(step, 1, "unseen", layer, f"l{layer}", float(layer), "nmi", value))
        rows.append(Score(step, 1, "seen", layer, f"l{layer}", float(layer), "nmi", value + 0.1))
    return Scoring(step, 1, 0.75, rows, 2.0)


def read(folder: RunFolder) -> dict:
    return json.loads(folder.summary_path.read_text())


def test_a_killed_run_leaves_valid_files(tmp_path) -> None:
    folder = RunFolder(tmp_path / "run", {"model": "vit", "seed": 0})
    folder.record(scoring(10))
    summary = read(folder)
    assert summary["status"] == "running"
    assert summary["schema"] == 1
    assert (summary["g"], summary["best_layer"], summary["best_layer_name"]) == (0.6, 1, "l1")
    assert (summary["unseen_nmi"], summary["seen_nmi"], summary["input_unseen_nmi"]) == (0.6, 0.7, 0.4)
    assert (summary["seen_accuracy"], summary["steps"], summary["seed"]) == (0.75, 10, 0)
    assert len(ScoreTable.read(folder.scores_path)) == 5


def test_the_last_scoring_counts_even_if_an_earlier_was_higher(tmp_path) -> None:
    folder = RunFolder(tmp_path, {})
    folder.record(scoring(0, nmi=(0.1, 0.9)))
    folder.record(scoring(10, nmi=(0.5, 0.2)))
    assert (read(folder)["g"], read(folder)["best_layer"]) == (0.5, 0)


def test_what_is_recommended_is_the_choice_of_the_selector(tmp_path) -> None:
    folder = RunFolder(tmp_path, {"recommended_by": "nc1"})
    rows = [Score(10, 1, "seen", layer, f"l{layer}", float(layer), "nc1", 2.0 - layer) for layer in (0, 1)]
    found = scoring(10, nmi=(0.5, 0.2))
    folder.record(Scoring(10, 1, 0.75, found.scores + rows, 2.0))
    summary = read(folder)
    assert (summary["best_layer"], summary["recommended_layer"], summary["recommended_layer_name"]) == (
        0,
        1,
        "l1",
    )
    assert "seen_nc1" not in summary  # a score of the best layer would be of no use
    folder.record(scoring(20))
    assert read(folder)["recommended_layer"] is None


def test_a_failure_keeps_what_was_found(tmp_path) -> None:
    folder = RunFolder(tmp_path, {})
    folder.record(scoring(10))
    folder.write_summary("failed", "FloatingPointError: nan")
    assert (read(folder)["status"], read(folder)["reason"], read(folder)["g"]) == (
        "failed",
        "FloatingPointError: nan",
        0.6,
    )


def test_a_resumed_run_keeps_the_earlier_scores_up_to_its_checkpoint(tmp_path) -> None:
    first = RunFolder(tmp_path / "a", {})
    for step in (0, 10, 20):
        first.record(scoring(step))
    second = RunFolder(tmp_path / "b", {})
    second.continue_from(ScoreTable.read(first.scores_path), 10, seconds=100.0)
    second.record(scoring(20))
    second.record(scoring(30))
    assert second.table.steps == [0, 10, 20, 30]
    assert read(second)["seconds"] >= 100
