"""Parts that are chosen by one word: each makes the run that it says, through the functions of the command."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import timm.optim
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from rich.console import Console
from tests.test_configs import OPTIONS, resolved

from unseen.backbones.tuning import counted
from unseen.runs import objects
from unseen.runs.build import _data, _module
from unseen.runs.console import settings_tree
from unseen.runs.errors import UserError
from unseen.runs.objects import check_objects
from unseen.runs.schema import check_settings
from unseen.runs.trainer import check_trainer, make_trainer
from unseen.training import SeenClassifier
from unseen.training.sharpness import SharpnessAware

STEPS = 4
SMALL = (
    "model=resnet", "trainer=cpu", f"recipe.max_steps={STEPS}", "recipe.warmup_steps=0", "data.batch_size=18",
    "data.train_size=36", "data.test_size=20", "data.unseen_per_class=5",
)  # fmt: skip


class Trained(NamedTuple):
    """A run of a few steps, and the learning rate of each."""

    module: SeenClassifier
    rates: list[float]

    def weights(self) -> torch.Tensor:
        return torch.cat([weight.detach().flatten() for weight in self.module.parameters()])


class _Rates(Callback):
    def __init__(self) -> None:
        self.found: list[float] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.found.append(trainer.optimizers[0].param_groups[0]["lr"])


class _SaveHalfWay(Checkpoint):
    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == STEPS // 2:
            trainer.save_checkpoint(self.path)


Train = Callable[..., Trained]


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Train]:
    """Train for four steps of half an epoch each as the typed settings say."""
    data_dir = tmp_path_factory.mktemp("data")

    @cache
    def trained(*overrides: str, resume: Path | None = None) -> Trained:
        plain = resolved(*SMALL, f"paths.data_dir={data_dir}", *overrides)
        check_settings(plain)
        check_objects(plain)
        spec, datamodule = _data(plain, training=True)
        module = _module(plain, spec, datamodule, {}, None, training=True)
        rates = _Rates()
        save = _SaveHalfWay(data_dir / "half.ckpt")
        make_trainer(plain["trainer"], [rates, save], []).fit(module, datamodule, ckpt_path=resume)
        return Trained(module, rates.found)

    yield trained
    trained.cache_clear()


def options(group: str) -> list[str]:
    return [option for name, option in OPTIONS if name == group]


# ------------------------------------------------------------------ optimizer
@pytest.mark.parametrize("name", options("optimizer"))
def test_each_optimizer_is_the_one_it_is_called(name: str, train: Train) -> None:
    made = train(f"optimizer={name}").module.trainer.optimizers[0]
    kinds = {
        "adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD, "lion": timm.optim.Lion,
        "lamb": timm.optim.Lamb, "sam": SharpnessAware,
    }  # fmt: skip
    assert type(made) is kinds[name]
    if name not in {"adamw", "adam"}:  # equal without weight decay
        assert not torch.equal(train(f"optimizer={name}").weights(), train().weights())


def test_a_setting_of_an_optimizer_reaches_it(train: Train) -> None:
    found = train("optimizer=sgd", "model.optimizer.momentum=0.5", "model.optimizer.lr=0.1")
    group = found.module.trainer.optimizers[0].param_groups[0]
    assert (group["initial_lr"], group["momentum"], group["nesterov"]) == (0.1, 0.5, True)


def test_any_other_optimizer(train: Train) -> None:
    without = [f"~model.optimizer.{name}" for name in ("momentum", "nesterov")]
    found = train("optimizer=sgd", "model.optimizer._target_=torch.optim.Adagrad", *without)
    assert type(found.module.trainer.optimizers[0]) is torch.optim.Adagrad


# ------------------------------------------------------------------ scheduler
@pytest.mark.parametrize(
    ("overrides", "factors"),
    [
        ([], [1, 0.75, 0.5, 0.25]),
        (["model.scheduler.epochs=4"], [1, 7 / 8, 6 / 8, 5 / 8]),  # an epoch is two steps
        (["scheduler=cosine"], [1, (1 + math.cos(math.pi / 4)) / 2, 0.5, (1 - math.cos(math.pi / 4)) / 2]),
        (["scheduler=constant", "model.scheduler.warmup_steps=2"], [0.5, 1, 1, 1]),
        (["scheduler=step", "model.scheduler.step_size=2"], [1, 1, 0.1, 0.1]),
        # OneCycleLR begins at 1/25 of the peak, which it reaches after .5 * 4 - 1 steps, and ends far below
        (["scheduler=one_cycle", "model.scheduler.pct_start=0.5"], [0.04, 1, None, 4e-6]),
    ],
)
def test_the_learning_rate_of_each_step(
    overrides: list[str], factors: list[float | None], train: Train
) -> None:
    rates = train("model.optimizer.lr=0.001", *overrides).rates
    known = [(rate, factor) for rate, factor in zip(rates, factors, strict=True) if factor is not None]
    assert [rate for rate, _ in known] == pytest.approx([0.001 * factor for _, factor in known], rel=1e-9)


def test_a_schedule_without_an_end_takes_no_epochs(train: Train) -> None:
    """ResNet's own five epochs at size=paper do not stand in the way."""
    assert "epochs" not in resolved("size=paper", "model=resnet", "scheduler=constant")["model"]["scheduler"]
    with pytest.raises(
        ValueError, match=r"model\.scheduler\.epochs is not a setting: constant does not take it"
    ):
        train("scheduler=constant", "+model.scheduler.epochs=3")


