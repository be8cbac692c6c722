"""Destroyed images: measured at the last evaluation only, and at chance when nothing is left of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score
from tests.runs.conftest import Small, small

from unseen.runs.trainer import evaluate, train
from unseen.scores import ScoreTable, destroyed_probe

LEVELS = (0.5, 1.0)


def run(parts: Small, *, at_start: bool = True, checkpoint: Path | None = None) -> ScoreTable:
    train(
        module=parts.module, datamodule=parts.datamodule, trainer=parts.trainer, run_folder=parts.folder,
        probe=parts.probe, probe_at_start=at_start, checkpoint=checkpoint,
    )  # fmt: skip
    return ScoreTable.read(parts.folder.scores_path)


def small_with_noise(path: Path, **settings: Any) -> Small:
    return small(path, probe_settings={"noise_levels": LEVELS}, **settings)


def steps_with_controls(table: ScoreTable) -> list[int]:
    return sorted({row.step for row in table if row.probe == destroyed_probe(1)})


@pytest.fixture(scope="module")
def destroyed(tmp_path_factory: pytest.TempPathFactory) -> Small:
    parts = small_with_noise(tmp_path_factory.mktemp("destroyed"))
    run(parts)
    return parts


def test_only_the_last_evaluation_pays_for_it(destroyed: Small) -> None:
    table = ScoreTable.read(destroyed.folder.scores_path)
    assert table.steps == [0, 2, 4, 6]
    layers = len(destroyed.module.backbone.taps)
    for level in LEVELS:
        rows = [row for row in table if row.probe == destroyed_probe(level)]
        assert [(row.step, row.split, row.layer) for row in rows] == [
            (6, "unseen", layer) for layer in range(layers)
        ]


def test_every_other_number_is_that_of_a_run_without(destroyed: Small, uninterrupted: Small) -> None:
    table = ScoreTable.read(destroyed.folder.scores_path)
    kept = [row for row in table if row.probe not in {destroyed_probe(level) for level in LEVELS}]
    assert kept == list(ScoreTable.read(uninterrupted.folder.scores_path))
    weights, others = destroyed.weights(), uninterrupted.weights()
    assert all(bool((weights[name] == others[name]).all()) for name in others)


def test_without_images_the_nmi_is_chance(destroyed: Small) -> None:
    """36 images of three classes: the NMI of classes with 500 random clusterings is what chance can give."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(3), 12)
    chance = [normalized_mutual_info_score(classes, rng.integers(0, 3, 36)) for _ in range(500)]
    found = ScoreTable.read(destroyed.folder.scores_path).at(6, "unseen", destroyed_probe(1))
    assert max(row.value for row in found) <= max(chance)
    assert np.mean([row.value for row in found]) <= np.quantile(chance, 0.99)


def test_a_training_that_stops_early_is_evaluated_once_more(tmp_path: Path) -> None:
    parts = small_with_noise(tmp_path, max_steps=6)
    original = parts.folder.record

    def stop_at_four(scoring: Any) -> Any:
        parts.trainer.should_stop = scoring.step >= 4
        return original(scoring)

    parts.folder.record = stop_at_four  # type: ignore[method-assign]
    parts.trainer.fit_loop.min_epochs = 0
    table = run(parts)
    assert table.steps == [0, 2, 4]
    assert steps_with_controls(table) == [4]


def test_an_evaluation_always_has_them(destroyed: Small, tmp_path: Path) -> None:
    parts = small_with_noise(tmp_path)
    parts.module.load_state_dict(destroyed.module.state_dict())
    evaluate(module=parts.module, datamodule=parts.datamodule, trainer=parts.trainer, run_folder=parts.folder)
    found = {(row.layer, row.probe): row.value for row in parts.folder.table.at(0, "unseen")}
    last = {(row.layer, row.probe): row.value for row in destroyed.folder.table.at(6, "unseen")}
    assert found == last


def test_a_run_resumed_at_its_end_gets_them(destroyed: Small, uninterrupted: Small, tmp_path: Path) -> None:
    shutil.copytree(uninterrupted.folder.path, tmp_path / "run")
    second = small_with_noise(tmp_path / "run")
    second.folder.continue_from(ScoreTable.read(second.folder.scores_path), 6, seconds=0)
    table = run(second, checkpoint=tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert list(table) == list(ScoreTable.read(destroyed.folder.scores_path))
