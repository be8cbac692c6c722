"""Studies of biases.py: the band's resolution by hand, and which runs belong to a study."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import yaml
from reporting.biases.bias_runs import write_run

from unseen.reporting.biases.bias_studies import bias_studies
from unseen.reporting.build import build_report
from unseen.reporting.collect import collect
from unseen.reporting.studies.study_section import StudySection


def make(
    root: Path, model: str, values: dict[str, tuple[float, float, float]], n: int = 100, **about: Any
) -> Path:
    """Write a run with values and their intervals over n silhouettes."""
    folder = root / f"{model}_{n}"
    write_run(folder, model, {}, schema=1, seed=0, config_hash=f"of {folder}")
    with (folder / "scores.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "images", "measure", "value", "low", "high", "n"])
        for measure, numbers in values.items():
            writer.writerow(
                [model, "silhouettes", measure, *("" if math.isnan(one) else one for one in numbers), n]
            )
    study = {"name": "b5", "question": "How finely?", "answer": "a width", "analysis": "band"} | about
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"study": study, "size": "paper", "limit": n}), "utf-8"
    )
    return folder


def studies_of(root: Path) -> list[StudySection]:
    read = collect([root])
    assert not read.left_out, read.left_out
    return bias_studies(read.bias_runs)


def test_widths_values_and_norms_by_hand(tmp_path: Path) -> None:
    unknown = (math.nan, math.nan, math.nan)
    for model, whole, fine, other in (
        ("a", (4, 3, 6), (4.2, 4, 4.5), (5, 4, 7)), ("b", (4, 3, 4), (3.8, 3.4, 4.1), unknown),
        ("c", unknown, unknown, unknown),
    ):  # fmt: skip
        values = {"cb_bandwidth": whole, "cb_bandwidth_interpolated": fine, "cb_bandwidth_norm_none": other}
        make(tmp_path, model, values | {"cb_center_frequency": (9, 8, 10)})
    make(tmp_path, "a", {"cb_bandwidth": (5, 1, 9)}, n=30)
    make(tmp_path / "again", "a", {"cb_bandwidth": (5, 1, 9)}, n=30)  # counts once
    (section,) = studies_of(tmp_path)
    grey, none, norms = section.sentences
    assert (
        "norm grey: 30 images (silhouettes), whole: 8.00 octaves, 1 of 1 network with a value, 1 different; "
        in grey
    )
    assert (
        "100 images (silhouettes), interpolated: 0.60 octaves, 2 of 3 networks with a value, 2 different; "
        in grey
    )
    assert grey.endswith(
        "100 images (silhouettes), whole: 2.00 octaves, 2 of 3 networks with a value, 1 different."
    )
    assert "norm none: 100 images (silhouettes), whole: 3.00 octaves, 1 of 3 networks" in none
    assert "differs by up to 1.00 octaves, 1.00 in the median" in norms
    (table,) = section.tables
    assert (table.name, len(table.rows)) == ("study_b5_paper_band_resolution", 4)


def test_runs_of_a_study_that_trains_have_no_section_of_their_own(tmp_path: Path) -> None:
    make(tmp_path, "a", {"cb_bandwidth": (4, 3, 6)}, name="x1", analysis="levels")
    make(tmp_path, "b", {"cb_bandwidth": (4, 3, 6)}, name="not a name!")
    assert studies_of(tmp_path) == []


def test_sizes_of_a_study_are_apart(tmp_path: Path) -> None:
    make(tmp_path, "a", {"cb_bandwidth": (4, 3, 6)})
    demo = make(tmp_path, "b", {"cb_bandwidth": (5, 3, 6)})
    config = (demo / "config.yaml").read_text("utf-8")
    (demo / "config.yaml").write_text(config.replace("size: paper", "size: demo"), "utf-8")
    assert [(one.size, len(one.tables[0].rows)) for one in studies_of(tmp_path)] == [
        ("demo", 1),
        ("paper", 1),
    ]


def test_a_study_of_networks_has_its_section_in_the_report(tmp_path: Path) -> None:
    for at, model in enumerate("abcd"):
        make(
            tmp_path / "runs",
            model,
            {"color_dependence": (0.1 + at / 10, 0, 1)},
            name="b8",
            analysis="networks",
        )
    made = build_report([tmp_path / "runs"], tmp_path / "out")
    assert any(
        text.startswith("b8 (paper size): Biases of 4 networks were measured") for text in made.summaries
    )
    assert (tmp_path / "out" / "tables" / "study_b8_paper_biases.csv").is_file()
    assert "Study b8: How finely?" in made.page.read_text("utf-8")
