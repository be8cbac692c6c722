"""`python src/eval.py`: a checkpoint or untouched weights, scored without training."""

import pytest
from tests.cli.conftest import TINY, Ran

from unseen.reporting.collect import collect
from unseen.reporting.groups import group_runs
from unseen.reporting.probe_facts import destroyed_images
from unseen.scores import ScoreTable

pytestmark = pytest.mark.slow


def test_a_checkpoint_is_scored_as_it_was_in_training(tiny_run: Ran, evaluate) -> None:
    """No setting of the run is typed again; the numbers are the training run's last ones."""
    ran = evaluate(f"ckpt_path='{tiny_run.folder}/checkpoints/last.ckpt'", "probe.n_init=1")
    assert ran.code == 0, ran.out + ran.err
    ours, theirs = ran.summary(), tiny_run.summary()
    for key in ("model", "g", "best_layer", "seen_accuracy", "unseen_linear_probe", "seen_nn1", "split_hash"):
        assert ours[key] == theirs[key], key
    assert ScoreTable.read(ran.folder / "scores.csv").steps == [4]


def test_controls_measured_afterwards_stand_with_the_training_run(tiny_run: Ran, evaluate) -> None:
    ran = evaluate(
        f"ckpt_path='{tiny_run.folder}/checkpoints/last.ckpt'", "probe.n_init=1", "probe.noise_levels=[1.0]"
    )
    assert ran.code == 0, ran.out + ran.err
    (group,), left_out = group_runs(collect([tiny_run.folder, ran.folder]).runs)
    assert [run.name for run in group.runs] == [str(tiny_run.folder)]
    assert [level for level, _ in destroyed_images(group)] == [1.0]
    assert [one.name for one in left_out] == [str(ran.folder)]


def test_other_data_keep_the_network(tiny_run: Ran, photos, evaluate) -> None:
    ran = evaluate(
        f"ckpt_path='{tiny_run.folder}/checkpoints/last.ckpt'", "data=image_folder", f"data.root={photos}",
        "data.unseen=[cat,owl]", "probe.n_init=1",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    summary = ran.summary()
    assert (summary["data"], summary["seen_accuracy"]) == ("image_folder", None)
    assert summary["image_size"] == 32
    assert "seen accuracy not defined" in ran.out


def test_a_network_without_a_checkpoint(evaluate) -> None:
    ran = evaluate("model=efficientnet_lite0", *TINY)
    assert ran.code == 0, ran.out + ran.err
    assert ran.summary()["num_layers"] == 9
    assert ran.summary()["seen_accuracy"] is None


def test_a_contradiction_is_named(tiny_run: Ran, evaluate) -> None:
    ran = evaluate(f"ckpt_path='{tiny_run.folder}/checkpoints/last.ckpt'", "model=swin")
    assert ran.code == 1
    assert "the checkpoint holds resnet, not model=swin" in ran.err
