"""The documentation: its examples and notebooks run as they are printed, and the site has no dead link."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from tests.cli.conftest import Ran

import unseen

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(trained: Ran, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the examples name: my/photos, and a run below logs/."""
    (tmp_path / "my").mkdir()
    (tmp_path / "my/photos").symlink_to(photos)
    shutil.copytree(trained.folder, tmp_path / "logs/train/runs/my_run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names_of(page: str) -> dict[str, Any]:
    """Run the blocks of a page one after the other; return the names that they leave."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], f"docs/{page}", "exec"), names)
    return names


def test_from_python(here: Path) -> None:
    names = names_of("python.md")
    assert names["scores"]["nmi"] > 0.6
    assert names["table"].shape[0] == 6
    assert len(names["result"]) == 7
    assert len(names["made"]) == 100
    assert names["made"].layer == names["run"].layers.best_layer
    assert (here / "photos.npz").is_file()


def test_the_tables_of_the_concepts_are_what_their_code_gives() -> None:
    names = names_of("concepts.md")
    text = (ROOT / "docs/concepts.md").read_text(encoding="utf-8")
    for classes, row in names["table"].items():
        assert f"| NMI, {classes} classes | {' | '.join(map(str, row))} |" in text
    (printed,) = re.findall(r"^\| NMI by chance .*?\| (.*) \|$", text, re.MULTILINE)
    for value, cell in zip(names["chance"].values(), printed.split(" | "), strict=True):
        assert value == pytest.approx(float(cell), abs=0.006)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are not committed"
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(here)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert re.search(r"^g \d\.\d{3} at layer", printed, re.MULTILINE)


@pytest.mark.slow
def test_the_site_builds_without_a_dead_link(tmp_path: Path) -> None:
    """As `make docs` does."""
    build = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, *build], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site/api/index.html").read_text(encoding="utf-8")
    assert {name for name in unseen.__all__ if f'id="unseen.{name}"' in page} == set(unseen.__all__)
    assert "examples/dataset" in (tmp_path / "site/own_data/index.html").read_text(encoding="utf-8")


def test_versions_agree_and_the_files_of_other_tools_can_be_read() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == citation["version"] == unseen.__version__
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    assert tested == [line.split(" :: ")[-1] for line in project["classifiers"] if " 3." in line]
    environment = yaml.safe_load((ROOT / "environment.yaml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    extras = set(pip[-1].partition("[")[2].rstrip("]").split(","))
    assert extras <= project["optional-dependencies"].keys()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0][
        "hooks"
    ]
    assert all(hook["entry"].startswith(".venv/bin/python -m ") for hook in hooks)
