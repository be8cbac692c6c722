"""A typed checkpoint makes another run; a run's own last one does not."""

import json
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from unseen.runs.cli import register_resolvers
from unseen.runs.identity import config_hash

CONFIGS = Path(__file__).parents[2] / "configs"


def composed(*overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=["paths.output_dir=out", *overrides])


def test_a_typed_checkpoint_makes_another_run(tmp_path: Path) -> None:
    hashes = {
        config_hash(composed(*typed), tmp_path)
        for typed in ([], ["ckpt_path=/a.ckpt"], ["ckpt_path=/b.ckpt"])
    }
    assert len(hashes) == 3


def test_a_run_that_goes_on_is_the_same_run(tmp_path: Path) -> None:
    own = f"ckpt_path={tmp_path}/checkpoints/last.ckpt"
    assert config_hash(composed(own), tmp_path) == config_hash(composed(), tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({"checkpoint": "/a.ckpt"}))
    assert config_hash(composed(own), tmp_path) == config_hash(composed("ckpt_path=/a.ckpt"), tmp_path)
    (tmp_path / "summary.json").write_text("[1]")
    assert config_hash(composed(own), tmp_path) == config_hash(composed(), tmp_path)
