"""Runs of biases.py in the report: a section of its own, beside training runs or alone."""

from __future__ import annotations

import csv
import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from reporting.biases.bias_runs import write_measured, write_run, write_runs, write_seed
from reporting.browser import EXECUTABLE, Browser
from reporting.synthetic import Made, change_summary, make_run
from scipy.stats import t

from unseen.biases.accuracy import Accuracy
from unseen.biases.measuring import Observations
from unseen.biases.shape import ShapeBias
from unseen.reporting.biases.differences import FEWEST_DIFFERING, paired_difference
from unseen.reporting.biases.section import BiasSection, bias_section
from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.rerun_commands import bias_commands
from unseen.reporting.tables import Estimate, Table
from unseen.run_folder import SCHEMA

SHAPE = {("shape_bias", "cue_conflict"): 0.25, ("accuracy", "edges"): 0.5}


def page_of(root: Path) -> tuple[str, int, int]:
    made = build_report([root / "runs"], root / "out")
    return made.page.read_text(encoding="utf-8"), made.runs, made.left_out


def section_of(root: Path) -> BiasSection:
    found = collect([root])
    assert found.left_out == ()
    return bias_section(found.bias_runs)


def cells(table: Table, row: int = 0) -> dict[str, object]:
    return {column.heading: cell for column, cell in zip(table.columns, table.rows[row].cells, strict=True)}


# ------------------------------------------------------------------ pages
def test_beside_training_runs(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "trained", Made(model="cvt"))
    without, *_ = page_of(tmp_path)
    write_run(tmp_path / "runs" / "measured", "lite0", SHAPE, schema=SCHEMA)
    text, runs, left_out = page_of(tmp_path)
    assert (runs, left_out) == (2, 0)
    assert "1 finished run in 1 configuration, biases of 1 network" in text
    assert "tv_resnet50" in text
    # what is said of layers stays
    summary = without.split('<section id="summary">')[1].split("</section>")[0]
    assert summary in text
    assert (tmp_path / "out/figures/bias_scatter.svg").is_file()
    assert (tmp_path / "out/tables/biases.tex").is_file()


def test_bias_runs_alone(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 4, schema=SCHEMA)
    text, *_ = page_of(tmp_path)
    assert "<h1>Which biases the networks have</h1>" in text
    assert "No finished run was found" not in text
    assert "With 4 networks no rank correlation can have p ≤ .05" in text
    assert (tmp_path / "out/tables/own_correlations.csv").is_file()


def test_without_bias_runs_there_is_no_section(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "trained", Made(model="cvt"))
    text, *_ = page_of(tmp_path)
    assert '<section id="biases">' not in text
    assert "tv_resnet50" not in text


@pytest.mark.slow
@pytest.mark.skipif(EXECUTABLE is None, reason="no chromium on PATH (apt-get install chromium)")
def test_in_a_browser(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 4, schema=SCHEMA, missing={"edges": "<no> folder"})
    page_of(tmp_path)
    with Browser(tmp_path / "profile") as browser:
        browser.resize(1200)
        browser.open((tmp_path / "out/index.html").as_uri())
        drawn = "[...document.querySelectorAll('.figure')].map(one => one.querySelectorAll('.mark-symbol path').length)"
        assert min(browser.run(drawn)) > 0
        assert browser.problems == []
        links = browser.run("[...document.querySelectorAll('#contents a')].map(a => a.hash)")
        assert links[:2] == ["#biases", "#bias-figures"]
        # a heading sorts with the keyboard, too
        browser.run("document.querySelector('#table-biases th:nth-child(2) button').focus()")
        for kind in ("keyDown", "keyUp"):
            browser.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                text="\r",
                windowsVirtualKeyCode=13,
            )
        first = "document.querySelector('#table-biases tbody td').textContent"
        assert browser.run(first) == "net3"  # the largest shape bias
        browser.resize(400)
        browser.wait_for(lambda: browser.run("document.documentElement.scrollWidth") <= 400, 20)
        browser.print(tmp_path / "page.pdf")
        assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


