"""The harness of `make bench`: its arithmetic, its reference, the shape of what it writes. Nothing is timed here."""

from __future__ import annotations

import argparse
import doctest
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as tv

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import command, options, reference_flow, timing  # noqa: E402  (benchmarks are no part of the package)
from benchmarks.embeddings import made_up_embeddings  # noqa: E402
from benchmarks.job import SPEC, Listener, new_backbone, new_trainer  # noqa: E402
from benchmarks.probe_suites import TOLERANCES, compare  # noqa: E402
from benchmarks.reference_probes import PROBES, score_layer  # noqa: E402
from benchmarks.rows import Row, cells, markdown, paired  # noqa: E402
from benchmarks.timing import Pair, alternate, fit_exponent, spread  # noqa: E402
from benchmarks.whole_job import _place, lay_out  # noqa: E402
from tests.torch_modes import same_modes_afterwards  # noqa: E402

from unseen.callbacks.layer_probe import LayerProbe  # noqa: E402
from unseen.data.datamodule import SeenUnseenDataModule  # noqa: E402
from unseen.data.sources.calligraphy import Calligraphy  # noqa: E402
from unseen.probes import ProbeSuite, run_probes  # noqa: E402
from unseen.training import SeenClassifier  # noqa: E402


# ------------------------------------------------------------------ arithmetic
def test_a_ratio_is_the_median_of_the_pairs_not_the_ratio_of_medians() -> None:
    """Speed-ups of the pairs: 4/1, 6/2, 6/3, 12/4, 5/5 = 4, 3, 2, 3, 1; their median is 3, that of 6 / 3 is 2."""
    pairs = [Pair(1, 4), Pair(2, 6), Pair(3, 6), Pair(4, 12), Pair(5, 5)]
    row = paired("x", "", pairs, at_least=3.0)
    assert row.ratio is not None
    assert (row.ratio.median, row.ratio.least, row.ratio.most) == (3.0, 1.0, 4.0)
    assert (row.ratio.lower, row.ratio.upper) == (2.0, 3.0)  # sorted 1 2 3 3 4: second and fourth
    assert row.met is True
    assert paired("x", "", pairs, at_least=3.1).met is False
    overhead = paired("x", "", [Pair(11, 10)] * 5, at_most=1.1)
    assert overhead.ratio is not None
    assert overhead.ratio.median == pytest.approx(1.1)
    assert overhead.ratio_of == "ours / reference"


def test_fewer_than_five_pairs_claim_nothing() -> None:
    row = paired("x", "", [Pair(1, 10)] * 4, at_least=3.0)
    assert row.met is None
    assert "4 of 5 pairs" in cells(row.to_dict())[3]


def test_pairs_take_turns_in_being_first() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return 1.0

    alternate(lambda: side("o"), lambda: side("r"), pairs=3)
    assert order == ["o", "r", "r", "o", "o", "r"]


def test_no_pair_begins_after_the_deadline_but_one_is_always_there() -> None:
    assert len(alternate(lambda: 1.0, lambda: 1.0, pairs=5, go_on=lambda: False)) == 1


def test_an_exponent_is_the_slope_in_logarithms() -> None:
    assert fit_exponent([1, 2, 4], [5.0, 20.0, 80.0]).value == pytest.approx(2.0)  # times 4 for each doubling
    # x = -1, 0, 1 in units of log 2; y = 0, 2, 1 in the same: slope (1 - 0) / 2 = 0.5,
    # residuals -0.5, 1, -0.5 about the mean 1, sum of squares 1.5, error sqrt(1.5 / 1 / 2) = 0.866
    fitted = fit_exponent([1, 2, 4], [1.0, 4.0, 2.0])
    assert fitted.value == pytest.approx(0.5)
    assert fitted.error == pytest.approx(math.sqrt(0.75), abs=1e-6)
    assert math.isnan(fit_exponent([1, 2], [1.0, 2.0]).error)
    with pytest.raises(ValueError, match="two sizes"):
        fit_exponent([3, 3], [1.0, 2.0])


def test_a_spread_is_numpys_percentiles() -> None:
    assert spread([4.0, 1.0, 3.0, 2.0]) == (2.5, 1.75, 3.25, 1.0, 4.0, 4)


def test_a_row_that_was_not_measured_says_so() -> None:
    row = Row("x", "", at_least=3.0, not_measured="no images").to_dict()
    assert cells(row)[:2] == ("x", "not run")
    assert row["met"] is None


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(timing).failed == 0


