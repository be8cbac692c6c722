"""Arguments of the objects in a configuration are checked before they are made."""

import copy
from typing import Any

import pytest

from unseen.runs.errors import UserError
from unseen.runs.objects import check_objects, make, parameters

CHECKPOINT = "lightning.pytorch.callbacks.ModelCheckpoint"
GOOD: dict[str, Any] = {
    "model": {
        "backbone": {"_target_": "unseen.backbones.timm.TimmSpec", "architecture": "resnet18"},
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "optimizer": {"_target_": "torch.optim.AdamW", "lr": 1e-3},
        "scheduler": {"_target_": "unseen.training.schedule.linear", "warmup_steps": 2, "epochs": None},
    },
    "data": {"source": {"_target_": "unseen.data.sources.digits.Digits", "root": None}},
    "trainer": {
        "_target_": "lightning.pytorch.Trainer",
        "max_steps": 3,
        "strategy": {"_target_": "lightning.pytorch.strategies.DDPStrategy", "process_group_backend": "gloo"},
    },
    "callbacks": {
        "layer_probe": {"_target_": "unseen.callbacks.layer_probe.LayerProbe", "pooling": "auto"},
        "best": {"_target_": CHECKPOINT, "monitor": "seen/loss"},
        "off": None,
    },
    "logger": {"wandb": {"_target_": "unseen.runs.loggers.wandb_logger", "folder": "x", "anything": 1}},
}


def test_good_objects_pass() -> None:
    check_objects(copy.deepcopy(GOOD))


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        ("data.source.foo", 1, "data.source.foo is not a setting: Digits does not take it"),
        ("data.source.rooot", 1, "(did you mean root?)"),
        ("data.source.root", 3, "data.source.root=3 must be None or str"),
        ("data.source._target_", "nowhere.X", "data.source._target_=nowhere.X cannot be imported"),
        ("data.source._target_", "unseen.runs.checkpoints.SCHEMA", "is neither a class nor a function"),
        ("data.source._target_", 5, "data.source needs a _target_"),
        ("model.backbone.freeze", True, "model.backbone.freeze is not a setting: TimmSpec does not take it"),
        ("model.backbone.architecture", 7, "model.backbone.architecture=7 must be str"),
        ("model.backbone.pretrained", "maybe", "model.backbone.pretrained='maybe' must be bool"),
        (
            "model.optimizer.momentum",
            0.9,
            "model.optimizer.momentum is not a setting: AdamW does not take it",
        ),
        ("model.scheduler.warmup", 3, "model.scheduler.warmup is not a setting: linear does not take it"),
        (
            "model.scheduler",
            {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1, "epochs": 3},
            "model.scheduler.epochs is not a setting: StepLR does not take it",
        ),
        (
            "model.scheduler",
            {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau"},
            "waits for a metric; schedules here know the step only",
        ),
        ("trainer.max_stepz", 3, "trainer.max_stepz is not a setting: Trainer does not take it"),
        (
            "trainer.plugins",
            [{"_target_": "nowhere.X"}],
            "trainer.plugins.0._target_=nowhere.X cannot be imported",
        ),
        (
            "callbacks.best.monitr",
            "x",
            "callbacks.best.monitr is not a setting: ModelCheckpoint does not take it",
        ),
        ("callbacks.new", {"a": 1}, "callbacks.new needs a _target_"),
    ],
)
def test_what_an_object_does_not_take_is_refused(place: str, value: object, says: str) -> None:
    config = copy.deepcopy(GOOD)
    node = config
    *parents, key = place.split(".")
    for parent in parents:
        node = node[parent]
    node[key] = value
    with pytest.raises(ValueError, match=r"^\w") as caught:
        check_objects(config)
    assert says in str(caught.value)


def test_an_object_of_another_kind_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"data\.source\._target_=builtins\.dict does not make one: it has no list"
    ):
        make({"_target_": "builtins.dict"}, "data.source", methods=("list",))
    with pytest.raises(ValueError, match=r"callbacks\.x\._target_=builtins\.dict does not make a str"):
        make({"_target_": "builtins.dict"}, "callbacks.x", str)
    assert make({"_target_": "builtins.dict", "a": 1}, "x", dict, b=2) == {"a": 1, "b": 2}


def test_errors_of_the_making_are_sentences() -> None:
    with pytest.raises(ValueError, match=r"^x cannot be made: .*invalid literal"):
        make({"_target_": "builtins.int", "_args_": ["z"]}, "x")
    with pytest.raises(UserError, match="as it is"):
        make({"_target_": f"{__name__}.refuse"}, "x")
    with pytest.raises(ValueError, match=r"^x cannot be made: what to do instead$"):
        make({"_target_": f"{__name__}.explain"}, "x")


def refuse() -> None:
    raise UserError("as it is")


def explain() -> None:
    raise RuntimeError("what to do instead") from OSError("what a library says")


def test_what_takes_anything_is_not_known() -> None:
    assert parameters(dict) == ({}, True)
    assert parameters(lambda a, *, b=1, **more: None) == ({"a": set(), "b": set()}, True)


def test_a_path_is_not_looked_up_again() -> None:
    """The configuration is resolved; what looks like an interpolation now is a folder's name."""
    values = {"root": "a/dol${x}lar", "more": ["\\${y}", {"z": "${seed}"}]}
    inner = {"_target_": "builtins.dict", "a": 1}
    made = make({"_target_": "builtins.dict", "inner": inner} | values, "x", dict)
    assert made == {"inner": {"a": 1}} | values