# ------------------------------------------------------------------ tables
def test_a_network_has_its_values_and_its_g_in_one_row(tmp_path: Path) -> None:
    groups = {"robustness": {"accuracy": 0.4, "benchmarks": ["imagenet_c"]}}
    numbers = [[1], [1], [1], [0]]
    measured = {
        ("accuracy", "edges"): (Accuracy(), numbers),
        ("accuracy", "imagenet_c-fog-3"): (Accuracy(), numbers),
    }
    write_measured(
        tmp_path / "a", "vit@run", measured, schema=SCHEMA, groups=groups, g=0.31, best_layer=7, limit=4,
        missing={"imagenet": "no folder"}, not_measured={"shape_bias": "no cue-conflict images"},
    )  # fmt: skip
    section = section_of(tmp_path)
    row = cells(section.tables["biases"])
    # the parts of a benchmark are in its group; no interval: it is no mean over images
    assert list(row) == [
        "network",
        "accuracy (edges)",
        "accuracy, Robustness (imagenet_c)",
        "g",
        "best layer",
    ]
    assert [row[name] for name in ("accuracy, Robustness (imagenet_c)", "g", "best layer")] == [0.4, 0.31, 7]
    value = row["accuracy (edges)"]
    assert isinstance(value, Estimate)
    assert (value.mean, value.n) == (0.75, 4)
    assert value.low < 0.75 < value.high
    assert len(section.tables["bias_values"].rows) == 2
    assert [found.cells[1:3] for found in section.tables["bias_not_measured"].rows] == [
        ("imagenet", "no folder"), ("shape_bias", "no cue-conflict images")
    ]  # fmt: skip
    assert "at most 4 images" in " ".join(section.sentences)
    assert "says nothing about another seed" in " ".join(section.sentences)


def test_many_values_of_few_networks_are_rows(tmp_path: Path) -> None:
    values = {(f"measure_{at}", "edges"): at / 10 for at in range(11)}
    for name in ("a", "b"):
        write_run(tmp_path / name, name, values, schema=SCHEMA)
    table = section_of(tmp_path).tables["biases"]
    assert [column.heading for column in table.columns] == ["value", "a", "b"]
    assert [row.cells[0] for row in table.rows][:2] == ["measure 0 (edges)", "measure 1 (edges)"]
    assert isinstance(table.rows[3].cells[2], Estimate)


def test_seeds_have_a_mean_with_a_t_interval(tmp_path: Path) -> None:
    """Of .3, .4, .5: sd .1. Of g = .1, .5, .9 the interval by t is -.49 to 1.49, and g lies in 0 to 1."""
    for seed, (bias, g) in enumerate(((0.3, 0.1), (0.4, 0.5), (0.5, 0.9))):
        write_seed(tmp_path / f"s{seed}", seed, bias, g=g)
    write_seed(tmp_path / "longer", 4, 0.9, 0.5, **{"trainer.max_steps": 500})  # another training
    section = section_of(tmp_path)
    (row,) = section.tables["bias_seeds"].rows
    assert row.cells[:2] == ("vit on calligraphy", 3)
    found = cells(section.tables["bias_seeds"])["low frequency bias (own_test_images)"]
    assert isinstance(found, Estimate)
    reach = t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert (found.mean, found.std, found.low, found.high) == pytest.approx(
        (0.4, 0.1, 0.4 - reach, 0.4 + reach)
    )
    of_g = cells(section.tables["bias_seeds"])["g"]
    assert isinstance(of_g, Estimate)
    assert (of_g.mean, of_g.low, of_g.high) == pytest.approx((0.5, 0, 1))
    assert len(section.tables["biases"].rows) == 4


