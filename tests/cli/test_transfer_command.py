"""transfer.py typed as a user types it, with a small encoder of one's own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.cli.conftest import Ran, run_command

TOY = '''
import torch
from torch import nn

from unseen.encoders.encoder import Encoder


class Toy(Encoder):
    """Pixels times a matrix; a caption is the digit in it."""

    image_size, mean, std = 16, (0.5,) * 3, (0.5,) * 3

    def __init__(self, width=8):
        super().__init__()
        self.name = f"toy of width {width}"
        generator = torch.Generator().manual_seed(0)
        self.image = nn.Linear(256, width, bias=False)
        self.text = nn.Embedding(128, width)
        for weight in (self.image.weight, self.text.weight):
            weight.data = torch.randn(weight.shape, generator=generator)

    def encode_images(self, images):
        return self.image(images.mean(dim=1).flatten(1))

    def encode_texts(self, texts):
        return self.text(torch.tensor([sum(map(ord, text)) % 128 for text in texts]))

    def label_embeddings(self, names):
        return tuple(self.encode_texts(names).detach() ** power for power in (1, 2, 3))

    @property
    def scale(self):
        return torch.tensor(5.0)

    @property
    def blocks(self):
        return (), ()
'''
SMALL = ("data=digits", "data.train_size=200", "data.test_size=100", "data.cache_gb=0", "draws=5")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an encoder of one's own, and the file that chooses it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "toy_encoder.py").write_text(TOY)
    (folder / "encoder").mkdir()
    (folder / "encoder" / "toy.yaml").write_text("_target_: toy_encoder.Toy\nwidth: 8\n")
    return folder


def transfer(own: Path, *arguments: str, logs: Path) -> Ran:
    line = (f"--config-dir={own}", "model=toy", *SMALL, *arguments)
    return run_command("transfer.py", *line, logs=logs, PYTHONPATH=str(own), HF_HUB_OFFLINE="1")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    return {(row["task"], row["measure"]): row for row in read_csv(folder / "scores.csv")}


@pytest.fixture(scope="module")
def tuned(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    logs = tmp_path_factory.mktemp("logs")
    typed = ("optimizer=adamw", "model.optimizer.lr=0.02", "epochs=4")
    small = "train_size: 25, test_size: 50"
    others = f"others=[digits,{{typefaces: {{{small}}}}},{{typefaces: {{name: again, {small}}}}}]"
    ran = transfer(own, "tuning=full", *typed, others, "alphas=[1,0,.5]", logs=logs)
    assert ran.code == 0, ran.out + ran.err
    return ran


def test_a_task_gains_and_another_one_changes(tuned: Ran) -> None:
    found = rows(tuned.folder)
    before, after, change, gain = (
        float(found["digits", name]["value"])
        for name in ("accuracy_before", "accuracy_after", "accuracy_change", "gain")
    )
    assert after > before
    assert change == pytest.approx(after - before)
    assert gain == pytest.approx(change / (1 - before))  # share of the zero-shot errors
    elsewhere = float(found["typefaces", "accuracy_change"]["value"])
    assert found["again", "accuracy_change"]["value"] == found["typefaces", "accuracy_change"]["value"]
    assert float(found["other tasks", "mean_change"]["value"]) == pytest.approx(elsewhere)
    assert found["digits", "accuracy_before"]["n"] == "100"


def test_the_ends_of_the_interpolation_are_before_and_after(tuned: Ran) -> None:
    found = rows(tuned.folder)
    with (tuned.folder / "interpolation.csv").open(encoding="utf-8") as file:
        at = {(row["alpha"], row["tested_on"]): row for row in csv.DictReader(file)}
    assert list(dict.fromkeys(alpha for alpha, _ in at)) == ["0.0", "0.5", "1.0"]
    for task in ("digits", "typefaces", "again"):
        assert at["0.0", task]["accuracy"] == found[task, "accuracy_before"]["value"]
        assert at["0.0", task]["change"] == "0.0"
        assert at["1.0", task]["accuracy"] == found[task, "accuracy_after"]["value"]
        for column in ("change", "change_low", "change_high"):
            of_scores = column.partition("_")[2] or "value"
            expected = float(found[task, "accuracy_change"][of_scores])
            assert float(at["1.0", task][column]) == pytest.approx(expected)
    expected = float(found["other tasks", "mean_change"]["value"])
    assert float(at["1.0", "other tasks"]["change"]) == pytest.approx(expected)
    curve = tuned.summary()["interpolation"]
    assert curve["alphas"] == [0, 0.5, 1]
    assert curve["accuracy"][1] == float(at["0.5", "digits"]["accuracy"])
    assert curve["mean_change"][1] == float(at["0.5", "other tasks"]["change"])


@pytest.fixture(scope="module")
def only(own: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    more = ("shares=[.1,1]", "prompts=[bare,published,ensemble]")
    typed = ("measure_only=true", *more, "save_embeddings=true")
    ran = transfer(own, *typed, logs=tmp_path_factory.mktemp("only"))
    assert ran.code == 0, ran.err
    return ran


def test_measures_are_those_before_training(tuned: Ran, only: Ran) -> None:
    measured, both = rows(only.folder), rows(tuned.folder)
    need = read_csv(only.folder / "sample_need.csv")
    whole, tenth = (
        {row["measure"]: row for row in need if row["share"] == share} for share in ("1.0", "0.1")
    )
    assert whole.keys() == {name for _, name in measured} - {"accuracy_before", "inter_text"}
    assert all(whole[name]["mean"] == measured["digits", name]["value"] for name in whole)
    assert (tenth["iimm"]["images"], tenth["iimm"]["draws"], tenth["iimm"]["encoder"]) == ("20", "5", "toy")
    assert float(tenth["iimm"]["sd"]) > 0
    assert "NCTI needs 64 images" in whole["ncti"]["reason"]
    for name in ("iimm", "gbc", "sfda", "logme", "emms"):
        assert measured["digits", name]["value"] == both["digits", name]["value"]
    assert ("digits", "accuracy_after") not in measured
    assert float(measured["digits", "emms"]["value"]) < 0
    assert "EMMS takes demo label embeddings" in only.err
    summary = only.summary()
    assert summary["label_models"] == "demo"
    assert (summary["kind"], summary["technique"], summary["encoder"]) == (
        "transfer",
        "none",
        "toy of width 8",
    )


def test_captions_are_compared_over_the_same_images(only: Ran) -> None:
    measured = rows(only.folder)
    found = {(row["prompts"], row["measure"]): row for row in read_csv(only.folder / "prompts.csv")}
    assert len(found) == 3 * 7
    for name in ("iimm", "gap", "leep"):  # without templates, the published ones are those of scores.csv
        assert found["published", name]["value"] == measured["digits", name]["value"]
        assert found["published", name]["low"] == measured["digits", name]["low"]
    assert found["published", "accuracy"]["value"] == measured["digits", "accuracy_before"]["value"]
    assert [found[name, "gap"]["templates"] for name in ("bare", "ensemble")] == ["1", "7"]
    bare, ensemble = found["bare", "iimm"], found["ensemble", "iimm"]
    assert bare["difference"] == found["ensemble", "gap"]["difference"] == ""
    assert float(ensemble["difference"]) == pytest.approx(float(ensemble["value"]) - float(bare["value"]))
    assert "IIMM of training images, against bare: " in only.out
    assert "(the same 100 images; Holm, 4 tests)" in " ".join(only.out.split())


def test_saved_embeddings_are_measured_again_without_the_encoder(only: Ran, tmp_path: Path) -> None:
    again = run_command("transfer.py", f"model={only.folder}/embeddings.npz", "draws=5", logs=tmp_path)
    assert again.code == 0, again.err
    before, now = rows(only.folder), rows(again.folder)
    assert {("digits", "leep"), ("digits", "emms")} <= now.keys()
    assert now.keys() == before.keys() - {("digits", "accuracy_before")}
    for key, row in now.items():
        for column in ("value", "low", "high", "n", "percentile"):
            assert row[column] == before[key][column], (key, column)
        assert row["encoder"] == "toy of width 8"
    summary = again.summary()
    assert (summary["kind"], summary["status"], summary["technique"]) == ("transfer", "finished", "none")
    assert (summary["data"], summary["encoder"], summary["train_images"]) == ("digits", "toy of width 8", 200)
    assert summary["values"]["iimm"] == only.summary()["values"]["iimm"]
    assert summary["label_models"] == only.summary()["label_models"] == "demo"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ((), "there is no file nowhere.npz"),
        (("data=digits",), "data is not read with model=nowhere.npz"),
        (("tuning=lora",), "tuning is not read with model=nowhere.npz"),
    ],
)
def test_a_file_that_cannot_be_measured_leaves_a_failed_run(
    typed: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    ran = run_command("transfer.py", "model=nowhere.npz", *typed, logs=tmp_path)
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith(f"error: {sentence}")
    summary = ran.summary()
    assert (summary["status"], summary["reason"]) == ("failed", line.removeprefix("error: "))
    assert (summary["kind"], summary["model"], summary["data"]) == ("transfer", "embeddings_file", "nowhere")


def test_only_a_probe_leaves_the_other_tasks_alone(own: Path, tmp_path: Path) -> None:
    others = "others=[{typefaces: {train_size: 25, test_size: 50}}]"
    ran = transfer(own, "tuning=probe", "epochs=1", others, logs=tmp_path)
    assert ran.code == 0, ran.err
    assert float(rows(ran.folder)["typefaces", "accuracy_change"]["value"]) == 0
    assert ran.summary()["trainable_parameters"] == 8 * 10 + 10


def test_countermeasures_are_part_of_the_technique(own: Path, tmp_path: Path) -> None:
    others = "others=[{typefaces: {train_size: 25, test_size: 50}}]"
    typed = ("tuning=full", "epochs=1", "l2_to_init=0.1", "replay=0.5")
    ran = transfer(own, *typed, others, "draws=0", logs=tmp_path)
    assert ran.code == 0, ran.err
    summary = ran.summary()
    label = "full + L2 0.1 + replay 0.5"
    assert (summary["technique"], summary["l2_to_init"], summary["replay"]) == (label, 0.1, 0.5)
    assert rows(ran.folder)["typefaces", "accuracy_after"]["technique"] == label


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (("tuning=bitfit",), "trains weights of transformer blocks, and toy of width 8 has none"),
        (("tuning=lorra",), "tuning=lorra is not known (did you mean lora?)"),
        (("others=[typeface]",), "others=typeface is not a data set (did you mean typefaces?)"),
        (("others=[{typefaces: {train_size: 9999}}]",), "others.typefaces: train_size=9999 is more than"),
        (
            ("others=[{typefaces: {templates: [a text]}}]",),
            "others.typefaces: templates has 'a text' without",
        ),
        (("others=[typefaces,typefaces]",), "others has two tasks called typefaces"),
        (("others=[{digits: {tests: 3}}]",), "others.digits.tests is not a setting"),
        (("templates=[a photo]",), "error: templates has 'a photo' without {c}"),
        (("class_names={1: one}",), "error: class_names has no name for 0, 2, 3"),
        (("class_names=[one,two]",), "error: class_names has too few names: 2 names for 10 classes"),
        (("model=composed", "encoder.network=lite"), "encoder.network='lite' is not one of"),
        # before an encoder is loaded
        (("model=composed", "encoder.network=lite", "data.root=here"), "data.root=here has no meaning"),
        (
            ("label_models=masked",),
            "the weights of the label model 'laion/CLIP-ViT-g-14-laion2B-s12B-b42K' are not in",
        ),
        (("++technique.foo=1",), "technique.foo is not a setting: full does not take it"),
        (("++model.optimizer.foo=1",), "model.optimizer.foo is not a setting: SGD does not take it"),
        (("class_names=[a,b,c,d,e,f,g,h,i,j,k]",), "class_names has more names than classes: 11 names"),
        (("probe.k=3",), "probe.k is not read by transfer.py"),
        (
            ("others=[silhouettes]", "paths.data_dir=/no/data"),
            "others.silhouettes: data.root=/no/data/cue_conflict",
        ),
        (("data.unseen=[1,2]",), "data.unseen is not read by transfer.py"),
        (("epochs=0",), "epochs=0 must be"),
        (
            ("alphas=[0.5,0.5]",),
            "alphas=[0.5, 0.5] must be numbers from 0 (zero-shot) to 1 (fine-tuned), each once",
        ),
        (("replay=0.5", "others=[digits]"), "replay=0.5 draws from training images of other tasks"),
        (("shares=[.5,2]",), "shares=[0.5, 2] must be shares of the images above 0 and at most 1"),
        (("shares=[.5]", "draws=1"), "draws=1 is too few for shares"),
        (("data.test_size=100000",), "test_size=100000 is more than"),
    ],
)
def test_mistakes_get_a_sentence(typed: tuple[str, ...], sentence: str, own: Path, tmp_path: Path) -> None:
    ran = transfer(own, *typed, logs=tmp_path)
    assert ran.code == 1, ran.out
    (line,) = [line for line in ran.err.splitlines() if line.startswith("error:")]
    assert sentence in line
    assert not list(tmp_path.rglob("scores.csv"))  # before anything was measured


def test_the_study_of_few_tasks_draws_no_line(tuned: Ran, tmp_path: Path) -> None:
    out = tmp_path / "study"
    line = ("study=own", f"runs={tuned.logs}", f"hydra.run.dir={out}")
    ran = run_command("transfer.py", *line, logs=tmp_path)
    assert ran.code == 0, ran.err
    assert "A line over tasks needs 4 of them at least" in ran.out
    assert {row["tested_on"] for row in read_csv(out / "matrix.csv")} == {"digits", "typefaces", "again"}
