"""python src/report.py, as typed."""

import os
import subprocess
from pathlib import Path

import pytest
from reporting.synthetic import Made, make_run
from reporting.transfer.made_transfer import write_transfer
from tests.cli.warm_python import warm_python

PROJECT = Path(__file__).parents[2]


def report(*words: str, where: Path) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"UNSEEN_LOG_DIR": str(where / "logs"), "COLUMNS": "200"}
    return warm_python().run(
        PROJECT / "src" / "report.py", list(words), cwd=where, env=environment, timeout=120
    )


def test_the_default_reads_all_logs(tmp_path: Path) -> None:
    make_run(tmp_path / "logs" / "train" / "runs" / "a", Made(model="cvt", data="digits"))
    write_transfer(tmp_path / "logs" / "transfer" / "runs" / "a", "clip", "digits", "full")
    done = report(where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "On digits (demo size), for its unseen classes, cvt reaches g = " in done.stdout
    assert "1 run: 1 task (digits), tuned by full." in done.stdout
    assert "2 runs, 0 folders left out · page in logs/report/index.html" in done.stdout
    made = sorted(path.name for path in (tmp_path / "logs" / "report").iterdir())
    assert made == ["figures", "index.html", "tables"]  # nothing of Hydra's
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs"]


def test_several_folders_and_a_place_for_the_report(tmp_path: Path) -> None:
    for name, model in (("x", "cvt"), ("y", "swin")):
        make_run(tmp_path / name / "a", Made(model=model, data="digits"))
    done = report("runs=[x,y]", "out=here/report", where=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "the 2 networks cannot be told apart" in done.stdout
    assert (tmp_path / "here" / "report" / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("runs=nowhere",), "error: runs=nowhere is not a folder"),
        (("runs=.",), "error: no run folder (summary.json) below ."),
        (
            ("study=g4",),
            "error: study=g4 has no runs: there is no folder",
        ),
        (("rums=.",), "rums"),
        (("runs=null",), "error: runs=null must be a folder, or a list of folders"),
        (("runs=[]",), "error: runs=[] must be a folder, or a list of folders"),
        (("runs=afile",), "error: runs=afile is not a folder"),
        (("runs=.", "out=null"), "error: out=null must be the name of a folder"),
        (("runs=.", "out=afile"), "error: out=afile is there already and is not a folder"),
        (("runs=.", "out=/dev/full"), "error: out=/dev/full is there already and is not a folder"),
        (("runs=.", "out=afile/report"), "error: out=afile/report: afile is not a folder"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    (tmp_path / "afile").touch()
    done = report(*words, where=tmp_path)
    assert done.returncode == 1
    assert not (tmp_path / "logs" / "report").exists()
    assert message in done.stderr
    assert "Traceback" not in done.stderr
