"""The harness of `make bench`: its arithmetic, its references, its results file. Nothing is timed here."""

from __future__ import annotations

import argparse
import csv
import doctest
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image
from torchvision.transforms import functional as tv

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import (  # noqa: E402
    band_noise,
    measure,
    network,
    probe_suites,
    reference_flows,
    run,
    technique_steps,
    transfer_scores,
    whole_job,
)  # fmt: skip
from benchmarks.measure import CannotMeasure, Row, Settings, cells, in_turns, keep, tables  # noqa: E402
from tests.cli.conftest import run_command  # noqa: E402
from tests.torch_modes import same_modes_afterwards  # noqa: E402

from unseen.transfer import SCORES  # noqa: E402

MACHINE = {
    "taken": "2030-01-01T00:00:00", "commit": "abc", "seed": 0, "cpu": "x", "gpu": None, "cores": 2, "threads": 2,
    "memory_gb": 8, "load": 0.1, "versions": {"torch": "3"},
}  # fmt: skip


# ------------------------------------------------------------------ arithmetic
def test_a_ratio_is_the_median_of_the_pairs_not_the_ratio_of_medians() -> None:
    """Speed-ups of the pairs: 4/1, 6/2, 6/3, 12/4, 5/5 = 4, 3, 2, 3, 1; their median is 3, that of 6 / 3 is 2."""
    row = Row("x", "", [1, 2, 3, 4, 5], [4, 6, 6, 12, 5], target=3.0)
    assert row.to_dict()["ratio"] == {"median": 3.0, "min": 1.0, "max": 4.0}
    assert cells(row.to_dict()) == ("x", "3 s", "6 s", "3.00 × as fast (1.00–4.00)", "≥ 3", "yes")
    row.target = 3.1
    assert row.to_dict()["met"] is False
    overhead = Row("x", "", [11] * 5, [10] * 5, overhead=True, target=1.1)
    assert cells(overhead.to_dict())[3:] == ("1.10 × the time (1.10–1.10)", "≤ 1.1", "yes")
    alone = Row("x", "", [2.0, 4.0], target=1.0, unit="jobs")
    assert cells(alone.to_dict()) == ("x", "3 jobs", "", "", "≤ 1 jobs", "no")
    assert cells(Row("x", "").to_dict()) == ("x", "not run", "", "", "", "")


def test_fewer_than_five_pairs_claim_nothing() -> None:
    row = Row("x", "", [1] * 4, [10] * 4, target=3.0).to_dict()
    assert cells(row)[3:] == ("10.00 × as fast (10.00–10.00), 4 pairs", "≥ 3", "")


def test_sides_take_turns_in_being_first() -> None:
    order: list[str] = []
    sides = {name: lambda name=name: order.append(name) or 1.0 for name in "opq"}  # type: ignore[misc]
    found = in_turns("x", 2, sides)
    assert order == ["o", "p", "q", "q", "p", "o"]
    assert found == {"o": [1.0, 1.0], "p": [1.0, 1.0], "q": [1.0, 1.0]}
    assert doctest.testmod(measure).failed == 0


# ------------------------------------------------------------------ results and tables
def test_a_row_replaces_its_earlier_one_and_unused_machines_go() -> None:
    results: dict[str, Any] = {"runs": [], "rows": []}
    keep(results, [Row("a", "", [1.0]), Row("b", "", [1.0])], Settings("full"), MACHINE)
    keep(results, [Row("a", "", [2.0])], Settings("cut"), MACHINE | {"taken": "2030-01-02"})
    keep(
        results,
        [Row("a", "", [3.0]), Row("b", "", [3.0])],
        Settings("full"),
        MACHINE | {"taken": "2030-01-03"},
    )
    assert [(row["name"], row["size"], row["ours"]["median"]) for row in results["rows"]] == [
        ("a", "cut", 2.0),
        ("a", "full", 3.0),
        ("b", "full", 3.0),
    ]
    assert [one["taken"] for one in results["runs"]] == ["2030-01-02", "2030-01-03"]


def test_what_was_not_run_stands_in_the_table() -> None:
    results: dict[str, Any] = {"runs": [], "rows": []}
    row = Row("whole_job/authors", "ours against theirs", [1.0], [2.0], check="g .5 and .5")
    keep(results, [row], Settings("full"), MACHINE)
    shown = tables(results)
    assert "| whole_job/authors | 1 s | 2 s | 2.00 × as fast (2.00–2.00), 1 pairs |  |  |" in shown
    assert "- `whole_job/authors`: ours against theirs; g .5 and .5" in shown
    assert "| probe_suite_cuda | not run |  |  |  |  |" in shown
    assert "commit abc" in shown


