"""A run that a command has left, read and used from Python and by `embed.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from PIL import Image
from tests.api.conftest import UNSEEN
from tests.cli.conftest import ROOT, Ran, run_command

import unseen
from unseen.backbones.taps import record_taps
from unseen.runs.commands import embed_job
from unseen.runs.errors import UserError
from unseen.scores import ScoreTable


@pytest.fixture(scope="module")
def checkpoint(trained: Ran) -> Path:
    return trained.folder / "checkpoints" / "last.ckpt"


def test_a_run_folder_is_read(trained: Ran, photos: Path) -> None:
    run = unseen.load_run(trained.folder)
    assert run.summary["status"] == "finished"
    assert run.classes == {"seen": ["bear", "cat", "dog"], "unseen": list(UNSEEN)}
    assert run.config["model"]["name"] == "resnet"
    rows = pd.DataFrame(run.scores)
    assert (sorted(set(rows.step)), set(rows.split)) == ([0, 2, 4], {"seen", "unseen"})
    assert run.layers.g == run.summary["g"]
    assert run.layers.best_layer == run.summary["best_layer"]
    assert set(run.embeddings) == {0, run.summary["best_layer"], run.summary["num_layers"] - 1}
    assert sorted(run.labels) == ["fox"] * 20 + ["owl"] * 20
    # what was saved is what was scored
    best = run.embeddings[run.layers.best_layer]
    assert unseen.probe(best, run.labels, n_init=1)["nmi"] == pytest.approx(run.summary["g"], abs=0.02)


def test_the_best_layer_embeds_a_folder_as_the_evaluation_did(
    trained: Ran, checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    run = unseen.load_run(trained.folder)
    saved = run.embeddings[run.layers.best_layer].astype(
        np.float32
    )  # sorted by class and file, rounded to float16
    made = unseen.embed(trained.folder, photos, batch_size=7)
    assert made.checkpoint == str(checkpoint)
    assert (made.layer, made.layer_name) == (run.layers.best_layer, run.layers.best_layer_name)
    assert len(made) == 100
    mine = made.values[[file.startswith(UNSEEN) for file in made.files]]
    np.testing.assert_allclose(mine, saved, rtol=2e-3, atol=2e-3)
    # lists of files and of pictures give the same
    paths = [photos / file for file in made.files[:5]]
    for given in (paths, [Image.open(path) for path in paths]):
        np.testing.assert_allclose(
            unseen.embed(checkpoint, given).values, made.values[:5], rtol=1e-4, atol=1e-5
        )
    recommended = unseen.embed(checkpoint, photos, "recommended")
    assert recommended.layer == run.summary["recommended_layer"]
    # by the command, from a folder that holds no scores
    moved = shutil.copy(checkpoint, tmp_path / "moved.ckpt")
    name = run.network().taps[-1].name
    for layer, out in (("last", "out.npz"), (name, "out.parquet")):
        ran = run_command(
            "embed.py", f"ckpt_path={moved}", f"images={photos}", f"layer={layer}", f"out={tmp_path / out}",
            logs=tmp_path / "logs",
        )  # fmt: skip
        assert ran.code == 0, ran.err
        assert "100 images, " in ran.out
        assert f"({name})" in ran.out
    with np.load(tmp_path / "out.npz") as file:
        arrays = dict(file)
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table.file.tolist() == arrays["files"].tolist() == list(made.files)
    np.testing.assert_array_equal(np.stack(table.embedding), arrays["embeddings"])
    assert str(arrays["layer_name"]) == name


def test_the_network_is_the_trained_one_and_can_be_probed(trained: Ran, checkpoint: Path) -> None:
    network = unseen.load_run(trained.folder).network()
    stored = torch.load(checkpoint, weights_only=True)["state_dict"]
    for weight, value in network.state_dict().items():
        assert torch.equal(value, stored[f"backbone.{weight}"])
    assert not network.training
    images, run = torch.rand(2, 3, 32, 32), unseen.load_run(trained.folder)
    with torch.no_grad(), record_taps(network, "auto") as recorder:
        network(images)
        embeddings = recorder.take()
        for layer, number in (("best", run.summary["best_layer"]), ("last", -1), (1, 1)):
            torch.testing.assert_close(run.cut(layer)(images), embeddings[number])
        torch.testing.assert_close(unseen.cut(network, 1)(images), embeddings[1])
    with pytest.raises(ValueError, match="layer=9 is none of best"):
        run.cut(9)
    found = unseen.probe_layers(network, torch.rand(6, 3, 32, 32), [0, 1] * 3, probes=["clusters"])
    assert [row["name"] for row in found][1:] == [tap.name for tap in network.taps]


def test_what_is_wrong_is_a_sentence(trained: Ran, checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no run folder.*it holds .*{trained.folder.name}"):
        unseen.load_run(trained.folder.parents[1])
    with pytest.raises(ValueError, match="is no folder"):
        unseen.load_run(tmp_path / "nowhere")
    moved = shutil.copy(checkpoint, tmp_path / "moved.ckpt")
    bad = tmp_path / "bad"
    bad.mkdir()
    shutil.copy(photos / "cat/00.png", bad / "a.png")
    (bad / "b.png").write_bytes(b"no picture")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no images")
    layers = len(ScoreTable.read(trained.folder / "scores.csv").at(0, "unseen", "nmi")) - 1
    for call, sentence in (
        ((moved, photos), "layer=best needs the scores of the run"),
        ((moved, photos, "recommended"), "layer=recommended needs the scores of the run"),
        ((checkpoint, photos, 99), rf"layer=99 is none of best, recommended, last, 0..{layers - 1}"),
        ((checkpoint, photos, "layer9"), r"none of .*\(did you mean "),
        ((checkpoint, bad), r"b\.png cannot be used \(not an image.*skip_bad=true"),
        ((checkpoint, tmp_path / "texts"), "holds no image that can be read"),
        ((checkpoint, []), "empty list"),
        ((checkpoint, [3]), "must be a folder, a zip archive, or a list"),
        ((photos, photos), "is not a file"),
    ):
        with pytest.raises(ValueError, match=sentence):
            unseen.embed(*call)  # type: ignore[arg-type]
    left = unseen.embed(checkpoint, bad, skip_bad=True)
    assert (left.files, list(left.left_out)) == (("a.png",), ["b.png"])
    with pytest.raises(ValueError, match=r"must end in \.npz or \.parquet"):
        left.save(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"ckpt_path": None}, "ckpt_path is missing: write ckpt_path=logs/"),
        ({"images": None}, "images is missing: write images=my/photos"),
        ({}, "ckpt_path=x.ckpt is not a file"),
        ({"out": "x.csv"}, r"must end in \.npz or \.parquet"),
        ({"skip_bad": 7}, "skip_bad=7 must be true or false"),
        ({"batch_size": 0}, "batch_size=0 must be a whole number"),
        ({"device": "tpu"}, "device=tpu is not one of auto, cpu, cuda"),
        ({"trust": "my.Net"}, "trust=my.Net must be a list"),
        ({"trust": ["Net"]}, "trust=.* must be a list of classes, such as"),
        ({"layer": None}, "layer=null must be a text"),
    ],
)
def test_a_wrong_setting_is_a_sentence(settings: dict[str, object], sentence: str, photos: Path) -> None:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        composed = compose("embed", return_hydra_config=True)
    HydraConfig.instance().set_config(composed)
    OmegaConf.set_struct(composed, False)
    del composed["hydra"]
    config = OmegaConf.merge(composed, {"ckpt_path": "x.ckpt", "images": str(photos)}, settings)
    with pytest.raises(UserError, match=sentence):
        embed_job(config)


def test_a_mistyped_line_is_a_sentence_and_writes_nothing(tmp_path: Path) -> None:
    for typed, sentence in (
        ("imges=.", "did you mean images?"),
        ("layer=1,2", "layer=1,2 holds several values"),
    ):
        ran = run_command("embed.py", typed, logs=tmp_path / "logs")
        assert ran.code == 1
        assert ran.err.count("\n") == 1
        assert sentence in ran.err
    assert not list(tmp_path.iterdir())


def test_adapters_are_part_of_the_network(checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    from unseen.backbones.tuning import adapter

    content = torch.load(checkpoint, weights_only=True)
    network = unseen.load_run(checkpoint.parents[1]).network()
    adapter(network, width=4)
    content["state_dict"] = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    content["unseen"]["model"]["tuning"] = {"_target_": "unseen.backbones.tuning.adapter", "width": 4}
    torch.save(content, tmp_path / "adapted.ckpt")
    images = [photos / "cat/00.png", photos / "owl/00.png"]
    # `up` begins at 0, so that the adapted network begins as the one without
    expected = unseen.embed(checkpoint, images, "last").values
    np.testing.assert_allclose(
        unseen.embed(tmp_path / "adapted.ckpt", images, "last").values, expected, atol=1e-5
    )


def test_a_class_of_ones_own_must_be_trusted(checkpoint: Path, photos: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["unseen"]["model"]["backbone"]["options"]["act_layer"] = {"_target_": "os.system"}
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(
        ValueError, match=r"names the class os\.system, and a file may not choose code.*trust=\[os\.system\]"
    ):
        unseen.embed(tmp_path / "odd.ckpt", photos, "last")
