"""What a checkpoint holds besides weights, and how a run goes on from it or scores it.

A file may come from anybody: nothing in it is executed, and everything that is used is checked first.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from unseen.data.splits import ClassSplit
from unseen.run_folder import RunFolder
from unseen.scores import ScoreTable
from unseen.settings import IMAGE_ROOTS, effect_of, flatten, value_at
from unseen.wording import one_line

if TYPE_CHECKING:
    from torch import nn

SCHEMA = 1
_TUNINGS = ("full", "head", "last_n", "bitfit", "attention", "lora", "adapter")
# Classes that a file may name. Others must be named by the configuration of the command.
KNOWN_CLASSES = frozenset(
    {
        "unseen.backbones.module.ModuleSpec",
        "unseen.backbones.timm.TimmSpec",
        "unseen.backbones.torchvision.TorchvisionSpec",
        "unseen.backbones.transformers.TransformersSpec",
        *(f"unseen.backbones.tuning.{name}" for name in _TUNINGS),
        "unseen.data.sources.calligraphy.Calligraphy",
        "unseen.data.sources.cifar100.Cifar100",
        "unseen.data.sources.csv_table.CsvTable",
        "unseen.data.sources.digits.Digits",
        "unseen.data.sources.huggingface.HuggingFaceSet",
        "unseen.data.sources.image_folder.ImageFolder",
        "unseen.data.sources.torch_dataset.TorchDatasetSource",
        "unseen.data.sources.torchvision_sets.TorchvisionSet",
        "unseen.data.sources.typefaces.Typefaces",
    }
)
# The same for what trains a network, which is made where training goes on.
KNOWN_PARTS = frozenset(
    {
        *(
            f"torch.optim.{name}"
            for name in ("Adam", "AdamW", "SGD", "lr_scheduler.StepLR", "lr_scheduler.OneCycleLR")
        ),
        *(f"timm.optim.{name}" for name in ("Lamb", "Lion")),
        *(f"unseen.training.schedule.{name}" for name in ("constant", "cosine", "linear")),
        *(f"unseen.training.losses.{name}" for name in ("EmbeddingLoss", "FocalLoss")),
        *("torch.nn.CrossEntropyLoss", "pytorch_metric_learning.losses.SupConLoss"),
        *(
            f"torchvision.transforms.v2.{name}"
            for name in (
                "Compose",
                "RandAugment",
                "RandomHorizontalFlip",
                "RandomResizedCrop",
                "TrivialAugmentWide",
            )
        ),
    }
)
_HASH_DIGITS = 12
_MOST = 2**31 - 1
_MACHINE = ("cache_gb", "decode", "workers")  # of the machine that runs, never of the one that trained
_READING = ("pooling", "channels_last")  # how a network is read and laid out, not what it is
_TRAINING = ("loss", "optimizer", "scheduler")  # of `model`; never made where a checkpoint is scored
# of `model` and `data`: never made, or looked at by themselves
_CHECKED = (*_TRAINING, "augment", "backbone", "tuning")
# how long and in which steps was trained; the rest of the trainer is the machine's
_LENGTH = ("max_steps", "max_epochs", "val_check_interval", "gradient_clip_val", "accumulate_grad_batches")
_PRECISION = {"trainer.eval_precision", "recipe.eval_precision"}


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, JsonValue]


class _Split(_Stored):
    classes: list[str]
    seen: list[str]
    unseen: list[str]
    seed: int = Field(ge=0)


class _Model(_Stored):
    name: str
    pooling: str
    backbone: dict[str, JsonValue]


class _Data(_Stored):
    name: str
    source: dict[str, JsonValue]


class _Provenance(_Stored):
    model: _Model
    data: _Data
    probe: dict[str, JsonValue] | None = None
    size: Literal["demo", "paper"]
    seed: int = Field(ge=0, lt=2**32)
    image_size: int = Field(ge=8, le=2048)
    num_classes: int = Field(ge=2, le=1_000_000)
    split: _Split
    split_hash: str
    eval_precision: Literal[32, "tf32"] = 32
    training: dict[str, JsonValue] | None = None
    trained_on: Annotated[str, Field(pattern=rf"^([0-9a-f]{{{_HASH_DIGITS}}})*$")] = ""

    @model_validator(mode="after")
    def _has_its_classes(self) -> _Provenance:
        try:
            same = ClassSplit.from_dict(self.split.model_dump()).hash() == self.split_hash
        except ValueError:
            same = False
        if not same:
            raise PydanticCustomError("classes", "does not match the check sum of its classes")
        return self


class _Weights(BaseModel):
    model_config = ConfigDict(strict=True)
    unseen: _Provenance
    state_dict: dict[str, Any]
    global_step: int = Field(ge=0, le=_MOST)
    epoch: int = Field(ge=0, le=_MOST)


class _Resumable(_Weights):
    """What Lightning needs besides to go on; before the first step there is no optimiser yet."""

    optimizer_states: list[dict[str, Any]] = Field(max_length=1)
    lr_schedulers: list[dict[str, Any]] = Field(max_length=1)
    loops: dict[str, Any]
    callbacks: dict[str, Any] = Field(default_factory=dict)
    version: str = Field(alias="pytorch-lightning_version")

    @model_validator(mode="after")
    def _has_optimizer(self) -> _Resumable:
        if self.global_step > 0 and not (self.optimizer_states and self.lr_schedulers):
            raise PydanticCustomError("no_optimizer", "state of the optimiser is missing")
        return self


@dataclass(frozen=True)
class Checkpoint:
    """A file whose structure was checked; the tensors of its content stay there until they are used."""

    path: Path
    content: dict[str, Any]

    @property
    def made_by(self) -> dict[str, Any]:
        """What it was trained as: see `make_provenance`."""
        return self.content["unseen"]  # type: ignore[no-any-return]

    @property
    def at(self) -> tuple[int, int]:
        """Optimiser steps done, and the epoch."""
        return self.content["global_step"], self.content["epoch"]

    def refused(self, why: str) -> ValueError:
        """Return the error to raise."""
        return _refused(self.path, why)


# -------------------------------------------------------------------------------- reading
def read_checkpoint(path: Path, *, resume: bool) -> Checkpoint:
    """Return a checkpoint.

    Args:
        path: Its file.
        resume: Whether training goes on from it, which needs more than the weights.

    Raises:
        ValueError: The file is missing, unreadable, damaged, or not one of ours.
    """
    import pickle

    import torch

    if not path.is_file():
        raise _refused(path, "is not a file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror or one_line(error)}") from error
    except pickle.UnpicklingError as error:  # torch's text would advise to load it unsafely
        raise _refused(
            path,
            "was not written by this program, or is damaged: it holds more than tensors and plain values, which could "
            "be code, and is not loaded",
        ) from error
    except Exception as error:  # broken bytes may cause any
        raise _refused(
            path, "cannot be read as a checkpoint: it is damaged, or another kind of file"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("unseen"), dict):
        raise _refused(path, "was not written by this program")
    if (schema := content["unseen"].get("schema")) != SCHEMA:
        raise _refused(path, f"has schema {_short(schema)}, this version reads {SCHEMA}")
    if resume and "optimizer_states" not in content:
        raise _refused(path, "holds weights only, as best.ckpt does; training goes on from a last.ckpt")
    try:
        (_Resumable if resume else _Weights).model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Input ").replace("should be", "must be")
        wrong = f"its {_short('.'.join(map(str, first['loc'])))} " + (
            "is missing" if first["type"] == "missing" else message
        )
        raise _refused(path, f"is damaged or was not written by this program: {wrong}") from None
    return Checkpoint(path, content)


def check_trusted(checkpoint: Checkpoint, plain: dict[str, Any], *, training: bool = False) -> None:
    """Refuse a checkpoint that names a class that is neither ours nor named by the composed configuration `plain`.

    Args:
        checkpoint: To go on from, or to score.
        plain: The composed configuration.
        training: Whether training goes on, for which loss, optimiser, schedule and augmentation are made, too.

    Raises:
        ValueError: One sentence on how to allow the class.
    """
    stored = checkpoint.made_by
    for part, key in (("model", "backbone"), ("model", "tuning"), ("data", "source")):
        if key == "tuning" and not stored[part].get(key):
            continue  # of before there was a choice
        node, composed = stored[part][key], plain[part].get(key) or {}
        if not isinstance(node, dict):
            raise checkpoint.refused(f"is damaged: its {part}.{key} is no group of settings")
        target, typed = node.get("_target_"), composed.get("_target_")
        yourself = f"name it yourself: {part}=<your file in configs/{part}>"
        if not isinstance(target, str) or (target not in KNOWN_CLASSES and target != typed):
            raise checkpoint.refused(
                f"names {part}.{key}._target_={_short(target)}, and a file may not choose code; if you know this "
                f"class, {yourself}"
            )
        ways = {"_args_", "_recursive_", *(() if key == "tuning" else ("_partial_",))}
        if node.get("_convert_", "all") != "all" or ways & node.keys():
            raise checkpoint.refused(f"says how to call {part}.{key}, which a file may not")
        places = (f"{part}.{key}", node, composed), (part, stored[part], plain[part])
        for at, found, known in places:
            for name, inner in found.items():
                if (
                    inner is not node
                    and name not in _CHECKED
                    and "_target_" in _texts(inner)
                    and inner != known.get(name)
                ):
                    raise checkpoint.refused(
                        f"names a class in {at}.{name}, and a file may not choose code; if you know it, {yourself}"
                    )
    trained_by = (*(("model", key) for key in _TRAINING), ("data", "augment")) if training else ()
    for part, key in trained_by:
        node = stored[part].get(key)
        foreign = sorted({str(target) for target in _targets(node)} - KNOWN_PARTS)
        ways = {"_args_", "_recursive_", "_convert_"}.intersection(_texts(node))
        if node != plain[part].get(key) and (foreign or ways):
            raise checkpoint.refused(
                f"names {_short(', '.join(foreign) or 'a way to call')} in {part}.{key}, and a file may not choose "
                f"code; if you know it, name it yourself: {key}=<your file in configs/{key}>"
            )
    if any("${" in text for part in ("model", "data", "probe") for text in _texts(stored.get(part))):
        raise checkpoint.refused("holds an interpolation ('${'), which a file may not")


def check_network_trusted(checkpoint: Checkpoint, trust: Collection[str]) -> None:
    """Refuse a checkpoint whose network is made of a class that is neither ours nor in `trust`.

    Raises:
        ValueError: One sentence on how to allow the class.
    """
    stored = checkpoint.made_by["model"]
    for target in _targets([stored["backbone"], stored.get("tuning")]):
        if target not in KNOWN_CLASSES and target not in trust:
            raise checkpoint.refused(
                f"names the class {_short(target)}, and a file may not choose code; if you know this class, add "
                f"trust=[{_short(target)}]"
            )
    check_trusted(checkpoint, checkpoint.made_by)


def check_weights(checkpoint: Checkpoint) -> None:
    """Raise a ValueError that names the first weight that is no finite tensor."""
    import torch

    for name, value in checkpoint.content["state_dict"].items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta:
            raise checkpoint.refused(f"is damaged: its {_short(name)} is not a dense tensor")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise checkpoint.refused(
                f"holds weights that are not finite numbers ({_short(name)}): its training had diverged, or the file "
                "is damaged"
            )


def load_weights(module: nn.Module, checkpoint: Checkpoint) -> None:
    """Put the weights of a checkpoint into a network, or raise a ValueError where they are damaged or do not fit."""
    check_weights(checkpoint)
    try:
        module.load_state_dict(checkpoint.content["state_dict"])
    except RuntimeError as error:  # a line for each tensor
        why = f"does not fit the network that it names: {one_line(error)[:300]}"
        raise checkpoint.refused(why) from error


# -------------------------------------------------------------------------------- writing and going on
def make_provenance(
    plain: dict[str, Any], split: ClassSplit, num_classes: int, trained_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Return plain containers that describe how a network was trained; they are stored in every checkpoint.

    Args:
        plain: The resolved configuration.
        split: Seen and unseen classes.
        num_classes: Outputs of the head.
        trained_on: References of the training images; a check sum of each is kept.
    """
    data = {key: value for key, value in plain["data"].items() if key not in _MACHINE}
    if "source" in data:
        data["source"] = _with_absolute_roots(data["source"])
    return {
        "schema": SCHEMA,
        "model": plain["model"],
        "data": _with_absolute_roots(data),
        "probe": plain.get("probe"),
        "size": plain["size"],
        "seed": plain["seed"],
        "image_size": plain["data"]["image_size"],
        "num_classes": num_classes,
        "eval_precision": plain["trainer"]["eval_precision"],
        "training": {
            key: value
            for key, value in flatten(
                {name: plain.get(name, {}) for name in ("trainer", "callbacks")}
            ).items()
            if effect_of(key) == "result" and key != "trainer.eval_precision"
        },
        "split": split.to_dict(),
        "split_hash": split.hash(),
        "trained_on": "".join(map(_check_sum, trained_on)),
    }


