"""The report's folder, without a browser."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import vl_convert
from reporting.synthetic import Made, make_evaluation, make_run

from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.layers.analysis import analyse
from unseen.reporting.layers.figures import layer_curves
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.rerun_commands import run_commands
from unseen.reporting.theme import PAGE


class Tags(HTMLParser):
    """Notes every element with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def html(report: Path) -> str:
    return (report / "index.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert not [
        tag for tag, about in tags.found if "src" in about or tag in {"link", "iframe", "img", "object"}
    ]
    links = [about["href"] or "" for tag, about in tags.found if tag == "a"]
    assert links
    assert all(link.startswith(("tables/", "figures/")) for link in links)
    assert "default-src 'none'" in html
    assert "url(" not in part(html, "<style>", "</style>")


def test_links_point_to_files(html: str, report: Path) -> None:
    tags = Tags()
    tags.feed(html)
    for tag, about in tags.found:
        if tag == "a":
            assert (report / str(about["href"])).is_file(), about["href"]


def part(html: str, start: str, end: str) -> str:
    return html.split(start, maxsplit=1)[1].split(end, maxsplit=1)[0]


def test_what_was_typed_cannot_become_a_tag(html: str) -> None:
    ours = html.split("<script>", maxsplit=1)[0]  # the libraries come after
    assert "<img" not in ours
    assert "no <space> left" not in ours
    assert "no &lt;space&gt; left &amp; gone" in ours
    assert html.count("</script>") == 3


def test_every_figure_has_its_specification(html: str) -> None:
    wanted = re.findall(r'data-spec="([^"]+)"', html)
    specs = json.loads(part(html, '<script type="application/json" id="specs">', "</script>"))
    assert sorted(specs) == sorted(wanted)


def test_the_axis_of_a_curve_names_the_probe_that_is_chosen(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", data="digits"))
    ((config,), _) = group_runs(collect([tmp_path]).runs)
    spec = layer_curves(config, PAGE) | {"width": 300}
    for probe, heading in (("nmi", "NMI"), ("nn1", "NN@1")):
        spec["params"][0]["value"] = probe
        assert heading in re.findall(r">([^<>]+)</text>", vl_convert.vegalite_to_svg(spec))


def test_the_page_says_that_it_is_no_reproduction(html: str) -> None:
    assert "Not a reproduction." in html
    assert "nothing on this page is a reproduction of them" in html
    assert html.count('class="chip demo"') > 5


def test_failed_runs_are_on_the_page(html: str) -> None:
    left_out = part(html, '<section id="left-out">', "</section>")
    assert "failed" in left_out
    assert "died" in left_out


def test_figures_are_files_too(report: Path) -> None:
    names = {path.stem for path in (report / "figures").iterdir()}
    kinds = ("layers", "heat_map", "g_over_steps", "accuracy_over_steps", "accuracy_and_g")
    assert names == {f"{kind}_{data}_demo" for kind in kinds for data in ("calligraphy", "cifar100")}
    for path in (report / "figures").iterdir():
        start = path.read_bytes()[:8]
        assert start == b"\x89PNG\r\n\x1a\n" if path.suffix == ".png" else start.startswith(b"<svg")


def test_no_finished_run_still_makes_a_page(tmp_path: Path) -> None:
    make_run(tmp_path / "runs" / "a", Made(status="failed", reason="out of memory"))
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    text = made.page.read_text(encoding="utf-8")
    assert (made.runs, made.left_out, made.summaries) == (0, 1, ())
    assert "No finished run was found" in text
    assert "out of memory" in text


def test_old_files_of_a_run_are_enough(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "runs" / "a", Made(model="cvt", data="digits"))
    (folder / "config.yaml").unlink()
    facts = json.loads((folder / "summary.json").read_text())
    kept = ("schema", "status", "model", "data", "size", "seed")
    (folder / "summary.json").write_text(json.dumps({key: facts[key] for key in kept}))
    text = build_report([tmp_path / "runs"], tmp_path / "out").page.read_text(encoding="utf-8")
    assert "accuracy was not measured" in text


def test_commands_run_all_seeds_again(tmp_path: Path) -> None:
    for model, seed in (("cvt", 0), ("cvt", 2), ("vit", 0), ("vit", 2), ("swin", 1)):
        folder = make_run(tmp_path / model / str(seed), Made(model=model, seed=seed))
        facts = json.loads((folder / "summary.json").read_text())
        # what a sweep adds for each job, and what a person typed
        facts["command"][1:1] = [
            "--config-path",
            "/somewhere/.configs-1",
            "--config-dir",
            "/somewhere/.configs-1/b",
        ]
        facts["command"] += ["hydra.run.dir='/somewhere'", "data.unseen=[a b]"]
        (folder / "summary.json").write_text(json.dumps(facts))
    found = analyse(group_runs(collect([tmp_path]).runs)[0]).configurations
    assert run_commands(found) == [
        "python src/train.py -m data=calligraphy 'data.unseen=[a b]' model=cvt,vit seed=0,2",
        "python src/train.py data=calligraphy 'data.unseen=[a b]' model=swin seed=1",
    ]


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    trained = make_run(tmp_path / "runs" / "train", Made(model="cvt", controls=True, embeddings=True))
    make_evaluation(tmp_path / "runs" / "eval", Made(model="cvt"), trained)
    make_run(tmp_path / "runs" / "other", Made(model="pvt"))
    build_report([tmp_path / "runs"], tmp_path / "report")
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    message = html.split('<section id="controls">')[1].split("</p>", maxsplit=1)[0]
    assert (
        "Measured, of 2 configurations: NMI by chance (nmi_chance) in 1, k-means noise (nmi_start_sd) in 1"
        in message
    )
    assert (
        "in 1, seen accuracy at every step in 1, saved embeddings (probe.save_embeddings=true) in 1."
        in message
    )
    assert "which counts already" in html


def test_controls_are_no_probes_of_their_own(report: Path) -> None:
    """The sweep has nmi_chance and nmi_start_sd for every layer and for the raw pixels."""
    html = (report / "index.html").read_text(encoding="utf-8")
    assert '<option value="nmi">' in html
    assert '<option value="nmi_' not in html
    table = (report / "tables" / "layer_scores.csv").read_text()
    assert ",nmi," in table
    assert "nmi_chance" not in table
    assert "nmi_start_sd" not in table


def test_no_torch_on_the_way() -> None:
    script = (
        "import sys, unseen.reporting.build, unseen.runs.cli, unseen.runs.commands\n"
        "heavy = {'torch', 'lightning', 'timm', 'transformers', 'sklearn', 'pandas', 'wandb'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    source = Path(__file__).parents[2] / "src"
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": str(source), "PATH": ""})
