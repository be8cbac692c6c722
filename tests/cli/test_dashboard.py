"""`python src/dashboard.py`: the whole dashboard in a file without a key, a sentence where something is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import ROOT, run_command


@pytest.mark.parametrize("entry", ["dashboard.py", "report.py"])
@pytest.mark.parametrize(
    ("typed", "says"),
    [("+outt=1", "outt is not a setting"), ("+paths.log_dirr=x", "paths.log_dirr is not a setting")],
)
def test_a_key_that_nothing_reads_is_refused(entry: str, typed: str, says: str, tmp_path: Path) -> None:
    ran = run_command(entry, typed, logs=tmp_path)
    assert (ran.code, ran.err.count("error: ")) == (1, 1)
    assert f"{says}: nothing reads it (did you mean" in ran.err


def test_without_a_key_the_dashboard_is_a_file(tmp_path: Path) -> None:
    ran = run_command(
        "dashboard.py", "project=letters", "entity=us", logs=tmp_path, HOME=str(tmp_path), WANDB_API_KEY=""
    )
    assert ran.code == 0, ran.out + ran.err
    assert "nothing was uploaded" in ran.err
    assert "dashboard of letters" in ran.err
    assert [path.name for path in tmp_path.iterdir() if path.name != "wandb"] == ["dashboard.json"]
    content = json.loads((tmp_path / "dashboard.json").read_text())
    assert (content["entity"], content["project"], content["name"]) == ("us", "letters", "unseen")
    sections = content["spec"]["section"]["panelBankConfig"]["sections"]
    assert [section["name"] for section in sections] == ["Which network", "Which layer", "Over training"]
    assert [[panel["viewType"] for panel in section["panels"]] for section in sections] == [
        ["Scatter Plot", "Bar Chart", "Run Comparer"],
        ["Vega2"] * 6 + ["Media Browser"],
        ["Run History Line Plot"] * 3,
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("project=[a]", "project=['a'] must be a text"),
        ("entity={a:1}", "entity={'a': 1} must be a text or null"),
        ("name=''", "name= must be a text"),
        ("out=null", "out=null must be the name of a file"),
        ("out=/dev/full", "out=/dev/full is there already and is not a file"),
        (f"out={Path(__file__).parent}", "is there already and is not a file"),
        (f"out={__file__}/x", "is not a folder"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, word: str, said: str) -> None:
    ran = run_command("dashboard.py", word, logs=tmp_path, HOME=str(tmp_path), WANDB_API_KEY="")
    assert ran.code == 1, ran.out + ran.err
    assert said in ran.err
    assert [line.startswith("error: ") for line in ran.err.splitlines() if "deprecated" not in line] == [True]
    assert not (ROOT / "None").exists()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    absent = tmp_path / "wandb_workspaces"
    absent.mkdir()
    (absent / "__init__.py").write_text("raise ModuleNotFoundError('No module named wandb_workspaces')")
    ran = run_command("dashboard.py", logs=tmp_path / "logs", PYTHONPATH=str(tmp_path))
    assert ran.code == 1
    assert ran.err.strip() == "error: the dashboard needs wandb-workspaces: pip install 'unseen[dashboard]'"
