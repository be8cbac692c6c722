"""What was typed and the command does not read: refused, so that nobody believes it had an effect.

Each command composes more than it reads: `eval.py`, `biases.py` and `transfer.py` begin with the configuration of
`train.py`, and settings that serve others (`recipe.lr`) are read where a chosen file refers to them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from omegaconf import DictConfig

from unseen.runs.own_folder import JOB
from unseen.runs.schema import Place, is_read, read_places
from unseen.runs.typed_line import OF_TRANSFER, key_of
from unseen.settings import SIZES, TABLE, effect_of, value_at


@dataclass(frozen=True)
class _Reads:
    """What can be typed for a command; the rest of the configuration belongs to other commands.

    Attributes:
        why: Ends the sentence on what cannot.
        groups: First parts of what is read; empty: all.
        within: Of these groups only these keys.
        unread: Patterns of further keys that are not read.
    """

    why: str
    groups: tuple[str, ...] = ()
    within: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def reads(self, name: str) -> bool:
        group, _, key = name.partition(".")
        if self.groups and group not in (*self.groups, *self.within):
            return False
        inner = key.partition(".")[0]
        if key and group in self.within and inner not in self.within[group]:
            return False
        return not any(fnmatchcase(name, pattern) for pattern in self.unread)


_OF_ALL = ("seed", "size", "trainer", "logger", "paths", "hydra", "resume", "plan", "extras", "local")
_TRAINING_IMAGES = tuple(
    f"data.{key}*" for key in ("augment", "batch_size", "views", "class_balanced", "keep", "el2n")
)
_CAPTIONS = ("data.templates", "data.class_names")
_TRAINING_CALLBACKS = (
    "adversarial_training",
    "best_checkpoint",
    "early_stopping",
    "last_checkpoint",
    "magnitude_pruning",
    "model_summary",
)
_READ_BY = {
    "train": _Reads("captions of classes are transfer.py's", unread=_CAPTIONS),
    "eval": _Reads(
        "it scores a network as it is, without training",
        unread=(
            *_CAPTIONS,
            *_TRAINING_IMAGES,
            *(f"callbacks.{name}*" for name in _TRAINING_CALLBACKS),
            *("augment", "loss", "optimizer", "scheduler"),
            *(f"model.{key}*" for key in ("loss", "optimizer", "scheduler", "schedule_epochs")),
            "model.sizes.*.epochs",
            *(
                f"recipe.{key}"
                for key in ("lr", "warmup_steps", "schedule_epochs", "max_steps", "val_check_interval", "precision")
            ),
            "probe.at_start",
            *(
                f"trainer.{key}"
                for key in (
                    *("max_steps", "max_epochs", "val_check_interval", "gradient_clip_val", "precision"),
                    *("accumulate_grad_batches", "log_every_n_steps", "limit_train_batches"),
                )
            ),
        ),
    ),
    "biases": _Reads(
        "a network is measured as it is, without training and without probes of layers",
        groups=(
            *_OF_ALL,
            *("ckpt_path", "data", "measures", "benchmark", "images", "limit", "faithful", "study/biases"),
            *("debug/biases", "batch_size", "cache_gb", "runs"),
        ),
        within={
            "model": ("name", "pretrained", "checkpoint", "channels_last", "backbone", "sizes"),
            "trainer": ("accelerator", "eval_precision"),
        },
        # the data of a checkpoint are its seen test images
        unread=(*_CAPTIONS, *_TRAINING_IMAGES, "data.eval_batch_size", "data.num_labels", "data.shift",
                "data.unseen_per_class"),
    ),
    "transfer": _Reads(
        "",
        groups=(
            *_OF_ALL,
            *("encoder", "technique", "transfer_experiment", "study/transfer", "data", "optimizer", "others"),
            *("debug/transfer", "measure_only", "templates", "class_names", "limit", "epochs", "draws", "batch_size"),
            *("label_models", "prompts", "shares", "l2_to_init", "replay", "alphas", "save_embeddings"),
            "runs",
        ),
        within={
            "trainer": (
                *("accelerator", "precision", "eval_precision", "devices", "num_nodes", "strategy"),
                *("deterministic", "benchmark"),
            ),
            "model": ("optimizer",),
            "callbacks": ("best_checkpoint", "last_checkpoint"),
        },
        unread=("callbacks",),  # the group
    ),
}  # fmt: skip
# Of the settings of a task; keys that are not in the table belong to some data sets only: data.dataset.
_OF_TASKS = (
    *("name", "source", "root", "train_size", "test_size", "test_fraction", "split_seed", "stratified", "skip_bad"),
    *("cache_gb", "templates", "class_names"),
)  # fmt: skip
_OF_STUDIES = ("name", "question", "answer", "analysis", "measure", "reference")  # read by the report
_TRAINS = ("technique", "optimizer", "model.optimizer", "epochs", "callbacks")  # in transfer.py


def check_read(command: str, config: DictConfig, whole: Any, plain: Mapping[str, Any]) -> None:
    """Refuse what was typed and is read by other commands, by other parts or by nobody.

    Args:
        command: train, eval, biases or transfer; of another name nothing is known, and nothing refused.
        config: The composed configuration.
        whole: One that has Hydra's part, too.
        plain: `config`, resolved.

    Raises:
        ValueError: One sentence.
    """
    if command not in _READ_BY:
        return
    typed = sorted(key_of(text) for text in whole.hydra.overrides.task)
    reads, read = _READ_BY[command], read_places(config, whole)
    for name in typed:
        if not reads.reads(name):
            raise ValueError(f"{name} is not read by {command}.py{reads.why and ': '}{reads.why}")
        if why := _without(command, name, plain, read) or _unreferenced(name, read):
            raise ValueError(f"{name} is not read by {command}.py{why}")
    if command == "eval" and "callbacks" in typed:
        for name in (one for one in _TRAINING_CALLBACKS if not one.endswith("_checkpoint")):
            if value_at(plain, ("callbacks", name)):
                raise ValueError(f"callbacks.{name} is not read by eval.py: {reads.why}; leave it out")
    if os.environ.get(JOB) or str(whole.hydra.mode) == "RunMode.MULTIRUN":
        return  # jobs share what is typed, and some may not need it
    for name, why in _idle(command, plain):
        if culprit := next((one for one in typed if f"{one}.".startswith(f"{name}.")), None):
            shown = next((typed for typed, group in OF_TRANSFER.items() if group == culprit), culprit)
            raise ValueError(f"{shown} is not read: {why}")


def _without(command: str, name: str, plain: Mapping[str, Any], read: Collection[Place]) -> str:
    """Return why a setting is not read without another one, or of another kind; empty where it is read."""
    group, _, key = name.partition(".")
    if name == "runs" and not is_read((name,), read):  # a study of trained networks refers to it
        return " without a study of what was measured, such as study=own"
    if group == "data" and command == "biases" and plain["ckpt_path"] is None:
        return ": the images of data= are measured with ckpt_path= only, other images are a benchmark"
    if group == "data" and command == "transfer":
        inner = key.partition(".")[0]
        if f"data.{inner}" in TABLE and inner not in _OF_TASKS:
            return ", which withholds no class of a task"
    return ""


def _unreferenced(name: str, read: Collection[Place]) -> str:
    """Return why a setting that only serves others is not read; empty for others, and where one refers to it."""
    place = tuple(name.split("."))
    serves = effect_of(name) == "default" and not place[-1].startswith("_")
    if place[0] == "study" and len(place) > 1 and place[1] not in _OF_STUDIES:
        serves = True
        if place[1] not in SIZES:  # a size stands for `*`, nothing else does
            read = {known for known in read if "*" not in known[:2]}
    return ": no other setting refers to it here" if serves and not is_read(place, read) else ""


def _idle(command: str, plain: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what other settings switch off, and why."""
    keep = value_at(plain, ("data", "keep"))
    if command == "train" and plain["ckpt_path"] is None:  # a checkpoint brings its own
        if keep == "all":
            yield (
                "data.keep_share",
                "data.keep=all trains on all images; choose data.keep=hardest, easiest or random",
            )
        if keep in ("all", "random"):
            yield (
                "data.el2n",
                f"data.keep={keep} asks for no EL2N scores; choose data.keep=hardest or easiest",
            )
    if command == "transfer" and plain["measure_only"]:
        for name in _TRAINS:
            yield name, "measure_only=true does not train"
    pretrained, file = (value_at(plain, ("model", key)) for key in ("pretrained", "checkpoint"))
    if command != "transfer" and plain["ckpt_path"] is None and pretrained and file:
        yield "model.pretrained", "the weights are those of model.checkpoint"
