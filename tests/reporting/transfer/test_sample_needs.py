"""sample_need.csv and prompts.csv over tasks: by hand, and files that no run writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from reporting.transfer.made_transfer import write_transfer

from unseen.reporting.collect import collect
from unseen.reporting.studies.study_section import StudySection
from unseen.reporting.transfer.transfer_studies import transfer_studies

NEED = "encoder,task,share,images,measure,mean,sd,deviation,draws,seconds,reason"
CAPTIONS = (
    "encoder,task,prompts,templates,measure,value,low,high,n,difference,difference_low,difference_high,p_holm"
)


def make(root: Path, task: str, needs: list[str], captions: list[str]) -> Path:
    folder = write_transfer(root / task, "clip", task, "none", settings={"size": "demo"})
    (folder / "sample_need.csv").write_text("\n".join([NEED, *needs]))
    (folder / "prompts.csv").write_text("\n".join([CAPTIONS, *captions]))
    return folder


def need(share: float, sd: str, deviation: str, measure: str = "iimm") -> str:
    return f"clip,digits,{share},10,{measure},0.3,{sd},{deviation},10,0.1,"


def caption(prompts: str, difference: str = "", p: str = "") -> str:
    return f"clip,digits,{prompts},1,iimm,0.3,,,100,{difference},,,{p}"


def section_of(root: Path) -> StudySection:
    about = {"name": "i4", "question": "How many?", "answer": "how far", "analysis": "sample_need"}
    (section,) = transfer_studies([replace(run, study=about) for run in collect([root]).transfer_runs])
    return section


def test_the_largest_of_all_tasks_is_said(tmp_path: Path) -> None:
    make(
        tmp_path, "digits", [need(0.1, "0.02", "-0.03"), need(0.5, "0.01", "0.001"), need(1, "", "0")],
        [caption("bare"), caption("a-photo", "-0.1", "0.04"), caption("ensemble", "0.2", "0.06")],
    )  # fmt: skip
    make(
        tmp_path, "edges", [need(0.1, "0.05", "0.01"), need(0.5, "", "")],
        [caption("bare"), caption("a-photo", "0.3", "0.06"), caption("ensemble", "0.1", "0.0001")],
    )  # fmt: skip
    images, captions = section_of(tmp_path).sentences
    assert (
        "over 2 tasks, at a share of 0.1 by at most 0.030 in the mean, and 0.050 (standard deviation)"
        in images
    )
    assert "at a share of 0.5 by at most 0.001" in images
    assert "share of 1 " not in images
    # .04 of two runs is .08; .06 is above .05 by itself
    assert "captions bare" in captions
    assert "in 1 of 2 runs with a-photo (differences −0.100 to +0.300)" in captions
    assert "in 1 of 2 runs with ensemble (differences +0.100 to +0.200)" in captions
    needs, _ = section_of(tmp_path).tables
    assert [row.cells[:3] for row in needs.rows] == [("iimm", 0.1, "2 of 2"), ("iimm", 0.5, "1 of 2")]
    assert needs.rows[0].cells[3:] == (pytest.approx(0.035), 0.05, -0.03)


@pytest.mark.parametrize(
    "line", ["clip,digits,x,10,iimm,0.3,0.1,0.1,10,,", "clip,digits,.1,10,iimm,0.3,inf,0,10,,", "a,b"]
)
def test_a_file_that_no_run_writes_is_named(line: str, tmp_path: Path) -> None:
    make(tmp_path, "digits", [line], [])
    (sentence,) = section_of(tmp_path).sentences
    assert "sample_need.csv is not as transfer.py writes it" in sentence