# ------------------------------------------------------------------ the reference is what it says
def test_the_reference_transform_is_torchvisions_definition() -> None:
    """Resize, white pad of 20/224, a drawn angle, centre crop, tensor, normalised: step by step with the same angle."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 60, 3), dtype=np.uint8))
    torch.manual_seed(3)
    got = reference_flow.paper_transform(64, 10.0)(picture)
    torch.manual_seed(3)
    angle = float(torch.empty(1).uniform_(-10.0, 10.0))
    padded = tv.pad(tv.resize(picture, [64]), [6], fill=255)  # 20 * 64 / 224 = 5.7
    cropped = tv.center_crop(tv.rotate(padded, angle), [64])
    expected = tv.normalize(tv.to_tensor(cropped), reference_flow.MEAN, reference_flow.STD)
    assert torch.equal(got, expected)


def test_the_reference_probes_score_a_layer_as_ours() -> None:
    features, labels = made_up_embeddings(400, 32, 4)
    theirs = score_layer(features, labels, k=100)
    ours = run_probes(features, labels, ProbeSuite(n_init=1, k=100))
    assert compare([ours], [theirs], num_samples=400)["equal"]
    assert 0.2 < ours["nmi"] < 0.95  # neither trivial nor hopeless
    assert ours["linear_probe"] < 1.0
    assert set(TOLERANCES) == set(PROBES)


@pytest.fixture(scope="module")
def artists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seen and the five unseen artists, with pictures that differ."""
    root = tmp_path_factory.mktemp("artists")
    rng = np.random.default_rng(0)
    unseen = ("csl", "hy", "mf", "shz", "wzm")
    parts = [(f"seen/{part}", ("bdsr", "fwq", "gj"), count) for part, count in (("train", 8), ("test", 10))]
    for part, names, count in [*parts, ("unseen", unseen, 10)]:
        for number, name in enumerate(names):
            (root / part / name).mkdir(parents=True)
            for picture in range(count):
                pixels = rng.integers(0, 90, (32, 32, 3)) + 30 * number
                Image.fromarray(pixels.astype(np.uint8)).save(root / part / name / f"{picture}.png")
    return root


def test_the_reference_flow_scores_as_ours(artists: Path) -> None:
    """The same weights and images, not rotated: at step 0 both sides find the same numbers in each layer."""
    settings = reference_flow.parse(
        ["--data", str(artists), "--out", "-", "--size", "32", "--rotation", "0", "--steps", "1", "--every", "1",
         "--at-start", "--batch", "12", "--k", "5"]
    )  # fmt: skip
    theirs = reference_flow.run(settings)["evaluations"][0]

    datamodule = SeenUnseenDataModule(
        Calligraphy(root=str(artists)), image_size=32, mean=SPEC.mean, std=SPEC.std, batch_size=12
    )
    datamodule.setup()
    torch.manual_seed(settings.seed)
    module = SeenClassifier(SPEC.build(3, 32), lr=1e-3, channels_last=True)
    listener = Listener()
    probe = LayerProbe(ProbeSuite(n_init=1, k=5), listener)
    new_trainer([probe], max_steps=1, every=1).validate(module, datamodule, verbose=False)

    (scoring,) = listener.scorings
    assert scoring.seen_accuracy == pytest.approx(theirs["seen_accuracy"], abs=1e-6)  # torchmetrics: float32
    ours = {(row.split, row.layer, row.probe): row.value for row in scoring.scores}
    # channels_last changes roundings, which can turn over single neighbours and single test samples (6 or 10 of them)
    allowed = {"nmi": 0.1, "nn1": 0.05, "nnk": 0.02, "linear_probe": 0.2}
    for split in ("seen", "unseen"):
        for layer, scores in enumerate(theirs[split]):
            for name, value in scores.items():
                assert ours[split, layer, name] == pytest.approx(value, abs=allowed[name]), (
                    split,
                    layer,
                    name,
                )


def test_both_sides_start_from_the_same_weights() -> None:
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model("convnextv2_atto", num_classes=15).state_dict()
    ours = new_backbone(64, seed=0).network.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_the_images_are_cut_in_proportion(artists: Path, tmp_path: Path) -> None:
    """24 training images to 12: four of each class; 30 and 50 to 25: 8 of each seen, 5 of each unseen class."""
    lay_out(artists, tmp_path / "cut", train=12, evaluated=25)
    counts = {
        str(folder.relative_to(tmp_path / "cut")): len(list(folder.iterdir()))
        for folder in (tmp_path / "cut").rglob("*")
        if folder.is_dir() and any(path.is_file() for path in folder.iterdir())
    }
    assert {count for name, count in counts.items() if name.startswith("seen/train")} == {4}
    assert {count for name, count in counts.items() if name.startswith("seen/test")} == {8}
    assert {count for name, count in counts.items() if name.startswith("unseen")} == {5}
    with pytest.raises(FileNotFoundError, match="seen/train"):
        lay_out(tmp_path / "cut" / "unseen", tmp_path / "again", train=1, evaluated=1)


