"""Every command of examples/*/README.md runs as written, at a small size."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from tests.cli.warm_python import warm_python

import unseen
from unseen.scores import ScoreTable

ROOT = Path(__file__).parents[2]
SMALL = ["trainer.max_steps=2", "trainer.val_check_interval=2", "probe.at_start=false", "trainer=cpu"]


def commands(readme: Path) -> list[str]:
    """The lines in the blocks of shell commands."""
    blocks = readme.read_text(encoding="utf-8").split("```bash\n")[1:]
    return [line for block in blocks for line in block.split("```")[0].splitlines() if line.strip()]


def run(line: str, logs: Path, root: Path = ROOT) -> list[ScoreTable]:
    """Run a line as typed, but for its size and its folder of logs; return the scores of its runs."""
    words = shlex.split(line)
    variables = dict(word.split("=", 1) for word in words if "=" in word and word.split("=")[0].isupper())
    python, script, *words = [word for word in words if word.split("=")[0] not in variables]
    assert python == "python"
    done = warm_python().run(
        root / script, [*words, *SMALL, f"paths.log_dir={logs}"],
        cwd=root, env=os.environ | variables, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [ScoreTable.read(path) for path in logs.rglob("scores.csv")]


@pytest.mark.slow
def test_a_network_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, sweep = commands(ROOT / "examples/network/README.md")
    (table,) = run(line, tmp_path / "run")
    assert {row.layer_name for row in table} == {"input", "head", "stem", "blocks.0", "blocks.1"}
    assert table.generalization().num_layers == 3
    run(sweep.replace("tiny_net,resnet seed=0,1", "tiny_net seed=1"), tmp_path / "sweep")
    models = [
        json.loads(path.read_text(encoding="utf-8"))["model"]
        for path in tmp_path.rglob("sweep/**/summary.json")
    ]
    assert models == ["tiny_net"]
    # its embeddings from Python: the class must be named, as a file may not choose code
    monkeypatch.syspath_prepend(ROOT / "examples/network")
    (checkpoint,) = (tmp_path / "run").rglob("last.ckpt")
    pictures = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green")]
    with pytest.raises(ValueError, match=r"trust=\[tiny_net\.TinyNet\]"):
        unseen.embed(checkpoint, pictures)
    made = unseen.embed(checkpoint, pictures, trust=["tiny_net.TinyNet"])
    assert len(made) == 2
    assert made.layer == table.generalization().best_layer


@pytest.mark.slow
def test_a_data_set_of_ones_own(tmp_path: Path) -> None:
    (line,) = commands(ROOT / "examples/dataset/README.md")
    run(line, tmp_path)
    (split,) = tmp_path.rglob("split.json")
    assert json.loads(split.read_text(encoding="utf-8"))["unseen"] == ["hexagon", "pentagon"]


@pytest.mark.slow
def test_a_probe_of_ones_own(tmp_path: Path) -> None:
    """In a copy of the repository: the file, and the entry of the table, are all that it takes."""
    root, readme = tmp_path / "copy", ROOT / "examples/probe/README.md"
    for part in ("src", "configs", "examples"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    copy_file, train = commands(readme)
    subprocess.run(shlex.split(copy_file), cwd=root, check=True)
    entry = readme.read_text(encoding="utf-8").split("```text\n")[1].split("```")[0]
    table = root / "src/unseen/probe_table.py"
    table.write_text(
        table.read_text(encoding="utf-8").replace("\nPROBES = (\n", f"\nPROBES = (\n{entry}"),
        encoding="utf-8",
    )
    (scores,) = run(train, tmp_path / "logs", root)
    layers = [
        row for row in scores if row.probe == "mean_cosine" and row.split == "unseen" and row.layer >= 0
    ]
    assert len(layers) == scores.generalization().num_layers
    assert all(-1 <= row.value <= 1 for row in layers)
    done = warm_python().run(
        root / "src/report.py",
        [f"paths.log_dir={tmp_path / 'logs'}"],
        cwd=root,
        env=dict(os.environ),
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (page,) = (tmp_path / "logs").rglob("index.html")
    assert "mean cosine" in page.read_text(encoding="utf-8")