def training_of(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return what summary.json says of a scored network's training; None for checkpoints of earlier versions."""
    made_by = checkpoint.made_by
    if made_by.get("training") is None:
        return None
    classes = {key: made_by["split"][key] for key in ("seen", "unseen")}
    facts = {"data": made_by["data"]["name"], "split_hash": made_by["split_hash"]}
    return {"settings": made_by["training"]} | facts | classes


def trained_before(checkpoint: Checkpoint, references: Sequence[str]) -> int:
    """Return on how many of the images the checkpoint's network was trained, judged by their names."""
    digits: str = checkpoint.made_by.get("trained_on", "")
    known = {digits[place : place + _HASH_DIGITS] for place in range(0, len(digits), _HASH_DIGITS)}
    return sum(_check_sum(reference) in known for reference in references)


def check_resumable(checkpoint: Checkpoint, provenance: dict[str, Any]) -> None:
    """Refuse to go on with other settings or images: the result would be neither run's.

    Args:
        checkpoint: Where training would go on.
        provenance: Of the run that would go on.

    Raises:
        ValueError: The sentence names the first settings that differ.
    """
    stored, keys = checkpoint.made_by, ("seed", "num_classes", "split_hash", "model", "data")
    differing = [line for key in keys for line in _differences(key, stored[key], provenance[key])]
    if differing:
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise checkpoint.refused(
            f"was trained with other settings: {'; '.join(differing[:4])}{more}; type the settings it was started with"
        )
    now, then = (one.get("trained_on", "") for one in (provenance, stored))
    if now and then and now != then:
        raise checkpoint.refused(
            f"was trained on other images ({len(then) // _HASH_DIGITS} then, {len(now) // _HASH_DIGITS} now, by their "
            "names): files were added, removed or renamed since"
        )


def resume_scores(checkpoint: Checkpoint, folder: RunFolder) -> None:
    """Copy the scores of the checkpoint's run, up to its step, into the folder."""
    origin = checkpoint.path.resolve().parent.parent
    scores, summary = origin / "scores.csv", origin / "summary.json"
    if scores.is_file() and summary.is_file():
        seconds = json.loads(summary.read_text(encoding="utf-8")).get("seconds", 0.0)
        folder.continue_from(ScoreTable.read(scores), checkpoint.at[0], seconds)


def scored_as_trained(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the configuration with the checkpoint's network, data and probes, changed where something was typed.

    Typing the group itself (`data=`, or an experiment that chooses one) takes all of it from the configuration.

    Args:
        plain: The composed configuration.
        stored: What made the checkpoint.
        typed: Names of the settings and groups that were typed.

    Raises:
        ValueError: What was typed contradicts the checkpoint.
    """
    _check_not_contradicted(plain, stored, typed)
    model = stored["model"] | {"backbone": stored["model"]["backbone"] | {"pretrained": False}}
    model |= {key: plain["model"][key] for key in _READING if f"model.{key}" in typed}
    data = plain["data"] if "data" in typed else _with_typed("data", stored["data"], plain["data"], typed)
    if "data.image_size" in typed and data["image_size"] != stored["image_size"]:
        raise ValueError(
            f"the checkpoint was trained at data.image_size={stored['image_size']}, "
            f"not {data['image_size']}; leave data.image_size out"
        )
    if "data_dir" in data.get("source", {}):  # where this machine keeps its downloads
        data["source"] = data["source"] | {"data_dir": plain["paths"]["data_dir"]}
    probe = plain.get("probe")
    if stored.get("probe") is not None and "probe" not in typed:
        # those of before a setting existed have it as it is here
        probe = _with_typed("probe", plain["probe"] | stored["probe"], plain["probe"], typed)
    callbacks = plain["callbacks"]
    if callbacks.get("layer_probe"):
        callbacks = callbacks | {"layer_probe": callbacks["layer_probe"] | {"pooling": model["pooling"]}}
    precision = {} if _PRECISION & typed else {"eval_precision": stored.get("eval_precision", 32)}
    return plain | {
        "model": model,
        "data": data | {"image_size": stored["image_size"]} | {key: plain["data"][key] for key in _MACHINE},
        "probe": probe,
        "size": stored["size"],
        "seed": stored["seed"],
        "trainer": plain["trainer"] | precision,
        "callbacks": callbacks,
    }


def resumed_as_trained(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the configuration with the settings that the checkpoint was trained with, but for what was typed.

    A typed setting that makes another run is refused later (`check_resumable`). Where `size` or a part of `recipe` was
    typed, which stand for other settings, everything is as typed.

    Args:
        plain: The composed configuration.
        stored: What made the checkpoint.
        typed: Names of the settings and groups that were typed.
    """
    if "size" in typed or any(name.startswith("recipe.") for name in typed):
        return plain
    groups = {
        group: _with_typed(group, stored[group], plain[group], typed)
        for group in ("model", "data", "probe")
        if group not in typed and stored.get(group) is not None
    }
    for part in (*_TRAINING, "tuning"):  # groups of their own
        if part in typed and part in plain["model"] and "model" in groups:
            groups["model"][part] = plain["model"][part]
    if "augment" in typed and "data" in groups:
        groups["data"] |= {key: plain["data"][key] for key in ("augment", "rotation", "eval_deterministic")}
    training = stored.get("training") or {}
    length = {
        key: training[f"trainer.{key}"]
        for key in _LENGTH
        if f"trainer.{key}" in training and not {"trainer", f"trainer.{key}"} & typed
    }
    groups["trainer"] = plain["trainer"] | length
    if "data" in groups:
        groups["data"] |= {key: plain["data"][key] for key in _MACHINE}
        if "data_dir" in groups["data"].get("source", {}):
            groups["data"]["source"]["data_dir"] = plain["paths"]["data_dir"]
    callbacks, model = plain["callbacks"], groups.get("model", plain["model"])
    if callbacks.get("layer_probe"):
        callbacks = callbacks | {"layer_probe": callbacks["layer_probe"] | {"pooling": model["pooling"]}}
    seed = {} if "seed" in typed else {"seed": stored["seed"]}
    return plain | groups | seed | {"size": stored["size"], "callbacks": callbacks}


def _check_not_contradicted(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> None:
    if "model" in typed and plain["model"]["name"] != stored["model"]["name"]:
        raise ValueError(
            f"the checkpoint holds {stored['model']['name']}, not model={plain['model']['name']}; leave model= out"
        )
    free = ("model.pretrained", *(f"model.{key}" for key in _READING))
    typed = typed | {f"model.{group}" for group in (*_TRAINING, "tuning") if group in typed}
    for name in sorted(name for name in typed if name.startswith("model.") and name not in free):
        now, then = (value_at(config, name.split(".")) for config in (plain, stored))
        if now != then:
            now, then = (value.get("_target_") if isinstance(value, dict) else value for value in (now, then))
            raise ValueError(
                f"the network comes from the checkpoint, which has {name}={then}, not {now}; leave {name} out"
            )
    for key in ("seed", "size"):
        if key in typed and plain[key] != stored[key]:
            raise ValueError(
                f"the checkpoint was trained with {key}={stored[key]}, not {plain[key]}; leave {key} out"
            )


def _with_typed(group: str, stored: dict[str, Any], plain: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the stored settings of a group with the typed ones changed, and what its source was given of them."""
    changed = copy.deepcopy(stored)
    for name in sorted(name for name in typed if name.startswith(f"{group}.")):
        *parents, key = name.split(".")[1:]
        value, node = value_at(plain, [*parents, key]), changed
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = value
        source = changed.get("source")
        if not parents and isinstance(source, dict) and key in source:
            source[key] = value
    return changed


def _with_absolute_roots(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose image roots do not depend on the current folder."""
    roots = {key: settings[key] for key in IMAGE_ROOTS if isinstance(settings.get(key), str)}
    return settings | {key: str(Path(root).expanduser().absolute()) for key, root in roots.items()}


def _differences(place: str, stored: Any, now: Any) -> list[str]:
    if isinstance(stored, dict) and isinstance(now, dict):
        keys = sorted(stored.keys() | now.keys())
        return [
            line for key in keys for line in _differences(f"{place}.{key}", stored.get(key), now.get(key))
        ]
    stored, now = (list(value) if isinstance(value, tuple) else value for value in (stored, now))
    return [f"{place}={stored} (now {now})"] if stored != now and effect_of(place) == "result" else []


def _check_sum(reference: str) -> str:
    return hashlib.sha256(reference.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH_DIGITS]


def _texts(value: Any) -> Iterator[str]:
    """Yield all keys and strings of plain containers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(inner)


def _targets(value: Any) -> Iterator[Any]:
    """Yield every class that plain containers name."""
    if isinstance(value, dict) and "_target_" in value:
        yield value["_target_"]
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _targets(inner)


def _refused(path: Path, why: str) -> ValueError:
    return ValueError(f"ckpt_path={path} {why}")


def _short(value: Any) -> str:
    """Return a value of unknown origin as printable text on one line."""
    text = re.sub(r"[^\x20-\x7e]", "?", value if isinstance(value, str) else repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
