"""Runs of transfer.py in the report: a section of its own, beside other runs or alone."""

from __future__ import annotations

import csv
import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.biases.bias_runs import write_runs
from reporting.browser import EXECUTABLE, Browser
from reporting.synthetic import Made, make_run
from reporting.transfer.made_transfer import write_study, write_transfer

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.rerun_commands import transfer_commands
from unseen.reporting.tables import Estimate, Table
from unseen.reporting.transfer.outcome_panels import apart
from unseen.reporting.transfer.section import TransferSection, transfer_section
from unseen.reporting.transfer.tuned_tasks import TunedTask, tuned_tasks
from unseen.run_folder import SCHEMA


def section_of(root: Path) -> TransferSection:
    found = collect([root])
    assert found.left_out == ()
    groups, study, left_out = tuned_tasks(found.transfer_runs)
    assert left_out == []
    return transfer_section(groups, study)


def cells(table: Table, row: int = 0) -> dict[str, object]:
    return {column.heading: cell for column, cell in zip(table.columns, table.rows[row].cells, strict=True)}


def marks_of(spec: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [layer for layer in spec["layer"] if layer["mark"]["type"] == kind]


# ------------------------------------------------------------------ pages
def test_transfer_runs_alone(tmp_path: Path) -> None:
    write_study(tmp_path / "runs", encoders=("clip",), tasks=("a", "b", "c", "d"), seeds=1)
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    text = made.page.read_text(encoding="utf-8")
    assert (made.runs, made.left_out) == (8, 0)
    assert made.summaries[0] == "8 runs: 4 tasks (a, b, c, d), tuned by full, lora."
    assert "<h1>What fine-tuning gains on a task, and what it forgets</h1>" in text
    assert "No finished run was found" not in text
    assert "8 runs of transfer ·" in text
    assert "python src/transfer.py -m encoder=clip data=a,b,c,d technique=full,lora seed=0" in text
    figures = {path.name for path in (tmp_path / "out/figures").iterdir()}
    for name in ("transfer_gain", "transfer_mean_change", "transfer_changes"):
        assert {f"{name}.svg", f"{name}.png"} <= figures
    for name in ("transfer", "transfer_lines", "transfer_scores", "transfer_changes", "transfer_measures"):
        assert (tmp_path / f"out/tables/{name}.tex").is_file()
        assert f'href="tables/{name}.csv"' in text


def test_without_transfer_runs_there_is_no_section(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "trained", Made(model="cvt"))
    text = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    assert '<section id="transfer' not in text


@pytest.fixture(scope="module")
def all_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("all")
    make_run(root / "runs" / "trained", Made(model="cvt"))
    write_runs(root / "runs" / "biases", 2, schema=SCHEMA)
    write_study(root / "runs" / "transfer", tasks=("digits", "a <b>", "edges", "artists"), alphas=(0, 0.5, 1))
    write_transfer(root / "runs" / "failed", "clip", "x", "full", status="failed", reason="no <weights> left")
    build_report([root / "runs"], root / "out")
    return root


def test_beside_the_other_two_systems(all_three: Path) -> None:
    text = (all_three / "out/index.html").read_text(encoding="utf-8")
    assert (
        "1 finished run in 1 configuration, biases of 2 networks, 32 runs of transfer, 1 folder left out"
        in text
    )
    assert "<h1>Which network, and which layer of it" in text
    for section in (
        "layers",
        "biases",
        "transfer",
        "transfer-outcomes",
        "transfer-changes",
        "runs",
        "left-out",
    ):
        assert f'<section id="{section}">' in text
    assert "no &lt;weights&gt; left (transfer)" in text
    assert "a <b>" not in text.split("<script", maxsplit=1)[0]
    assert text.count("<script>") == 2


@pytest.mark.slow
@pytest.mark.skipif(EXECUTABLE is None, reason="no chromium on PATH (apt-get install chromium)")
def test_in_a_browser(all_three: Path, tmp_path: Path) -> None:
    page = (all_three / "out/index.html").as_uri()
    with Browser(tmp_path / "profile") as browser:
        browser.resize(1200)
        browser.open(page)
        assert browser.problems == []
        assert set(browser.requests) == {page}
        drawn = browser.run(
            "[...document.querySelectorAll('section[id^=transfer] .figure')].map(one => [one.dataset.drawn, "
            "one.getAttribute('aria-label'), one.querySelectorAll('.mark-symbol path, .mark-rect path').length])"
        )
        # two encoders: gain, forgetting, changes of two techniques, curves of these on four tasks
        assert len(drawn) == 8 + 16
        assert all(state == "true" and marks > 3 for state, _, marks in drawn)
        labels = [label for _, label, _ in drawn]
        assert labels[0] == "Gain against IIMM, clip"
        assert labels[7] == "change of accuracy of every task, composed, lora"
        assert labels[-1] == "accuracy between zero-shot and fine-tuned, composed, lora, edges"
        # every task has its name over the first panel, and none covers another
        boxes = browser.run(
            "[...document.querySelector('#transfer-outcomes .figure').querySelectorAll('.mark-text.role-mark text')]"
            ".map(one => [one.textContent, one.getBoundingClientRect().x])"
        )
        assert sorted(name for name, _ in boxes) == ["a <b>", "artists", "digits", "edges"]
        places = sorted(x for _, x in boxes)
        assert min(after - before for before, after in pairwise(places)) > 8
        links = browser.run("[...document.querySelectorAll('#contents a')].map(a => a.hash)")
        assert {"#biases", "#transfer", "#transfer-outcomes", "#transfer-changes"} <= set(links)
        # colours of points follow the page
        fill = "getComputedStyle(document.querySelector('#transfer-outcomes .mark-symbol path')).fill"
        browser.prefer("light")
        light = browser.run(fill)
        browser.prefer("dark")
        assert browser.run(fill) != light
        browser.prefer("light")
        # a heading sorts with the keyboard
        browser.run("document.querySelector('#table-transfer th:nth-child(5) button').focus()")
        for kind in ("keyDown", "keyUp"):
            key = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}
            browser.send("Input.dispatchKeyEvent", type=kind, **key)
        assert browser.run("document.querySelector('#table-transfer th[aria-sort]').textContent") == "n"
        assert browser.run("document.querySelector('#transfer .scroll').tabIndex") == 0
        browser.resize(400)
        browser.wait_for(lambda: browser.run("document.documentElement.scrollWidth") <= 400, 20)
        browser.print(tmp_path / "page.pdf")
        assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


