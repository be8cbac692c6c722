"""The user's real commands in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.cli.warm_python import Started, warm_python

ROOT = Path(__file__).parents[2]
# A few steps on few images; each still takes the imports, so tests share what they can.
TINY = (
    "data=digits",
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "data.train_size=144",
    "data.test_size=60",
    "data.unseen_per_class=20",
    "probe.n_init=1",
)
# One evaluation, and of it the scores alone, where a test looks at something else.
BARE = (
    "probe.at_start=false", "probe.selectors=none", "probe.save_embeddings=false", "callbacks.best_checkpoint=null",
)  # fmt: skip


@dataclass
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str
    logs: Path

    @property
    def folders(self) -> list[Path]:
        """All run folders, by age."""
        return sorted(
            (path.parent for path in self.logs.rglob("summary.json")), key=lambda path: path.stat().st_mtime
        )

    @property
    def folder(self) -> Path:
        """The newest run folder."""
        assert self.folders, self.out + self.err
        return self.folders[-1]

    def summary(self) -> dict[str, Any]:
        """Its summary."""
        found: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return found


def environment(logs: Path, **extra: str) -> dict[str, str]:
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("WANDB_", "UNSEEN_", "HYDRA_", "SLURM_"))
    }
    folders = {"UNSEEN_LOG_DIR": str(logs), "UNSEEN_DATA_DIR": str(logs / "data")}
    return clean | folders | {"HF_HUB_OFFLINE": "1", "COLUMNS": "160", **extra}


def run_command(
    entry: str, *arguments: str, logs: Path, fresh: bool = False, timeout: float = 240, **extra: str
) -> Ran:
    """Run `python src/<entry> <arguments>` and wait for its end.

    Args:
        entry: File in src/.
        arguments: What is typed after it.
        logs: Receives the results.
        fresh: In a fresh interpreter, which takes seconds to load the libraries, instead of one that has them already.
        timeout: Seconds.
        extra: Environment variables; Python's own, but for PYTHONPATH, need a fresh interpreter, and get it.
    """
    script, env = ROOT / "src" / entry, environment(logs, **extra)
    if fresh or any(name.startswith("PYTHON") and name != "PYTHONPATH" for name in extra):
        done = subprocess.run(
            [sys.executable, str(script), *arguments], cwd=ROOT, env=env, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
    else:
        done = warm_python().run(script, list(arguments), cwd=ROOT, env=env, timeout=timeout)
    return Ran(done.returncode, done.stdout, done.stderr, logs)


def start_command(entry: str, *arguments: str, logs: Path, said: Path) -> Started:
    """Start what `run_command` runs, as the leader of a group of processes; its output goes into the folder `said`."""
    return warm_python().start(
        ROOT / "src" / entry, list(arguments), cwd=ROOT, env=environment(logs), folder=said
    )


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Ran]:
    """Run train.py with results in a folder of this test."""
    return lambda *arguments, **options: run_command(
        "train.py", *arguments, **{"logs": tmp_path / "logs", **options}
    )


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., Ran]:
    """Run eval.py with results in a folder of this test."""
    return lambda *arguments, **options: run_command(
        "eval.py", *arguments, **{"logs": tmp_path / "eval", **options}
    )


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One finished tiny run, typed as a user does, for the tests that only read its folder."""
    ran = run_command("train.py", "model=resnet", "seed=0", *TINY, logs=tmp_path_factory.mktemp("tiny"))
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the public layouts with 9 cue-conflict images and 6 silhouettes of noise."""
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)

    def draw(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)).save(path)

    shapes = ("cat", "dog", "truck")
    for shape in shapes:
        for texture in shapes:
            draw(root / "cue_conflict" / "cue-conflict" / shape / f"{shape}1-{texture}2.png")
        for number in range(2):
            draw(root / "cue_conflict" / "silhouettes" / shape / f"{shape}{number}.png")
    return root
