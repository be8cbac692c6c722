"""The page in a real browser: nothing is asked of the network, everything is drawn, sorting and filtering work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from reporting.browser import EXECUTABLE, Browser
from reporting.synthetic import Made, make_run

from unseen.reporting.build import build_report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(EXECUTABLE is None, reason="no chromium on PATH (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def browser(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.resize(1200)
        opened.open((report / "index.html").as_uri())
        yield opened


def count(browser: Browser, selector: str) -> int:
    return int(browser.run(f"document.querySelectorAll({selector!r}).length"))


def choose(browser: Browser, what: str, value: str) -> None:
    browser.run(
        f"(() => {{ const one = document.getElementById({what!r}); one.value = {value!r};"
        "one.dispatchEvent(new Event('change')); })()"
    )


def column(browser: Browser, table: str, place: int) -> list[str]:
    cells = f"[...document.querySelectorAll('#table-{table} tbody tr')].map(row => row.cells[{place}].textContent)"
    return [str(text) for text in browser.run(cells)]


def test_every_figure_is_drawn(browser: Browser) -> None:
    figures = count(browser, ".figure")
    assert figures > 30
    assert count(browser, ".figure[data-drawn] svg") == figures
    # marks, not only axes: each figure has something in its groups of marks
    empty = browser.run(
        "[...document.querySelectorAll('.figure')].filter(one => !one.querySelector("
        "'.mark-symbol path, .mark-line path, .mark-rect path')).map(one => one.dataset.spec)"
    )
    assert empty == []


def test_every_figure_keeps_its_label(browser: Browser) -> None:
    labels = browser.run(
        "[...document.querySelectorAll('.figure')].map(one => one.getAttribute('aria-label'))"
    )
    assert not [label for label in labels if not label or "Vega" in label]
    assert labels[0].startswith("scores over the layers of ")


def test_console_and_network_are_silent(browser: Browser, report: Path) -> None:
    assert browser.problems == []
    assert set(browser.requests) == {(report / "index.html").as_uri()}


def test_one_run_a_network_has_no_intervals_and_no_complaint(tmp_path: Path) -> None:
    for model in ("cvt", "pvt"):
        make_run(tmp_path / "runs" / model, Made(model=model))
    build_report([tmp_path / "runs"], tmp_path / "report")
    with Browser(tmp_path / "profile") as other:
        other.open((tmp_path / "report" / "index.html").as_uri())
        assert count(other, ".figure[data-drawn] svg") == count(other, ".figure") > 0
        assert other.problems == []


def test_a_heading_sorts_its_table(browser: Browser) -> None:
    heading = "document.querySelectorAll('#table-best_layers thead th button')[{}].click()"
    browser.run(heading.format(4))  # g: a number, largest first
    falling = [float(text.split(" ")[0]) for text in column(browser, "best_layers", 4)]
    assert falling == sorted(falling, reverse=True)
    browser.run(heading.format(4))
    assert [float(text.split(" ")[0]) for text in column(browser, "best_layers", 4)] == sorted(falling)
    browser.run(heading.format(0))  # network: a text, a first
    names = column(browser, "best_layers", 0)
    assert names == sorted(names, key=str.lower)
    assert count(browser, "#table-best_layers th[aria-sort]") == 1


def test_filters_narrow_cards_tables_and_lines(browser: Browser) -> None:
    cards = count(browser, "#layers .card")
    lines = "document.querySelector('#training .figure').querySelectorAll('.mark-line path').length"
    all_lines = browser.run(lines)
    choose(browser, "filter-model", "cvt")
    assert count(browser, "#layers .card:not([hidden])") == 2
    rows = "[...document.querySelectorAll('#table-runs tbody tr:not([hidden])')]"
    assert set(browser.run(f"{rows}.map(row => row.cells[0].textContent)")) == {"cvt"}
    browser.wait_for(lambda: browser.run(lines) == 1, 20)
    choose(browser, "filter-data", "cifar100")
    assert count(browser, "#layers .card:not([hidden])") == 1
    assert (
        browser.run("document.getElementById('shown-count').textContent")
        == f"1 of {cards} configurations shown"
    )
    choose(browser, "filter-model", "")
    choose(browser, "filter-data", "")
    assert count(browser, "#layers .card:not([hidden])") == cards
    browser.wait_for(lambda: browser.run(lines) == all_lines, 20)


def test_the_probe_changes_the_curves(browser: Browser) -> None:
    shape = "document.querySelector('#layers .figure .mark-line path').getAttribute('d')"
    marks = "[...document.querySelectorAll('#layers .figure .mark-symbol path')]"
    points = f"{marks}.map(mark => mark.getAttribute('transform')).join()"
    before = browser.run(points)
    assert browser.run(shape)
    choose(browser, "probe", "nn1")
    browser.wait_for(lambda: browser.run(points) != before, 20)
    assert browser.run("document.querySelector('.probe-note[data-probe=nn1]').hidden") is False
    choose(browser, "probe", "nmi")
    browser.wait_for(lambda: browser.run(points) == before, 20)


@pytest.mark.parametrize("width", [400, 800, 1200])
def test_nothing_sticks_out(browser: Browser, width: int) -> None:
    browser.resize(width)
    browser.wait_for(lambda: browser.run("document.documentElement.scrollWidth") <= width, 20)
    browser.resize(1200)


def test_the_contents_lead_to_every_section(browser: Browser) -> None:
    links = str(
        browser.run("[...document.querySelectorAll('#contents a')].map(a => a.hash).join(' ')")
    ).split()
    assert {"#layers", "#best", "#training", "#runs", "#again"} <= {*links}
    assert all(count(browser, link) == 1 for link in links)


def test_a_table_says_that_it_scrolls(browser: Browser) -> None:
    def wide() -> int:
        return count(browser, "#best .scroll.wide:has(#table-best_layers)")

    browser.wait_for(lambda: wide() == 0, 20)
    browser.resize(390)
    browser.wait_for(lambda: wide() == 1, 20)
    browser.resize(1200)


def test_light_and_dark(browser: Browser) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    browser.prefer("light")
    light = browser.run(paper)
    browser.prefer("dark")
    assert browser.run(paper) != light
    browser.run("document.getElementById('theme').click()")
    assert browser.run(paper) == light
    browser.prefer("light")
    browser.run("delete document.documentElement.dataset.theme")
    label = "getComputedStyle(document.querySelector('.role-axis-label text')).fill"
    in_light = browser.run(label)
    browser.prefer("dark")
    assert browser.run(label) != in_light  # figures follow without being drawn anew
    browser.prefer("light")


def test_it_prints(browser: Browser, tmp_path: Path) -> None:
    browser.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