# ------------------------------------------------------------------ tables by hand
def test_a_row_has_means_over_seeds(tmp_path: Path) -> None:
    # gains: .2/.4 and .3/.4; changes of the other two: (-.1 - .3)/2 and (-.1 - .1)/2
    elsewhere = ({"b": -0.1, "c": -0.3}, {"b": -0.1, "c": -0.1})
    for seed, (after, others) in enumerate(zip((0.8, 0.9), elsewhere, strict=True)):
        write_transfer(
            tmp_path / f"{seed}", "clip", "a", "lora", iimm=0.25, before=0.6, after=after, others=others, seed=seed
        )  # fmt: skip
    section = section_of(tmp_path)
    row = cells(section.tables["transfer"])
    assert (row["encoder"], row["which is"], row["task"], row["technique"], row["n"], row["others"]) == (
        "clip", "clip of random weights", "a", "lora", 2, 2,
    )  # fmt: skip
    assert (row["IIMM"], row["zero-shot"], row["trained weights"]) == (0.25, 0.6, 245_760)
    for heading, mean, spread in (("after", 0.85, 0.1), ("gain", 0.625, 0.25), ("other tasks", -0.15, 0.1)):
        found = row[heading]
        assert isinstance(found, Estimate)
        assert (found.mean, found.std) == pytest.approx((mean, spread / math.sqrt(2)))
    changes = section.tables["transfer_changes"]
    of_c = next(cells(changes, at) for at in range(3) if cells(changes, at)["tested on"] == "c")
    assert (of_c["trained on"], of_c["before"], of_c["after"]) == ("a", 0.5, pytest.approx(0.3))
    assert "seed" not in " ".join(section.sentences[1:])
    assert "A line over tasks needs 4" in section.sentences[1]


def test_a_single_seed_is_said(tmp_path: Path) -> None:
    write_transfer(tmp_path / "a", "clip", "a", "full")
    write_transfer(tmp_path / "b", "composed", "a", "full", composed=True)
    section = section_of(tmp_path)
    assert cells(section.tables["transfer"])["gain"] == pytest.approx(0.4)
    assert (
        section.sentences[-1] == "All trainings have a single seed: what another one would give is not known."
    )
    assert section.sentences[1].startswith(
        "composed: two towers trained apart and joined, a demonstration and no CLIP"
    )
    assert cells(section.tables["transfer"], 1)["which is"] == "demonstration, no CLIP"
    assert [panel.title for panel in section.maps] == [
        "clip, full",
        "composed (demonstration, no CLIP), full",
    ]


