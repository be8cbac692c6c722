"""What was typed and the command does not read is refused; what it reads is not."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from unseen.runs.cli import register_resolvers
from unseen.runs.own_folder import JOB
from unseen.runs.unread import check_read

CONFIGS = Path(__file__).parents[2] / "configs"


@functools.cache
def composed(command: str, line: str) -> tuple[DictConfig, dict[str, Any]]:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        whole = compose(command, overrides=["paths.output_dir=out", *line.split()], return_hydra_config=True)
    HydraConfig.instance().set_config(whole)
    OmegaConf.set_struct(whole, False)
    OmegaConf.set_readonly(whole.hydra, False)
    plain = OmegaConf.to_container(
        OmegaConf.masked_copy(whole, [key for key in whole if key != "hydra"]), resolve=True
    )
    return whole, plain  # type: ignore[return-value]


def check(command: str, line: str, names: str = "") -> None:
    """Check a line, and names of settings as if they had been typed with the values that they have."""
    whole, plain = composed(command, line)
    whole.hydra.overrides.task = [*line.split(), *(f"{name}=1" for name in names.split())]
    check_read(command, whole, whole, plain)


@pytest.mark.parametrize(
    ("command", "line", "names"),
    [
        ("train", "trainer=gpu", "recipe.lr recipe.precision data.image_sizes.demo data.root"),
        ("train", "model.checkpoint=x model.pretrained=false", "seed"),
        ("train", "model=resnet data.keep=random", "model.sizes.demo.epochs data.keep_share tuning model.tuning.rank"),
        ("train", "study=g4 seed=1", "study.demo.steps study.measure study.reference model"),
        ("eval", "callbacks=el2n model=vit", "data.rotation probe.k trainer.devices recipe.pretrained tuning"),
        ("eval", "debug=tiny", "ckpt_path data"),
        ("biases", "study/biases=x1 runs=x", "ckpt_path"),
        ("biases", "ckpt_path=x", "data.rotation data.root model.channels_last measures limit trainer images"),
        ("transfer", "data=textures", "data.patch_size data.templates technique technique.rank encoder.cache epochs"),
        ("transfer", "data=image_folder", "data.test_root data.source.root callbacks.last_checkpoint optimizer"),
        ("transfer", "measure_only=true", "others batch_size draws data.dataset"),
    ],
)  # fmt: skip
def test_what_is_read_may_be_typed(command: str, line: str, names: str) -> None:
    check(command, line, names)


@pytest.mark.parametrize(
    ("command", "line", "name", "why"),
    [
        ("train", "", "data.templates", " by train.py: captions of classes are transfer.py's"),
        ("train", "", "recipe.precision", " by train.py: no other setting refers to it here"),
        ("train", "optimizer=sgd", "recipe.lr", " by train.py: no other setting refers to it here"),
        ("train", "study=g4 seed=1", "study.demo.foo", " by train.py: no other setting refers to it here"),
        ("train", "study=g4 seed=1", "study.foo", " by train.py: no other setting refers to it here"),
        ("train", "", "data.keep_share", ": data.keep=all trains on all images"),
        ("train", "data.keep=random", "data.el2n", ": data.keep=random asks for no EL2N scores"),
        ("biases", "", "data", " by biases.py: the images of data= are measured with ckpt_path= only"),
        ("train", "model.checkpoint=x model.pretrained=true", "model.pretrained", ": the weights are those of"),
        ("eval", "", "optimizer", " by eval.py: it scores a network as it is, without training"),
        ("eval", "", "model.optimizer.lr", " by eval.py"),
        ("eval", "", "trainer.max_steps", " by eval.py"),
        ("eval", "", "recipe.max_steps", " by eval.py"),
        ("eval", "", "data.keep_share", " by eval.py"),
        ("eval", "", "augment", " by eval.py"),
        ("eval", "", "callbacks.best_checkpoint", " by eval.py"),
        ("biases", "", "runs", " by biases.py without a study of what was measured, such as study=own"),
        ("biases", "", "data.root", " by biases.py: the images of data= are measured with ckpt_path= only"),
        ("biases", "ckpt_path=x", "data.batch_size", " by biases.py: a network is measured as it is"),
        ("biases", "ckpt_path=x", "data.templates", " by biases.py"),
        ("biases", "", "probe.k", " by biases.py"),
        ("transfer", "", "data.num_unseen", " by transfer.py, which withholds no class of a task"),
        ("transfer", "", "data.rotation", " by transfer.py, which withholds no class of a task"),
        ("transfer", "templates=[a]", "data.templates", " by transfer.py: no other setting refers to it here"),
        ("transfer", "", "callbacks", " by transfer.py"),
        ("transfer", "", "runs", " by transfer.py without a study"),
        ("transfer", "measure_only=true", "epochs", ": measure_only=true does not train"),
        ("transfer", "measure_only=true", "technique.rank", ": measure_only=true does not train"),
        ("transfer", "measure_only=true", "model.optimizer.lr", ": measure_only=true does not train"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused(command: str, line: str, name: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name} is not read{why}')}"):
        check(command, line, name)


def test_callbacks_of_training_do_nothing_in_a_scoring() -> None:
    with pytest.raises(ValueError, match=r"^callbacks\.magnitude_pruning is not read by eval\.py"):
        check("eval", "callbacks=[el2n,pruning]")


def test_jobs_of_a_sweep_share_what_some_of_them_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in -m data.keep=all,random data.keep_share=0.3."""
    monkeypatch.setenv(JOB, "1")
    check("train", "", "data.keep_share")
    with pytest.raises(ValueError, match=r"data\.templates is not read"):
        check("train", "", "data.templates")
