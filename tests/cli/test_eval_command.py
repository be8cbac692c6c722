"""`python src/eval.py`: a checkpoint or untouched weights, scored without training."""

import os
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import ROOT, TINY, Ran, run_command

from unseen.reporting.collect import collect
from unseen.reporting.layers.groups import group_runs
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
    assert ours["seed"] == theirs["seed"]
    assert (ours["trained"]["split_hash"], ours["trained"]["data"]) == (theirs["split_hash"], theirs["data"])
    assert ours["trained"]["settings"]["trainer.max_steps"] == 4
    ((alone,), _) = group_runs(collect([ran.folder]).runs)
    assert "ckpt_path" not in alone.place.network  # its path makes no configuration of its own


def test_controls_measured_afterwards_stand_with_the_training_run(tiny_run: Ran, evaluate) -> None:
    ran = evaluate(
        f"ckpt_path='{tiny_run.folder}/checkpoints/last.ckpt'", "probe.n_init=1", "probe.noise_levels=[1.0]"
    )
    assert ran.code == 0, ran.out + ran.err
    (one,), left_out = group_runs(collect([tiny_run.folder, ran.folder]).runs)
    assert [run.name for run in one.runs] == [str(tiny_run.folder)]
    assert [level for level, _ in one.destroyed] == [1.0]
    assert [other.name for other in left_out] == [str(ran.folder)]


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


@pytest.fixture(scope="module")
def photo_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A network for a folder of images, with settings that are not the default ones, from a copy of the folder."""
    root = tmp_path_factory.mktemp("photo_run")
    shutil.copytree(photos, root / "photos")
    ran = run_command(
        "train.py", "data=image_folder", f"data.root={os.path.relpath(root, ROOT)}/photos", "data.unseen=[cat,owl]",
        "data.test_fraction=0.4", "data.image_size=32", "model=resnet", "seed=3", "probe.n_init=1",
        "trainer.max_steps=2", "trainer.val_check_interval=2", "probe.at_start=false", logs=root / "logs",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.mark.parametrize("setting", ["data.eval_batch_size=4"])
def test_a_setting_of_the_data_keeps_the_checkpoints_data(setting: str, photo_run: Ran, evaluate) -> None:
    """It was the default data set that was scored then."""
    ran = evaluate(f"ckpt_path={photo_run.folder}/checkpoints/last.ckpt", setting)
    assert ran.code == 0, ran.out + ran.err
    ours, theirs = ran.summary(), photo_run.summary()
    for key in ("data", "seed", "seen_accuracy", "seen_test_images", "split_hash", "k"):
        assert ours[key] == theirs[key], key
    assert ours["g"] == pytest.approx(theirs["g"])


def test_an_experiments_data_are_scored(photo_run: Ran, evaluate, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "other.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: digits\ndata:\n  test_size: 60\n"
    )
    ran = evaluate(
        "experiment=other",
        "--config-dir",
        str(tmp_path),
        f"ckpt_path={photo_run.folder}/checkpoints/last.ckpt",
    )
    assert ran.code == 0, ran.out + ran.err
    assert (ran.summary()["data"], ran.summary()["seen_test_images"]) == ("digits", 60)


def test_images_elsewhere_and_images_trained_on(
    photo_run: Ran, photos: Path, evaluate, tmp_path: Path
) -> None:
    """Another place changes the place only; where files were added, the accuracy on images trained on is not given."""
    checkpoint = f"ckpt_path={photo_run.folder}/checkpoints/last.ckpt"
    moved = evaluate(checkpoint, f"data.root={photos}")
    assert moved.code == 0, moved.out + moved.err
    for key in ("seen_accuracy", "seen_test_images"):
        assert moved.summary()[key] == photo_run.summary()[key], key
    shutil.copytree(photos, tmp_path / "grown")
    for folder in (tmp_path / "grown").iterdir():
        shutil.copy(folder / "00.png", folder / "a_new.png")
    grown = evaluate(checkpoint, f"data.root={tmp_path}/grown")
    assert grown.code == 0, grown.out + grown.err
    assert grown.summary()["seen_accuracy"] is None
    assert "seen test images have the names of images that this network was trained on" in grown.err


def test_unseen_classes_that_the_network_was_trained_on_are_named(tiny_run: Ran, evaluate) -> None:
    checkpoint = f"ckpt_path={tiny_run.folder}/checkpoints/last.ckpt"
    ran = evaluate(checkpoint, "data.unseen=[0,1,7]")
    assert ran.code == 0, ran.out + ran.err
    assert "note: the network was trained on 0, 1, unseen here: g says nothing about classes" in ran.err
    assert "was trained on" not in evaluate(checkpoint).err


def test_an_empty_checkpoint_is_no_wish_to_do_without(evaluate) -> None:
    ran = evaluate("ckpt_path=''")
    assert ran.code == 1
    assert ran.err == "error: ckpt_path='' is not a path; leave ckpt_path out for none\n"


def test_a_network_without_a_checkpoint(evaluate) -> None:
    ran = evaluate("model=efficientnet_lite0", *(one for one in TINY if not one.startswith("trainer.")))
    assert ran.code == 0, ran.out + ran.err
    assert ran.summary()["num_layers"] == 9
    assert ran.summary()["seen_accuracy"] is None


def test_a_contradiction_is_named(tiny_run: Ran, evaluate) -> None:
    ran = evaluate(f"ckpt_path='{tiny_run.folder}/checkpoints/last.ckpt'", "model=swin")
    assert ran.code == 1
    assert "the checkpoint holds resnet, not model=swin" in ran.err


def test_weights_in_a_file_score_as_the_checkpoint_that_holds_them(
    tiny_run: Ran, photos: Path, evaluate, tmp_path: Path
) -> None:
    """`model.checkpoint` takes the network and a head of its own; the images are those of a table."""
    rows = [f"{path},{path.parent.name}" for path in sorted(photos.glob("*/*.png"))]
    (tmp_path / "table.csv").write_text("\n".join(["path,label", *rows]))
    data = ("data=csv", f"data.root={tmp_path}/table.csv", "data.unseen=[cat,owl]", "data.image_size=32",
            "probe.n_init=1")  # fmt: skip
    file = tiny_run.folder / "checkpoints" / "last.ckpt"
    ran = evaluate("model=resnet", f"model.checkpoint='{file}'", *data)
    assert ran.code == 0, ran.out + ran.err
    assert "note: weights of last.ckpt: the head starts anew" in ran.err
    assert "resnet from last.ckpt on csv" in ran.out
    scored = evaluate(f"ckpt_path='{file}'", *data)
    assert scored.code == 0, scored.out + scored.err
    assert ran.summary()["g"] == scored.summary()["g"]
