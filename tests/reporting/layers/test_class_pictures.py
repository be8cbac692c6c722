"""Pictures of the unseen classes on the page: one set for each data set and choice of classes."""

from __future__ import annotations

import base64
import io
import shutil
from pathlib import Path

import pytest
from PIL import Image
from reporting.synthetic import Made, make_run

from unseen.class_sheet import FILE, write_sheet
from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.layers import class_pictures as module
from unseen.reporting.layers.analysis import Analysis, analyse
from unseen.reporting.layers.class_pictures import class_pictures
from unseen.reporting.layers.groups import group_runs


def run_with(folder: Path, made: Made, shade: int = 90) -> Path:
    make_run(folder, made)
    rows = [[Image.new("RGB", (20, 20), (shade, 40 * row, 0))] * 6 for row in range(len(made.unseen))]
    with (folder / FILE).open("wb") as file:
        write_sheet(rows, file)
    return folder


def analysis_of(root: Path) -> Analysis:
    return analyse(group_runs(collect([root]).runs)[0])


def shade_of(uri: str) -> int:
    head, content = uri.split(",")
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB").getpixel((70, 10))[0]  # type: ignore[index]


def test_one_set_for_each_data_set_and_choice_of_classes(tmp_path: Path) -> None:
    for split, unseen in enumerate((("a", "b"), ("a", "c"))):
        for seed in (0, 1):
            for model in ("poolformer", "vit"):
                more = (("data.split_seed", split),)
                made = Made(model, "digits", seed=seed, unseen=unseen, settings=more)
                run_with(tmp_path / f"{model}{split}{seed}", made)
    run_with(tmp_path / "other", Made("vit", "calligraphy", unseen=("x", "y", "z")))
    sets, more = class_pictures(analysis_of(tmp_path))
    found = [(one.data, [name for name, _ in one.classes]) for one in sets]
    assert found == [("calligraphy", ["x", "y", "z"]), ("digits", ["a", "b"]), ("digits", ["a", "c"])]
    assert more == 0


def test_shifted_images_are_shown_only_where_there_are_no_others(tmp_path: Path) -> None:
    of = ("a", "b")
    run_with(tmp_path / "1", Made("vit", unseen=of, settings=(("data.shift", "invert"),)), shade=200)
    (only,), _ = class_pictures(analysis_of(tmp_path))
    assert shade_of(only.classes[0][1]) == pytest.approx(200, abs=6)
    run_with(tmp_path / "2", Made("vit", unseen=of, settings=(("data.shift", "none"),)), shade=90)
    (only,), _ = class_pictures(analysis_of(tmp_path))
    assert shade_of(only.classes[0][1]) == pytest.approx(90, abs=6)


def test_the_page_is_as_ever_without_them(tmp_path: Path) -> None:
    run_with(tmp_path / "runs/a", Made("vit", "digits", unseen=("a", "b")))
    shutil.copytree(tmp_path / "runs", tmp_path / "without")
    (tmp_path / "without/a" / FILE).unlink()
    shutil.copytree(tmp_path / "runs", tmp_path / "damaged")
    (tmp_path / "damaged/a" / FILE).write_bytes(b"RIFF....WEBP<script>alert(1)</script>")
    for name in ("runs", "without", "damaged"):
        build_report([tmp_path / name], tmp_path / "report" / name)
    page, without, damaged = (
        (tmp_path / "report" / name / "index.html").read_text() for name in ("runs", "without", "damaged")
    )
    assert page.count('<figure class="class">') == 2
    assert "<figcaption>b</figcaption>" in page
    for one in (without, damaged):
        assert 'id="classes"' not in one
        assert "alert(1)" not in one


def test_names_of_unknown_origin_are_text(tmp_path: Path) -> None:
    run_with(tmp_path / "runs/a", Made("vit", "digits", unseen=('"><img src=x onerror=alert(1)>', "b")))
    build_report([tmp_path / "runs"], tmp_path / "report")
    page = (tmp_path / "report/index.html").read_text()
    assert page.count('<figure class="class">') == 2
    assert "<img src=x" not in page


def test_a_page_holds_a_few_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_SHEETS", 2)
    for number in range(3):
        more = (("data.split_seed", number),)
        run_with(tmp_path / f"{number}", Made("vit", unseen=("a", f"b{number}"), settings=more))
    sets, more_sets = class_pictures(analysis_of(tmp_path))
    assert (len(sets), more_sets) == (2, 1)