def test_measures_alone(tmp_path: Path) -> None:
    write_transfer(tmp_path / "a", "clip", "a", "none", trainable_parameters=None)
    section = section_of(tmp_path)
    assert section.sentences == ("No run of transfer.py has trained: there are measures alone.",)
    assert (section.outcomes, section.maps, section.files) == ((), (), {})
    row = cells(section.tables["transfer"])
    assert (row["technique"], row["IIMM"], row["gain"], row["other tasks"]) == (
        "none (measured only)", 0.3, None, None,
    )  # fmt: skip
    assert cells(section.tables["transfer_measures"])["measure"] == "iimm"
    build_report([tmp_path], tmp_path / "out")


def test_the_row_of_a_line(tmp_path: Path) -> None:
    # gain = 2 iimm + .1, but for one task that is .02 off
    for place, task in enumerate("abcde"):
        iimm = 0.1 + 0.05 * place
        gain = 2 * iimm + 0.1 + 0.02 * (place == 2)
        write_transfer(tmp_path / task, "clip", task, "full", iimm=iimm, before=0.5, after=0.5 + gain / 2)
    section = section_of(tmp_path)
    row = cells(section.tables["transfer_lines"])
    slope = row["slope"]
    assert isinstance(slope, Estimate)
    assert (row["of"], row["against"], row["n"], row["verdict"]) == ("gain", "iimm", 5, "may be claimed")
    assert slope.mean == pytest.approx(2)
    assert slope.low < 2 < slope.high
    assert isinstance(row["τ"], Estimate)
    assert row["τ"].mean == pytest.approx(1)
    assert section.sentences[1].startswith("gain goes with iimm over 5 tasks (clip, full): slope 2 [")
    assert "does not say that the measure is the reason" in " ".join(section.sentences)


def test_forecasts_stand_by_themselves(tmp_path: Path) -> None:
    for place, task in enumerate("abcd"):
        write_transfer(
            tmp_path / task, "clip", task, "full", iimm=0.2 + 0.1 * place, after=0.6 + 0.05 * place
        )
    write_transfer(tmp_path / "new", "clip", "new", "none", iimm=0.25)
    section = section_of(tmp_path)
    (text,) = section.forecasts
    assert text.startswith("new, not tuned by full (clip): gain forecast 0.2")
    assert text not in section.sentences
    row = cells(section.tables["new_tasks"])
    assert (row["task"], row["n"], row["IIMM"], row["beyond them"]) == ("new", 4, 0.25, "no")
    # gain = .2 + .1 (iimm - .2) / .1
    assert isinstance(row["forecast"], Estimate)
    assert row["forecast"].mean == pytest.approx(0.25)


def test_many_relations_are_folded(tmp_path: Path) -> None:
    for place, task in enumerate("abcdefgh"):
        for technique in ("full", "lora", "bitfit"):
            share = 0.1 + 0.05 * place
            write_transfer(
                tmp_path / f"{task}{technique}", "clip", task, technique, iimm=share, before=0.5,
                after=0.5 + share / 2, measures={"zzz": share},
            )  # fmt: skip
    section = section_of(tmp_path)
    claims = [text for text in section.sentences if " goes with " in text]
    assert len(claims) == 6
    assert sorted(text.split()[3] for text in claims) == ["iimm"] * 3 + ["inter"] * 3
    assert len(section.more) == 6


# ------------------------------------------------------------------ figures
def test_no_line_below_four_tasks(tmp_path: Path) -> None:
    write_study(tmp_path / "three", encoders=("clip",), tasks=("a", "b", "c"), techniques=("full",))
    write_study(tmp_path / "four", encoders=("clip",), tasks=("a", "b", "c", "d"), techniques=("full",))
    three, four = (section_of(tmp_path / name).specs["gain_clip-panel"] for name in ("three", "four"))
    assert (len(marks_of(three, "area")), len(marks_of(four, "area"))) == (0, 1)
    (points,) = marks_of(three, "point")
    assert {row["k"] for row in points["data"]["values"]} == {"a", "b", "c"}
    row = points["data"]["values"][0]
    assert row["hi"] - row["y"] == pytest.approx(row["sd"], abs=2e-4)


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    write_study(tmp_path, encoders=("clip",), tasks=("a", "b"), techniques=("full",), seeds=1)
    spec = section_of(tmp_path).specs["gain_clip-panel"]
    (points,) = marks_of(spec, "point")
    assert not any("lo" in row for row in points["data"]["values"])


