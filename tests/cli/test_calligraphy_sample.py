"""The main job on real calligraphy, if a sample of it lies beside the project."""

from __future__ import annotations

import json
import os

import pytest
from tests.cli.conftest import ROOT, run_command

from unseen.scores import ScoreTable

SAMPLE = os.environ.get("UNSEEN_CALLIGRAPHY", "../shared/data/calligraphy.zip")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (ROOT / SAMPLE).is_file(),
        reason=f"no calligraphy sample at {SAMPLE} (UNSEEN_CALLIGRAPHY names another)",
    ),
]


def test_the_sample_is_learned_and_scored(tmp_path) -> None:
    """Twenty steps of the pretrained network on 2,000 images; the whole sample takes minutes."""
    ran = run_command(
        "train.py", "data=calligraphy", f"data.root={SAMPLE}", "model=efficientnet_lite0", "data.image_size=64",
        "trainer.max_steps=20", "trainer.val_check_interval=20", "seed=0", "data.train_size=1440", "data.test_size=300",
        "data.unseen_per_class=60", "probe.at_start=false", "probe.n_init=3", logs=tmp_path,
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    summary = ran.summary()
    split = json.loads((ran.folder / "split.json").read_text())
    assert split["unseen"] == ["csl", "hy", "mf", "shz", "wzm"]
    assert (summary["seen_classes"], summary["unseen_images"], summary["num_layers"]) == (15, 300, 9)
    assert summary["seen_accuracy"] > 3 / 15  # chance is 1/15; 20 steps are far from done
    best = ScoreTable.read(ran.folder / "scores.csv").generalization()
    assert best is not None
    assert best.g > summary["input_unseen_nmi"] * 0.5
    assert 0 < best.best_layer < 8
