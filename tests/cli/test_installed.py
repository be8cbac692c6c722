"""The package as pip installs it: the command `unseen`, outside any clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml
from tests.cli.conftest import ROOT, TINY, environment

import unseen


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and the libraries of this one by path: nothing of the clone is in it."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"  # building in the clone would leave a folder there
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("src", "configs"):
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", str(source), "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *build], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    (packages,) = (folder / "venv/lib").glob("python*/site-packages")
    (wheel,) = folder.glob("*.whl")
    python = str(folder / "venv/bin/python")
    subprocess.run(
        [*pip, "--python", python, "install", "--no-deps", "--no-index", "--ignore-installed", str(wheel)],
        check=True,
    )
    (packages / "libraries.pth").write_text(
        sysconfig.get_path("purelib")
    )  # after: pip would find the clone there
    return folder / "venv/bin"


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in environment(folder).items() if not name.startswith("UNSEEN_")}
    clean.pop("PYTHONPATH", None)
    return subprocess.run(
        words, cwd=folder, env=clean, capture_output=True, text=True, timeout=280, check=False
    )


@pytest.mark.slow
def test_a_sweep_of_ddp_jobs_with_own_settings_runs_outside_the_clone(
    installed: Path, tmp_path: Path
) -> None:
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/mine.yaml").write_text("defaults: [digits, _self_]\nname: mine\n")
    mine = ["data=mine", "model=resnet", "trainer=ddp_cpu", "trainer.max_steps=2", "probe.at_start=false"]
    line = ["-m", "--config-dir", "conf", *TINY, *mine]
    done = run([str(installed / "unseen"), "train", *line, "seed=3"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (summary,) = (tmp_path / "logs").rglob("summary.json")  # the default folder is below the user's own
    found = yaml.safe_load(summary.read_text())
    assert (found["data"], found["status"], found["steps"]) == ("mine", "finished", 2)
    assert found["command"][0] == "unseen train"
    assert yaml.safe_load((summary.parent / "config.yaml").read_text())["trainer"]["devices"] == 2
    report = run([str(installed / "python"), "-m", "unseen", "report"], tmp_path)
    assert report.returncode == 0, report.stderr
    page = (tmp_path / "logs/report/index.html").read_text()
    assert "unseen train" in page
    assert "src/train.py" not in page


@pytest.mark.slow
def test_help_and_mistakes_name_the_command_that_was_typed(installed: Path, tmp_path: Path) -> None:
    unseen_command = str(installed / "unseen")
    assert run([unseen_command, "--version"], tmp_path).stdout.strip() == unseen.__version__
    listed = run([unseen_command], tmp_path).stdout
    scripts = {path.stem for path in (ROOT / "src").glob("*.py")}
    assert scripts == {line.split()[0] for line in listed.splitlines()[2:]}
    help_page = run([unseen_command, "train", "--help"], tmp_path).stdout
    assert "unseen train -m model=" in help_page
    assert "src/train.py" not in help_page
    for words, code, sentence in (
        (["tran"], 2, "no command 'tran' (did you mean train?)"),
        (["train", "--resolve"], 2, "goes with --cfg: unseen train --cfg job --resolve"),
        (["train", "data.imagesize=3"], 1, "did you mean data.image_size?"),
    ):
        done = run([unseen_command, *words], tmp_path)
        assert done.returncode == code
        assert sentence in done.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208
