"""The folder of the published study, made by the command, and its words."""

from __future__ import annotations

import csv
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from reporting.browser import EXECUTABLE, Browser
from tests.cli.conftest import run_command

from unseen.reporting.biases.networks import published_networks
from unseen.reporting.biases.study import published_study


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder, and the sentences on the screen."""
    folder = tmp_path_factory.mktemp("study")
    ran = run_command("biases.py", "study=published", f"hydra.run.dir={folder / 'out'}", logs=folder)
    assert ran.code == 0, ran.err
    *sentences, page = ran.out.splitlines()
    assert page == f"page in {folder / 'out' / 'page.html'}"
    return folder, sentences


def read(written: tuple[Path, list[str]], name: str) -> list[dict[str, str]]:
    with (written[0] / "out" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_and_rows(written: tuple[Path, list[str]]) -> None:
    rows = read(written, "correlations.csv")
    assert list(rows[0])[:5] == ["subset", "bias", "group", "spearman", "p"]
    assert len(rows) == 72
    assert [row["subset"] for row in rows[::24]] == ["total", "AT", "other"]
    row = next(row for row in rows if (row["bias"], row["group"]) == ("shape_bias", "Robustness"))
    assert float(row["spearman"]) == pytest.approx(-0.52931, abs=1e-6)
    assert float(row["p"]) == pytest.approx(0.0001096, rel=1e-3)
    assert (row["n"], row["significant_published"]) == ("48", "yes")
    (row,) = [row for row in rows[24:48] if (row["bias"], row["group"]) == ("shape_bias", "ID")]
    assert float(row["spearman"]) == pytest.approx(-0.98, abs=0.005)  # as published
    assert len(read(written, "bias_correlations.csv")) == 36
    assert len(read(written, "variants.csv")) == 3 * 72
    assert {row["model"] for row in read(written, "regressions.csv")} == {
        "ols", "ols_products", "ridge", "forest"
    }  # fmt: skip


def test_conclusions(written: tuple[Path, list[str]]) -> None:
    rows = {(row["subset"], row["bias"], row["group"]): row for row in read(written, "conclusions.csv")}
    assert len(rows) == 72
    # p = .045 of 24 tests does not stay; p = 3e-9 does
    assert rows["total", "low_freq_bias", "Concepts"]["stays_adjusted"] == "no"
    assert rows["total", "low_freq_bias", "Adversarial"]["stays_adjusted"] == "yes"
    # -.53 over all networks, +.41 among those of equal accuracy
    turned = rows["total", "shape_bias", "Robustness"]
    assert turned["stays_given_id"] == "no"
    assert "with the other sign" in turned["turns"]
    # p .040 by itself, one of 24
    assert rows["other", "cb_center_freq", "ID"]["turns"] == "without ReaL, by its own p alone"
    # the floor of adversarial accuracy is one line for all networks: ranks stay
    assert {row["stays_corrected_pgd"] for row in rows.values()} == {"yes", ""}
    for row in rows.values():
        assert (row["published"] == "0.0") == (row["stays_adjusted"] == "")


def test_the_numbers_of_the_documentation(written: tuple[Path, list[str]]) -> None:
    text = (Path(__file__).parents[3] / "docs/biases.md").read_text(encoding="utf-8")
    rows = read(written, "conclusions.csv")
    for column, words in (
        ("stays_adjusted", "36 |"),
        ("may_be_written", "26 |"),
        ("stays_given_id", "17 of 28 |"),
        ("stays_without_real", "40 |"),
        ("stays_corrected_pgd", "40 |"),
    ):
        answers = [row[column] for row in rows if row[column]]
        assert f" | {answers.count('yes')}{' of 28' * (len(answers) == 28)} |".endswith(words)
        assert words in text
    turned = [
        row for row in rows if row["turns"].startswith("given ID accuracy") and row["published"] == "0.0"
    ]
    assert len(turned) == 5
    assert sum(row["bias"] == "shape_bias" for row in turned) == 3
    left_out = [float(row["r2_left_out"]) for row in read(written, "regressions.csv")]
    (printed,) = re.findall(
        r"least squares: ID (\S+), Robustness (\S+), Concepts (\S+), Adversarial (\S+)\. ", text
    )
    assert [f"{value:.2f}".lstrip("0") for value in left_out[:4]] == list(printed)


def test_figures_and_a_page_that_holds_all(written: tuple[Path, list[str]]) -> None:
    folder = written[0] / "out"
    kinds = ("scatter", "correlations", "bias_correlations", "low_pass", "high_pass")
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{kind}.{ending}" for kind in kinds for ending in ("svg", "png")
    }
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "<script src" not in page
    assert "<link" not in page
    assert "CC BY-SA 4.0" in page
    assert page.count('class="figure') == 24 + 2 + 2


@pytest.mark.slow
def test_own_networks_lie_over_the_published_ones_and_change_no_number(
    written: tuple[Path, list[str]], tmp_path: Path
) -> None:
    own = replace(published_networks().only([0, 1]), names=("net0", "net1"))
    begun = time.process_time()
    assert published_study(tmp_path, own) == written[1]
    assert time.process_time() - begun < 60  # seconds of all cores; about 6 where nothing else runs
    alone = written[0] / "out"
    for name in ("correlations.csv", "conclusions.csv", "regressions.csv"):
        assert (alone / name).read_bytes() == (tmp_path / name).read_bytes()
    assert "net0" not in (alone / "page.html").read_text(encoding="utf-8")
    assert "net0" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(EXECUTABLE is None, reason="no chromium on PATH (apt-get install chromium)")
def test_the_page_in_a_browser(written: tuple[Path, list[str]], tmp_path: Path) -> None:
    page = (written[0] / "out" / "page.html").as_uri()
    with Browser(tmp_path) as browser:
        for width in (1200, 390):
            browser.resize(width)
            browser.open(page)
            assert browser.run("document.querySelectorAll('.figure[data-drawn] svg').length") == 28
            assert browser.run("document.documentElement.scrollWidth") == width
        browser.print(tmp_path / "page.pdf")
        assert (browser.problems, set(browser.requests)) == ([], {page})


def test_words(written: tuple[Path, list[str]]) -> None:
    folder, sentences = written
    text = (folder / "out" / "summary.txt").read_text(encoding="utf-8")
    assert text.splitlines() == sentences
    assert "the paper prints 40 and shows the other 32" in text
    assert "36 of 40 stay." in text
    assert "no independent draws" in text
    assert "20 different triples" in text
    for causal in (" cause", " because of its bias", " leads to", " due to", " improves", " explains"):
        assert causal not in text