def test_settings_tell_runs_of_one_network_apart(tmp_path: Path) -> None:
    for place, limit in enumerate((100, 300)):
        folder = write_run(tmp_path / f"day{place}" / "model-lite0", "lite0", SHAPE, schema=SCHEMA)
        config = {"limit": limit, "paths": {"output_dir": str(folder)}}
        (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    write_run(tmp_path / "other", "lite1", SHAPE, schema=SCHEMA)
    table = section_of(tmp_path).tables["biases"]
    assert [row.cells[0] for row in table.rows] == ["lite0 (limit=100)", "lite0 (limit=300)", "lite1"]


def test_folders_tell_runs_apart_where_no_setting_does(tmp_path: Path) -> None:
    for day in (1, 2):
        write_run(tmp_path / f"day{day}" / "model-lite0", "lite0", SHAPE, schema=SCHEMA)
    table = section_of(tmp_path).tables["biases"]
    assert [row.cells[0] for row in table.rows] == ["lite0 (day1)", "lite0 (day2)"]


def test_other_networks_have_no_seeds(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"{seed}", "lite0", SHAPE, schema=SCHEMA, seed=seed)
    assert "bias_seeds" not in section_of(tmp_path).tables


# ------------------------------------------------------------------ two networks on the same images
def right(share: float, n: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random((n, 1)) < share).astype(float)


def test_a_pair_is_compared_over_the_same_images(tmp_path: Path) -> None:
    n, a, b = 240, right(0.8, 240, 1), right(0.5, 240, 2)
    for name, numbers in (("a", a), ("b", b)):
        write_measured(tmp_path / name, name, {("accuracy", "edges"): (Accuracy(), numbers)}, schema=SCHEMA)
    section = section_of(tmp_path)
    row = cells(section.tables["bias_differences"])
    found = row["first − second"]
    assert isinstance(found, Estimate)
    assert found.mean == pytest.approx((a - b).mean())
    # the interval of a mean difference: about that of t
    reach = t.ppf(0.975, n - 1) * (a - b).std(ddof=1) / math.sqrt(n)
    assert (found.low, found.high) == pytest.approx((found.mean - reach, found.mean + reach), abs=0.015)
    assert (row["n"], row["differing"], row["verdict"]) == (n, (a != b).sum(), "different")
    assert section.sentences[1].startswith(
        "1 difference of two networks over the same images was tested; shown: accuracy on edges is higher by "
    )


def test_pairing_makes_the_interval_short(tmp_path: Path) -> None:
    """Two networks that err on nearly the same images: unpaired intervals overlap, the paired one excludes zero."""
    a = right(0.5, 240, 1)
    b = a.copy()
    b[np.flatnonzero(a[:, 0])[:15]] = 0
    for name, numbers in (("a", a), ("b", b)):
        write_measured(tmp_path / name, name, {("accuracy", "edges"): (Accuracy(), numbers)}, schema=SCHEMA)
    tables = section_of(tmp_path).tables
    first, second = (cells(tables["biases"], at)["accuracy (edges)"] for at in (0, 1))
    assert isinstance(first, Estimate)
    assert isinstance(second, Estimate)
    assert second.high > first.low
    assert cells(tables["bias_differences"])["verdict"] == "different"


def test_other_images_or_few_differing_ones_are_not_compared(tmp_path: Path) -> None:
    a = right(0.5, 240, 1)
    b = a.copy()
    b[:9] = 1 - b[:9]  # nine images differ
    for name, numbers, images in (("a", a, "these"), ("b", b, "these"), ("c", right(0.9, 240, 3), "others")):
        measured = {("accuracy", "edges"): (Accuracy(), numbers)}
        write_measured(tmp_path / name, name, measured, images=images, schema=SCHEMA)
    (row,) = section_of(tmp_path).tables["bias_differences"].rows
    assert (row.cells[0], row.cells[1], row.cells[-1]) == ("a", "b", "not compared")


def test_damaged_numbers_cost_the_comparison_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        measured = {("accuracy", "edges"): (Accuracy(), right(0.5, 40, ord(name)))}
        write_measured(tmp_path / name, name, measured, schema=SCHEMA)
    (tmp_path / "b" / "resamples" / "accuracy@edges.npz").write_bytes(b"PK\3\4 no archive")
    section = section_of(tmp_path)
    assert "bias_differences" not in section.tables
    assert "accuracy@edges.npz: it is damaged" in section.sentences[-1]


def test_another_number_of_resamples_is_not_compared(tmp_path: Path) -> None:
    for name in ("a", "b"):
        measured = {("accuracy", "edges"): (Accuracy(), right(0.5, 40, ord(name)))}
        write_measured(tmp_path / name, name, measured, schema=SCHEMA)
    path = tmp_path / "b" / "resamples" / "accuracy@edges.npz"
    with np.load(path) as kept:
        arrays = dict(kept)
    np.savez(path, **arrays | {"values": arrays["values"][:500]})  # type: ignore[arg-type]
    assert "bias_differences" not in section_of(tmp_path).tables


@pytest.mark.parametrize("kind", ["accuracy", "shape_bias"])
@pytest.mark.parametrize("alike", [0.95, 0.5])
def test_the_level_holds(kind: str, alike: float) -> None:
    """Equal networks, 240 images: a test of two at .05 finds a difference in at most .05 of 1,000 cases (± .014)."""
    rng, n, rejected, repeats = np.random.default_rng(0), 240, 0, 1000
    measure = Accuracy() if kind == "accuracy" else ShapeBias()
    weights = np.append(np.ones(n), np.full(4, 0.5))  # two images are added to those that are right or wrong
    counts = np.random.default_rng(0).multinomial(n + 2, weights / (n + 2), size=1000)
    first, others = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
    added = np.column_stack([first, *[others] * (len(measure.columns) - 1)])
    for repeat in range(repeats):
        shared = rng.random(n)
        numbers = []
        for _ in range(2):  # each image is as hard for both, and `alike` of them are decided alike
            drawn = np.where(rng.random(n) < alike, shared, rng.random(n))
            one = (
                drawn < 0.6
                if kind == "accuracy"
                else np.stack([drawn < 0.2, (drawn >= 0.2) & (drawn < 0.7)], axis=1)
            )
            numbers.append(one.reshape(n, -1).astype(float))
        values = [
            measure.values(
                np.concatenate([one.mean(axis=0)[None], counts @ np.concatenate([one, added]) / (n + 2)])
            )[kind]
            for one in numbers
        ]
        if repeat == 0:  # the same draws as those of a run
            observations = Observations(measure, n, "")
            observations.numbers[:] = numbers[0]
            np.testing.assert_allclose(observations.paired()[kind], values[0][1:])
        _, p = paired_difference(values[0][1:], values[1][1:], values[0][0] - values[1][0], n, n)
        if (numbers[0] != numbers[1]).any(axis=1).sum() >= FEWEST_DIFFERING:
            rejected += p <= 0.05
    print(f"{kind}, {alike:.0%} decided alike: {rejected / repeats:.3f}")
    assert 0.005 < rejected / repeats < 0.064


# ------------------------------------------------------------------ folders that cannot be used
@pytest.mark.parametrize(
    ("facts", "status", "words"),
    [
        ({"groups": {"id": 0.7}}, "unreadable", "groups.id is 0.7"),
        ({"g": 2.5}, "unreadable", "g is 2.5"),
        ({"seed": "x"}, "unreadable", "seed is 'x'"),
        ({"missing": {"edges": ["a"]}}, "unreadable", "missing.edges is a list"),
        ({"status": "failed", "reason": "no images"}, "failed", "no images (biases)"),
        ({"status": "running"}, "died", "(biases)"),
        ({"schema": 99}, "refused", "has schema 99"),
    ],
)
def test_a_wrong_fact_is_named(tmp_path: Path, facts: dict[str, object], status: str, words: str) -> None:
    change_summary(write_run(tmp_path / "a", "lite0", SHAPE, schema=SCHEMA), **facts)
    (found,) = collect([tmp_path]).left_out
    assert found.status == status
    assert words in found.reason


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lite0,edges,accuracy,0.4,,,10", "accuracy on edges is there twice"),
        ("lite1,edges,other,0.4,,,10", "rows of several networks"),
        ("lite0,edges,other,inf,,,10", "a number that is not finite"),
        ("lite0,silhouettes,accuracy,1.5,,,10", "an accuracy outside of 0..1"),
        ("lite0,edges,other,0.4,0.5,0.3,10", "ends before it begins"),
        ("lite0,edges,other,0.4,,,0", "n is '0'"),
        ("lite0,edges,other,x,,,10", "value is 'x'"),
        ("lite0,edges\x1b,other,0.4,,,10", "images is"),
        ("lite0,edges,other", "lacks value"),
        ("lite0,edges," + "y" * 200_000 + ",0.4,,,10", "field larger"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, line: str, words: str) -> None:
    with (write_run(tmp_path / "a", "lite0", SHAPE, schema=SCHEMA) / "scores.csv").open("a") as file:
        file.write(line + "\n")
    (found,) = collect([tmp_path]).left_out
    assert found.status == "unreadable"
    assert found.reason.startswith("scores.csv: ")
    assert words in found.reason


def _cut(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def _spoil(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(20):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(bytes(content))


def _replace(path: Path, rng: random.Random) -> None:
    path.unlink()
    if rng.random() < 0.5:
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


def test_odd_folders_do_not_spoil_the_page(tmp_path: Path) -> None:
    files = (
        "summary.json",
        "scores.csv",
        "conditions.csv",
        "resamples/accuracy@edges.npz",
        "observations/accuracy@edges.npz",
    )
    ways: tuple[Callable[[Path, random.Random], None], ...] = (_cut, _spoil, _replace)
    measured = {("accuracy", "edges"): (Accuracy(), right(0.5, 40, 1))}
    pattern = write_measured(tmp_path / "runs" / "good", "good", measured, schema=SCHEMA)
    for number in range(30):
        rng, folder = random.Random(number), tmp_path / "runs" / f"odd{number:02d}"
        shutil.copytree(pattern, folder)
        ways[number % 3](folder / files[number % 5], rng)
    text, runs, left_out = page_of(tmp_path)
    assert runs + left_out == 31
    assert runs >= 1
    assert text.count("<script>") == 2


def test_the_newest_of_a_configuration_counts(tmp_path: Path) -> None:
    for day in (1, 2):
        folder = write_run(tmp_path / f"day{day}", "lite0", SHAPE, schema=SCHEMA, config_hash="abc")
        change_summary(folder, written=f"2026-11-0{day}T10:00:00+00:00")
    found = collect([tmp_path])
    assert [Path(run.name).name for run in found.bias_runs] == ["day2"]
    assert [one.status for one in found.left_out] == ["duplicate"]


def test_commands_measure_all_networks_again(tmp_path: Path) -> None:
    line = ["src/biases.py", "--config-path", "/x/.configs-1", "limit=40", "hydra.run.dir='/x'"]
    for name in ("lite0", "lite1"):
        write_run(tmp_path / name, name, SHAPE, schema=SCHEMA, command=[*line, f"model={name}"])
    own = ["src/biases.py", "ckpt_path=logs/a/checkpoints/last.ckpt"]
    write_run(tmp_path / "own", "vit@a", SHAPE, schema=SCHEMA, command=own)
    assert bias_commands(collect([tmp_path]).bias_runs) == [
        "python src/biases.py -m limit=40 model=lite0,lite1",
        "python src/biases.py ckpt_path=logs/a/checkpoints/last.ckpt",
    ]


def test_files_have_all_digits(tmp_path: Path) -> None:
    measured = {("accuracy", "edges"): (Accuracy(), [[1], [1], [0]])}
    write_measured(tmp_path / "runs" / "a", "a", measured, schema=SCHEMA)
    page_of(tmp_path)
    with (tmp_path / "out/tables/biases.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["accuracy (edges)"]) == pytest.approx(2 / 3, abs=1e-12)
    assert row["accuracy (edges) n"] == "3"
    assert json.loads((tmp_path / "runs/a/summary.json").read_text())["kind"] == "biases"
