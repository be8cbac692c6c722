"""A composed job of a sweep is checked as a whole before any job starts."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from unseen.runs.cli import register_resolvers
from unseen.runs.settings import check_job

CONFIGS = Path(__file__).parents[2] / "configs"


def composed(*overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=["model=resnet", *overrides], return_hydra_config=True)


@pytest.mark.parametrize(
    "overrides", [[], ["logger=none"], ["size=paper"], ["+tag=a", "hydra.run.dir=logs/${tag}"]]
)
def test_a_good_job_passes(overrides: list[str]) -> None:
    check_job(composed(*overrides))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("+model.sizes.demo.epochz=1", r"model\.sizes\.demo\.epochz is not a setting"),
        ("+model.freeze=true", r"model\.freeze is not a setting: nothing reads it"),
        ("+data.test_root=/x", r"data\.test_root is not a setting"),  # the digits have none
        ("+tag=a", "tag is not a setting"),
        ("ckpt_path=/nowhere.ckpt", r"ckpt_path=/nowhere\.ckpt is not a file"),
        ("ckpt_path=''", "ckpt_path='' is not a path"),
        ("plan=maybe", "plan='maybe' must be a valid boolean"),
        ("callbacks.layer_probe.pooling=max", r"set model\.pooling"),
        ("+trainer.limit_val_batches=2", "would leave images out of the evaluation"),
        ("+trainer.inference_mode=true", "is set by the program and cannot be typed"),
    ],
)
def test_a_bad_job_is_refused(override: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_job(composed(override))


def test_what_another_network_reads_is_refused() -> None:
    config = composed("model=vit", "+model.sizes.demo.epochs=3")
    with pytest.raises(ValueError, match=r"model\.sizes\.demo\.epochs is not a setting: nothing reads it"):
        check_job(config)


def test_what_a_size_would_have_said_may_be_typed_over() -> None:
    """model/resnet.yaml has the epochs of its schedule in each size; a typed value leaves them unread."""
    check_job(composed("model=resnet", "model.scheduler.epochs=3"))