def test_names_keep_their_distance() -> None:
    x = np.array([0.0, 0.0, 0.0, 1.0])
    np.testing.assert_allclose(apart(x, 0.1), [-0.1, 0, 0.1, 1])
    np.testing.assert_allclose(apart(x[3:], 0.1), [1])


def test_maps_share_one_scale_and_mark_the_task_itself(tmp_path: Path) -> None:
    write_transfer(tmp_path / "a", "clip", "a", "full", before=0.5, after=0.6, others={"b": -0.4})
    write_transfer(tmp_path / "b", "clip", "b", "lora", before=0.9, after=0.904, others={"a": 0.0})
    section = section_of(tmp_path)
    full, lora = (section.specs[panel.spec] for panel in section.maps)
    for spec in (full, lora):
        cell, text, frame = spec["layer"]
        assert cell["encoding"]["color"]["scale"]["domain"] == pytest.approx([-0.4, 0, 0.4])
        assert [row["own"] for row in frame["data"]["values"]] == [True]
        assert len(text["data"]["values"]) == 2
    texts = {
        (row["a"], row["b"]): row["s"] for spec in (full, lora) for row in spec["layer"][1]["data"]["values"]
    }
    assert texts == {("a", "a"): "+.10", ("a", "b"): "−.40", ("b", "b"): "0", ("b", "a"): "0"}


def test_curves_between_zero_shot_and_fine_tuned(tmp_path: Path) -> None:
    for seed, after in enumerate((0.7, 0.9)):
        write_transfer(
            tmp_path / "runs" / f"{seed}", "clip", "a", "lora", after=after, seed=seed, alphas=(0, 0.25, 1),
            others={"b": -0.2, "c": 0.0},
        )  # fmt: skip
    write_transfer(tmp_path / "runs" / "without", "clip", "b", "lora")
    section = section_of(tmp_path / "runs")
    assert [(heading, file, len(panels)) for heading, file, panels in section.alphas] == [
        ("clip, lora", "transfer_alphas_clip_lora", 1)
    ]
    table = section.tables["transfer_alphas"]
    assert [row.cells[3] for row in table.rows] == [0, 0.25, 1]
    middle = cells(table, 1)
    # accuracy: .5 + .2 √.25, .5 + .4 √.25; the others: .5 - (.2 + 0) / 2 · .25², the same in both seeds
    assert isinstance(middle["accuracy"], Estimate)
    assert (middle["accuracy"].mean, middle["accuracy"].std) == pytest.approx((0.65, 0.1 / math.sqrt(2)))
    assert (middle["n"], middle["other tasks"], middle["their change"]) == (
        2,
        pytest.approx(0.49375),
        pytest.approx(-0.00625),
    )
    spec = section.specs[section.alphas[0][2][0].spec]
    (points,) = marks_of(spec, "point")
    assert sorted((row["x"], row["r"], row["y"]) for row in points["data"]["values"])[2:4] == [
        (0.25, "mean of the other tasks", 0.4938), (0.25, "the task", 0.65),
    ]  # fmt: skip
    build_report([tmp_path / "runs"], tmp_path / "out")
    assert (tmp_path / "out/figures/transfer_alphas_clip_lora.svg").is_file()


# ------------------------------------------------------------------ which runs are one
def groups_of(root: Path) -> list[TunedTask]:
    found = collect([root])
    assert found.left_out == ()
    return tuned_tasks(found.transfer_runs)[0]


def test_settings_that_differ_on_a_task_name_techniques(tmp_path: Path) -> None:
    for size in (64, 128):
        for task in "ab":
            settings = {"batch_size": size}
            write_transfer(
                tmp_path / f"{task}{size}", "clip", task, "full", settings=settings, others={"c": -0.1}
            )
    write_transfer(tmp_path / "c", "clip", "c", "full", settings={"batch_size": 64})
    assert [(of.task, of.technique) for of in groups_of(tmp_path)] == [
        ("a", "full (batch_size=128)"), ("a", "full (batch_size=64)"), ("b", "full (batch_size=128)"),
        ("b", "full (batch_size=64)"), ("c", "full (batch_size=64)"),
    ]  # fmt: skip