def test_the_readme_has_the_tables_of_the_results_file() -> None:
    """`python benchmarks/run.py --readme` puts them there."""
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert run.with_tables(text, measure.read_results(measure.RESULTS)) == text


# ------------------------------------------------------------------ the references are what they say
def test_the_reference_transform_is_torchvisions_definition() -> None:
    """Resize, white pad of 20/224, a drawn angle, centre crop, tensor, normalised: step by step with the same angle."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8))
    torch.manual_seed(3)
    got = reference_flows.paper_transform()(picture)
    torch.manual_seed(3)
    angle = float(torch.empty(1).uniform_(-10.0, 10.0))
    padded = tv.pad(tv.resize(picture, [64]), [6], fill=255)  # 20 * 64 / 224 = 5.7
    cropped = tv.center_crop(tv.rotate(padded, angle), [64])
    assert torch.equal(got, tv.normalize(tv.to_tensor(cropped), [0.5] * 3, [0.5] * 3))


def test_the_reference_probes_score_a_layer_as_ours() -> None:
    features, labels = probe_suites.made_up_embeddings(400, 32, 4)
    (ours,) = probe_suites.score_ours([(features, labels)], (400, 32, 4, 1))
    theirs = reference_flows.score_layer(features, labels, k=100)
    assert probe_suites.compare([ours], [theirs], 400).startswith("scores agree")
    assert probe_suites.compare([ours], [theirs | {"nn1": 0.0}], 400).startswith("scores DIFFER")
    assert 0.2 < ours["nmi"] < 0.95  # neither trivial nor hopeless
    assert ours["linear_probe"] < 1.0


@pytest.fixture(scope="module")
def artists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seen and the five unseen artists, with pictures that differ."""
    root = tmp_path_factory.mktemp("artists")
    rng = np.random.default_rng(0)
    seen = [f"seen{number:02d}" for number in range(15)]
    parts = [("seen/train", seen, 6), ("seen/test", seen, 8), ("unseen", whole_job.UNSEEN, 12)]
    for part, names, count in parts:
        for number, name in enumerate(names):
            (root / part / name).mkdir(parents=True)
            for picture in range(count):
                pixels = rng.integers(0, 90, (64, 64, 3)) + 10 * number
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{picture}.png")
    return root