def test_the_repositorys_layout_is_understood() -> None:
    """csl is unseen, and its training files stand for it, as in the papers; bdsr is seen."""
    top = "calligraphy_data-6248/"
    assert _place(f"{top}train/csl/1.jpg") == ("unseen", "csl")
    assert _place(f"{top}test/csl/1.jpg") is None
    assert _place(f"{top}test/bdsr/1.jpg") == ("seen/test", "bdsr")
    assert _place("seen/train/bdsr/1.jpg") == ("seen/train", "bdsr")
    assert _place("README.md") is None


# ------------------------------------------------------------------ the command
def test_a_tiny_run_writes_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    asked = ["floor", "training_steps", "input", "probe_suite"]
    with same_modes_afterwards():
        assert command.main(["--tiny", *asked, "--out", str(out)]) == 0
    assert "probe_suite" in capsys.readouterr().out
    results = json.loads(out.read_text(encoding="utf-8"))
    assert set(results) == {"schema", "size", "machine", "floors", "rows", "seconds", "benchmark_seconds"}
    assert {
        "cpu",
        "cores",
        "memory_gb",
        "versions",
        "blas",
        "commit",
        "torch_threads",
        "load_average",
    } <= set(results["machine"])
    assert {"torch", "lightning", "timm", "scikit-learn", "numpy"} <= set(results["machine"]["versions"])
    names = [row["name"] for row in results["rows"]]
    floors = ["floor", "floor/network"]
    assert names == [*floors, "training_steps", "input", "input/with_decoding", "input/once", "probe_suite"]
    row = results["rows"][-1]
    assert len(row["pairs"]) == 2
    assert row["ratio"]["median"] == pytest.approx(np.median([b / a for a, b in row["pairs"]]))
    assert row["met"] is None  # two pairs claim nothing
    assert row["ours_over_floor"] > 1
    shown = markdown(results)
    assert "| probe_suite |" in shown
    assert command.main(["--markdown", str(out)]) == 0


def test_missing_images_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "results.json"
    assert command.main(["--tiny", "whole_job", "--calligraphy", "nowhere.zip", "--out", str(out)]) == 0
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["name"] for row in rows] == ["whole_job", "whole_job/bf16"]
    assert rows[0]["not_measured"].startswith("there are no calligraphy images at nowhere.zip; name a folder")
    assert "not run" in capsys.readouterr().out


def test_a_place_that_cannot_be_written_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    out = tmp_path / "file" / "results.json"
    assert command.main(["--tiny", "--out", str(out)]) == 1
    shown = capsys.readouterr()
    assert f"error: the results cannot be written to {out} (" in shown.err
    assert not shown.out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("{", "is no results file of this command, or has no rows"),
        ('{"schema": 1, "rows": []}', "is no results file of this command, or has no rows"),
    ],
)
def test_no_results_file_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, sentence: str
) -> None:
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as caught:
        command.main(["--markdown", str(path)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument --markdown: {path} {sentence}\n")


def test_ctrl_c_keeps_the_finished_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import probe_suites

    def interrupted(_setting: object) -> list[Row]:
        raise KeyboardInterrupt

    monkeypatch.setattr(probe_suites, "probe_suite_large", interrupted)
    out = tmp_path / "results.json"
    assert command.main(["--tiny", "probe_suite", "probe_suite_large", "--out", str(out)]) == 130
    assert [row["name"] for row in json.loads(out.read_text(encoding="utf-8"))["rows"]] == ["probe_suite"]


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["speed"])
    assert "'speed' is not one of startup, whole_job" in capsys.readouterr().err


def test_the_settings_of_the_reference_are_the_jobs() -> None:
    settings = reference_flow.parse(["--data", "x", "--out", "y"])
    assert isinstance(settings, argparse.Namespace)
    assert (settings.steps, settings.every, settings.batch, settings.size, settings.n_init) == (
        60,
        30,
        72,
        64,
        1,
    )


def test_options_are_compared_one_by_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = (
        "options.py --model resnet10t --size 32 --batch 4 --rounds 1 --options channels_last fused bfloat16"
    )
    monkeypatch.setattr(sys, "argv", line.split())
    options.main()
    head, *rows = capsys.readouterr().out.splitlines()
    assert "resnet10t, 4 images of 32 px, 1 pairs" in head
    assert [row.split()[0] for row in rows] == ["channels_last", "fused", "bfloat16"]
    assert all(row.count(" x ") == 2 for row in rows)