def test_held_out_accuracy_chooses_the_learning_rate(tmp_path: Path) -> None:
    for rate, held_out, after in ((0.1, 0.6, 0.9), (0.01, 0.7, 0.8)):
        for seed in (0, 1):
            write_transfer(
                tmp_path / "runs" / f"{rate}{seed}", "clip", "a", "full", after=after, held_out=held_out, seed=seed,
                settings={"model.optimizer.lr": rate},
            )  # fmt: skip
    section = section_of(tmp_path)
    assert cells(section.tables["transfer"])["after"] == pytest.approx(0.8)
    tried = [cells(section.tables["transfer_settings"], row) for row in (0, 1)]
    assert [(row["setting"], row["n"], row["chosen"]) for row in tried] == [
        ("model.optimizer.lr=0.01", 2, "yes"), ("model.optimizer.lr=0.1", 2, "no"),
    ]  # fmt: skip
    # runs that were not chosen are runs that count, and are no folders that were left out
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    assert (made.runs, made.left_out) == (4, 0)


def test_settings_chosen_for_each_task_are_said(tmp_path: Path) -> None:
    for task, rate in (("a", 0.1), ("b", 0.01)):
        write_transfer(tmp_path / task, "clip", task, "full", settings={"model.optimizer.lr": rate})
    section = section_of(tmp_path)
    assert {row.cells[3] for row in section.tables["transfer"].rows} == {"full"}
    assert (
        "The tasks of clip, full were not trained alike: model.optimizer.lr is 0.01 or 0.1."
        in section.sentences
    )


def test_other_weights_and_other_images_are_told_apart(tmp_path: Path) -> None:
    for place, weights in enumerate(("openai", "laion")):
        write_transfer(tmp_path / f"{place}", "clip", "a", "full", settings={"encoder.pretrained": weights})
    for size in (100, 200):
        write_transfer(
            tmp_path / f"{size}", "vit", "a", "full", settings={"data.train_size": size}, others={"b": -0.1}
        )
    groups = groups_of(tmp_path)
    assert [(of.encoder, of.task) for of in groups] == [
        ("clip (pretrained=laion)", "a"), ("clip (pretrained=openai)", "a"), ("vit", "a (train_size=100)"),
        ("vit", "a (train_size=200)"),
    ]  # fmt: skip
    assert groups[2].tested == {"a (train_size=100)": "a", "b": "b"}
    assert groups[2].point is not None
    assert groups[2].point.others == {"b"}


def test_a_seed_counts_once(tmp_path: Path) -> None:
    """The same training, tested on other tasks, has a hash of its own."""
    write_transfer(tmp_path / "runs" / "old", "clip", "a", "full", others={"b": -0.1})
    late = "2026-11-28T06:05:04+00:00"
    write_transfer(tmp_path / "runs" / "new", "clip", "a", "full", others={"c": -0.1}, written=late)
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    assert (made.runs, made.left_out) == (1, 1)
    assert "the same settings and seed were run again: " in made.page.read_text(encoding="utf-8")


def test_commands_run_all_again(tmp_path: Path) -> None:
    for seed in (0, 2, 10):
        for task in "ab":
            write_transfer(tmp_path / f"{task}{seed}", "clip", task, "full", seed=seed)
    write_transfer(tmp_path / "lora", "clip", "a", "lora", seed=1)
    assert transfer_commands(collect([tmp_path]).transfer_runs) == [
        "python src/transfer.py -m encoder=clip data=a,b technique=full seed=0,2,10",
        "python src/transfer.py encoder=clip data=a technique=lora seed=1",
    ]


def test_files_have_all_digits(tmp_path: Path) -> None:
    for seed, after in enumerate((0.5 + 1 / 3, 0.9)):
        write_transfer(tmp_path / "runs" / f"{seed}", "clip", "a", "full", after=after, seed=seed)
    build_report([tmp_path / "runs"], tmp_path / "out")
    with (tmp_path / "out/tables/transfer.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["after"]) == pytest.approx((0.5 + 1 / 3 + 0.9) / 2, abs=1e-12)
    assert row["after n"] == "2"
    assert json.loads((tmp_path / "runs/0/summary.json").read_text())["kind"] == "transfer"