@pytest.mark.slow
def test_the_flows_start_from_our_weights_and_score_as_ours(
    artists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images that are not rotated, at step 0: other networks and other probes find the same scores of each layer.

    Of two of the twelve blocks: the flows do with each what they do with the next.
    """
    blocks = 2
    configuration = OmegaConf.load(ROOT / "configs/model/vit.yaml")
    configuration.sizes.demo.options.depth = blocks
    (tmp_path / "configs/model").mkdir(parents=True)
    OmegaConf.save(configuration, tmp_path / "configs/model/vit.yaml")
    monkeypatch.setattr(whole_job, "ROOT", tmp_path)
    job = [option for option in whole_job.JOB.split() if "rotation" not in option]
    job.append(f"++model.sizes.demo.options.depth={blocks}")
    length = ("trainer.max_steps=1", "trainer.val_check_interval=1")
    ran = run_command("train.py", *job, *whole_job.ALL_IMAGES, f"data.root={artists}", *length, logs=tmp_path)
    assert ran.code == 0, ran.err
    (path,) = tmp_path.rglob("scores.csv")
    with path.open(encoding="utf-8") as file:
        ours = {
            (f"{row['step']}/{row['split']}", row["probe"], int(row["layer"])): float(row["value"])
            for row in csv.DictReader(file)
            if row["value"]
        }
    whole_job.write_initial_weights(tmp_path / "network", seed=0)
    options = argparse.Namespace(data=artists, network=tmp_path / "network", steps=1, every=1, seed=0)
    monkeypatch.setattr(reference_flows, "ROTATION", 0.0)
    # other roundings turn over single neighbours and single test samples, of 60 and 12
    allowed = {"nmi": 0.05, "nn1": 0.04, "nnk": 0.01, "linear_probe": 0.2}
    for flow in reference_flows.FLOWS.values():
        with same_modes_afterwards():
            theirs = flow(options)
        for split in ("0/seen", "0/unseen"):
            for probe, values in theirs["scores"][split].items():
                for layer in range(1, blocks + 1):  # class tokens of layer 0 are all the same point
                    value = ours[split, probe, layer]
                    assert value == pytest.approx(values[layer], abs=allowed[probe]), (
                        flow,
                        split,
                        probe,
                        layer,
                    )
        assert theirs["g"] == max(theirs["scores"]["1/unseen"]["nmi"])
        assert 0.0 <= theirs["seen_accuracy"] <= 1.0


def test_the_images_are_cut_in_proportion(artists: Path, tmp_path: Path) -> None:
    """A share of .024 of 2,500 is 60 images: twelve, all there are, of each unseen class, four of each seen one."""
    whole_job.lay_out(artists, tmp_path / "cut", 0.024)
    counts = {
        part: {len(list(folder.iterdir())) for folder in (tmp_path / "cut" / part).iterdir()}
        for part in whole_job.PARTS
    }
    assert counts == {"seen/train": {6}, "seen/test": {4}, "unseen": {12}}
    with pytest.raises(CannotMeasure, match="no calligraphy images for seen/train"):
        whole_job.lay_out(tmp_path / "cut" / "unseen", tmp_path / "again", 1.0)


def test_the_repositorys_layout_is_understood(tmp_path: Path) -> None:
    """csl is unseen, and its training files stand for it, as in the papers; bdsr is seen."""
    for name in ("train/csl/1.jpg", "test/csl/2.jpg", "train/bdsr/3.jpg", "test/bdsr/4.jpg"):
        (tmp_path / "from" / name).parent.mkdir(parents=True)
        (tmp_path / "from" / name).write_bytes(b"")
    whole_job.lay_out(tmp_path / "from", tmp_path / "to", 1.0)
    found = sorted(str(path.relative_to(tmp_path / "to")) for path in tmp_path.glob("to/**/*.jpg"))
    assert found == ["seen/test/bdsr/4.jpg", "seen/train/bdsr/3.jpg", "unseen/csl/1.jpg"]


# ------------------------------------------------------------------ two sides in one run
class Clock:
    now = 100.0

    def perf_counter(self) -> float:
        return self.now


def test_each_side_has_its_own_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare step takes 10 s and a bare pass 5 s; what passes between the hooks is ours."""
    clock = Clock()
    monkeypatch.setattr(network, "time", clock)

    class Slow(network.Beside):
        def setup(self, *_: Any) -> None:
            self._device, self._loader, self._resumed = torch.device("cpu"), iter([0, 0, 0, 0]), clock.now

        def _train(self, *_: Any) -> None:
            assert not torch.are_deterministic_algorithms_enabled()
            assert torch.is_grad_enabled()
            clock.now += 10
            torch.rand(1)

        def _embed(self, *_: Any) -> None:
            clock.now += 5

    beside = Slow(str(tmp_path / "out"), "", 8)
    batch = argparse.Namespace(images=None, labels=None)
    trainer = argparse.Namespace(global_step=0)

    def step(fetch: float, train: float) -> None:
        trainer.global_step += 1
        clock.now += fetch
        beside.on_train_batch_start()
        clock.now += train
        beside.on_train_batch_end(trainer, None, None, batch, 0)

    with same_modes_afterwards(), torch.no_grad():
        torch.use_deterministic_algorithms(True, warn_only=True)
        state = torch.get_rng_state()
        beside.setup()
        for _ in range(3):
            step(1, 2)
        beside.on_validation_start()
        clock.now += 3
        beside.on_validation_batch_end(trainer, None, None, batch, 0)
        clock.now += 4
        beside.on_validation_end()
        clock.now += 20  # a checkpoint
        step(1, 2)
        clock.now += 0.5
        beside.on_fit_end()
        assert torch.are_deterministic_algorithms_enabled()  # for our side
        assert torch.equal(state, torch.get_rng_state())
    assert json.loads((tmp_path / "out").read_text()) == {
        "steps": [[3.0, 10.0]],  # the third: two warm up, and the fourth comes after an evaluation
        "inputs": [[1.0, 0.0]],
        "evaluation": [7.0, 10.0],
        "total": [4 * 3 + 7 + 20 + 0.5, 4 * 10 + 10],
    }


# ------------------------------------------------------------------ the command
def test_a_tiny_run_writes_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, empty = tmp_path / "results.json", tmp_path / "empty"
    empty.mkdir()
    asked = ["network", "probe_suite", "--images", str(empty), "--rounds", "2", "--out", str(out)]
    assert run.main(["--tiny", *asked]) == 1
    shown = capsys.readouterr()
    assert f"network is not measured: {empty} has no calligraphy images for seen/train" in shown.err
    assert "scores agree" in shown.out
    results = json.loads(out.read_text(encoding="utf-8"))
    (machine,), (row,) = results["runs"], results["rows"]
    assert machine.keys() == MACHINE.keys()
    assert {"python", "torch", "lightning", "timm", "scikit-learn", "numpy"} <= set(machine["versions"])
    assert (row["name"], row["size"], row["device"], row["run"]) == (
        "probe_suite",
        "tiny",
        "cpu",
        machine["taken"],
    )
    assert row["ratio"]["median"] == pytest.approx(np.median([other / ours for ours, other in row["pairs"]]))


def test_a_loop_over_pixels_makes_the_same_noise() -> None:
    assert band_noise.difference(band_noise.made_up_images(0)) < 1e-6


def test_every_transfer_score_is_timed() -> None:
    settings = Settings("tiny", rounds=2)
    ((row,), scores) = transfer_scores.iimm(settings), transfer_scores.transfer_scores(settings)
    assert len(row.ours) == 2
    assert {row.name for row in scores} == {
        f"transfer_scores/{name}" for name in SCORES.keys() - transfer_scores.PARTS
    }
    assert all(value > 0 for each in [row, *scores] for value in each.ours)  # NaN where a score had no value


@pytest.mark.slow
def test_memory_of_a_score_is_the_peak_of_a_fresh_process() -> None:
    """GBC holds a copy of the features and what a mean for each image takes: 10 MB each."""
    grown = measure.in_fresh_process(transfer_scores._growth_of, "gbc", 0, (20_000, 10, 64))
    assert 10 < grown < 40


@pytest.mark.parametrize("name", technique_steps.TECHNIQUES)
def test_a_step_changes_what_its_technique_trains(name: str) -> None:
    """The checks can tell: the published LoRA moves its weights in forward passes."""
    arguments = technique_steps.TECHNIQUES[name]
    found = technique_steps._measured(name, arguments, "tiny", technique_steps.TINY, 0, 2)
    stays = "4 weights stay in 3 forward passes, " if name == "lora" else ""
    assert found["check"].startswith(f"only these weights changed, {stays}equal logits from a checkpoint of ")
    assert len(found["seconds"]) == 2
    assert 0 < found["trained"] <= found["parameters"]
    assert found["kept"] == (name in {"adapter", "probe"})
    if name == "lora":
        drifting = technique_steps._measured(name, {"accumulate": True}, "tiny", technique_steps.TINY, 0, 1)
        assert "4 weights MOVE in 3 forward passes" in drifting["check"]


@pytest.mark.slow
def test_a_bare_network_takes_turns_with_our_command(artists: Path) -> None:
    found = network.network(Settings("tiny", rounds=1, images=artists))
    assert [row.name for row in found] == ["floor", "training_steps", "inputs", "probing_share"]
    assert all(value > 0 for row in found for value in [*row.ours, *row.reference])


def test_the_papers_job_looks_at_as_many_neighbours_as_a_class_has_images() -> None:
    """Also at the cut size, whose 400 unseen images are fewer than the papers' 500 neighbours."""
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        config = compose("train", overrides=[*network.PAPERS_JOB.split(), *whole_job.ALL_IMAGES])
    assert (config.probe.k, config.model.name, config.data.name) == (None, "vit", "calligraphy")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["speed"], "'speed' is not one of startup, whole_job"),
        (["probe_suite_cuda"], "'probe_suite_cuda' is not one of startup"),
        (["--rounds", "0"], "--rounds must be 1 or more, and --seed 0 or more"),
        (["--images", "nowhere.zip"], "--images nowhere.zip does not exist"),
        (["--out", "{tmp}/file/results.json"], "the results cannot be written to {tmp}/file/results.json ("),
        (
            ["--out", "{tmp}/file"],
            "{tmp}/file is no results file of this command; name another file with --out",
        ),
    ],
)
def test_a_bad_argument_is_one_sentence_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (tmp_path / "file").write_text("no results", encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        run.main([text.format(tmp=tmp_path) for text in arguments])
    assert caught.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("usage") is False
    assert f"error: {sentence.format(tmp=tmp_path)}" in last


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_refused_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.main(["--device", "cuda", "--out", str(tmp_path / "results.json")])
    assert "--device cuda: torch finds no CUDA device here" in capsys.readouterr().err


def test_ctrl_c_keeps_the_finished_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> list[Row]:
        raise KeyboardInterrupt

    monkeypatch.setattr(probe_suites, "probe_suite_large", interrupted)
    out = tmp_path / "results.json"
    assert run.main(["--tiny", "probe_suite", "probe_suite_large", "--rounds", "1", "--out", str(out)]) == 130
    assert [row["name"] for row in json.loads(out.read_text(encoding="utf-8"))["rows"]] == ["probe_suite"]