@pytest.mark.parametrize("typed", ["+model.optimizer.params=[]", "+model.scheduler.total_steps=9"])
def test_what_the_program_gives_cannot_be_typed(typed: str, train: Train) -> None:
    with pytest.raises(ValueError, match="is set by the program and cannot be typed"):
        train(typed)


# ------------------------------------------------------------------ loss and tuning
VIEWS = ("data.views=2", "augment=simclr")


@pytest.mark.parametrize("name", options("loss"))
def test_each_loss_changes_the_network(name: str, train: Train) -> None:
    with_views = VIEWS if name in {"simclr", "vicreg"} else ()
    found = train(f"loss={name}", *with_views).weights()
    assert torch.equal(found, train(*with_views).weights()) == (name == "cross_entropy")
    assert found.isfinite().all()


def test_two_views_want_a_loss_and_an_augmentation(train: Train) -> None:
    with pytest.raises(
        ValueError,
        match=r"TwoViewLoss compares 2 views of each image: add data\.views=2, and an augmentation",
    ):
        train("loss=simclr", "augment=simclr")
    with pytest.raises(ValueError, match=r"data\.views=2 needs an augmentation, without which the views"):
        train("loss=vicreg", "data.views=2")
    check_objects(resolved("loss=simclr"), training=False)  # as an evaluation of its checkpoint


def test_without_smoothing_label_smoothing_is_cross_entropy(train: Train) -> None:
    assert torch.equal(
        train("loss=label_smoothing", "model.loss.label_smoothing=0.0").weights(), train().weights()
    )


def test_another_loss_on_the_embedding(train: Train) -> None:
    target = "model.loss.on_embedding._target_=pytorch_metric_learning.losses.NTXentLoss"
    other = train("loss=supcon", target).weights()
    assert not torch.equal(other, train("loss=supcon").weights())


@pytest.mark.parametrize("name", options("tuning"))
def test_each_tuning_trains_what_it_says(name: str, train: Train) -> None:
    """The counts by hand are in tests/backbones/test_tuning.py."""
    if name == "attention":
        with pytest.raises(
            UserError, match="tuning=attention trains attention layers, and this network has none"
        ):
            train(f"tuning={name}")
        return
    total, trained = counted(train(f"tuning={name}").module.backbone)
    assert (trained == total) == (name == "full")
    optimizer = train(f"tuning={name}").module.trainer.optimizers[0]
    assert sum(one.numel() for group in optimizer.param_groups for one in group["params"]) == trained


@pytest.mark.parametrize(
    "parts",
    [
        ("tuning=lora", "loss=supcon", "optimizer=sgd", "scheduler=one_cycle"),
        ("augment=trivial", "data.class_balanced=true"),
        ("loss=vicreg", "data.views=2", "augment=flip_crop"),
        ("optimizer=sam", "model.optimizer.rho=0.1"),
        ("loss=r3f", "model.loss.weight=5", "optimizer=sam", "data.cue_agreement=0.5"),
    ],
)
def test_a_resumed_run_ends_with_the_same_weights(parts: tuple[str, ...], train: Train) -> None:
    whole = train(*parts)
    checkpoint = next(one for one in whole.module.trainer.callbacks if isinstance(one, _SaveHalfWay)).path  # type: ignore[attr-defined]
    resumed = train(*parts, resume=checkpoint)
    assert resumed.rates == whole.rates[STEPS // 2 :]
    assert torch.equal(resumed.weights(), whole.weights())


# ------------------------------------------------------------------ augment, balance
@pytest.mark.parametrize("name", options("augment"))
def test_each_augmentation_changes_the_network(name: str, train: Train) -> None:
    assert torch.equal(train(f"augment={name}").weights(), train().weights()) == (name == "none")


def test_balanced_classes_change_the_network(train: Train) -> None:
    assert not torch.equal(train("data.class_balanced=true").weights(), train().weights())


# ------------------------------------------------------------------ packages, machines, settings
def test_a_package_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "find_spec", lambda package: None)
    for typed, says in (
        (
            "logger=mlflow",
            r"logger\.mlflow needs mlflow, which is not installed: pip install 'unseen\[mlflow\]'",
        ),
        ("logger=many", r"logger\.tensorboard needs tensorboard, .*'unseen\[tensorboard\]'"),
        ("loss=supcon", r"model\.loss\.on_embedding needs pytorch_metric_learning, .*'unseen\[losses\]'"),
        ("optimizer=sam", r"model\.optimizer needs pytorch_optimizer, .*'unseen\[sam\]'"),
    ):
        with pytest.raises(ValueError, match=says):
            check_objects(resolved(typed))


def test_apples_gpu_is_asked_for_where_there_is_none() -> None:
    if not torch.backends.mps.is_available():
        with pytest.raises(
            ValueError, match=r"trainer\.accelerator=mps: torch sees no Apple GPU on this machine"
        ):
            check_trainer(resolved("trainer=mps")["trainer"])


def test_the_settings_as_a_tree() -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(settings_tree({"seed": 0, "model": {"name": "[vit]", "options": {}}}))
    assert console.file.getvalue().split() == ["settings", "├──", "seed:", "0", "└──", "model", "├──", "name:", "[vit]",
                                               "└──", "options:", "{}"]  # type: ignore[attr-defined]  # fmt: skip
