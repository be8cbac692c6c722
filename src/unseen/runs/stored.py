"""A checkpoint read as data from a stranger: nothing in it runs, and everything that is used is checked before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from unseen.data.splits import ClassSplit
from unseen.wording import one_line

SCHEMA = 1
HASH_DIGITS = 12
# The only classes that a file may name. Others are named by the configuration of who runs the command.
KNOWN_CLASSES = frozenset(
    {
        "unseen.backbones.module.ModuleSpec",
        "unseen.backbones.timm.TimmSpec",
        "unseen.backbones.transformers.TransformersSpec",
        "unseen.data.sources.calligraphy.Calligraphy",
        "unseen.data.sources.cifar100.Cifar100",
        "unseen.data.sources.digits.Digits",
        "unseen.data.sources.image_folder.ImageFolder",
        "unseen.data.sources.torch_dataset.TorchDatasetSource",
        "unseen.data.sources.torchvision_sets.TorchvisionSet",
    }
)
_OBJECTS = (("model", "backbone"), ("data", "source"))
_MOST = 2**31 - 1


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Split(_Stored):
    classes: list[str]
    seen: list[str]
    unseen: list[str]
    seed: int = Field(ge=0)


class _Model(_Stored):
    name: str
    pooling: str
    backbone: dict[str, Any]


class _Data(_Stored):
    name: str
    source: dict[str, Any]


class _Provenance(_Stored):
    model: _Model
    data: _Data
    probe: dict[str, Any] | None = None
    size: Literal["demo", "paper"]
    seed: int = Field(ge=0, lt=2**32)
    image_size: int = Field(ge=8, le=2048)
    num_classes: int = Field(ge=2, le=1_000_000)
    split: _Split
    split_hash: str
    eval_precision: Literal[32, "tf32"] = 32
    trained_on: Annotated[str, Field(pattern=r"^[0-9a-f]*$")] = ""


class _Weights(_Stored):
    unseen: _Provenance
    state_dict: dict[str, Any]
    global_step: int = Field(ge=0, le=_MOST)
    epoch: int = Field(ge=0, le=_MOST)


class _Resumable(_Weights):
    """What Lightning goes on from, besides; before the first step there is no optimiser yet."""

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


def read_checkpoint(checkpoint: Path, *, resume: bool) -> dict[str, Any]:
    """Return the content of a checkpoint; tensors stay in the file until they are used.

    Args:
        checkpoint: The file.
        resume: Whether training goes on from it, which needs more than the weights.

    Raises:
        ValueError: The file is missing, unreadable, damaged, or not one of ours.
    """
    import pickle

    import torch

    if not checkpoint.is_file():
        raise ValueError(f"ckpt_path={checkpoint} is not a file")
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise ValueError(
            f"ckpt_path={checkpoint} cannot be read: {error.strerror or one_line(error)}"
        ) from error
    except pickle.UnpicklingError as error:  # torch's text would advise to load it unsafely
        raise ValueError(
            f"ckpt_path={checkpoint} was not written by this program, or is damaged: it holds more than tensors and "
            "plain values, which could be code, and is not loaded"
        ) from error
    except Exception as error:  # whatever broken bytes lead to
        raise ValueError(
            f"ckpt_path={checkpoint} cannot be read as a checkpoint: it is damaged, or another kind of file"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("unseen"), dict):
        raise ValueError(f"ckpt_path={checkpoint} was not written by this program")
    if content["unseen"].get("schema") != SCHEMA:
        raise ValueError(
            f"ckpt_path={checkpoint} has schema {_short(content['unseen'].get('schema'))}, this version reads {SCHEMA}"
        )
    if resume and "optimizer_states" not in content:
        raise ValueError(
            f"ckpt_path={checkpoint} holds weights only, as best.ckpt does; training goes on from a last.ckpt"
        )
    _check_structure(content, checkpoint, resume=resume)
    return content


def check_trusted(stored: dict[str, Any], plain: dict[str, Any], checkpoint: Path) -> None:
    """Refuse a checkpoint that would choose code: classes that are not ours, and not named by the user's configuration.

    Args:
        stored: What made the checkpoint, by itself.
        plain: The composed configuration.
        checkpoint: For the message.

    Raises:
        ValueError: One sentence that says how to name a class of one's own.
    """
    for part, key in _OBJECTS:
        node = stored[part][key]
        target, typed = node.get("_target_"), plain[part][key].get("_target_")
        if not isinstance(target, str) or (target not in KNOWN_CLASSES and target != typed):
            raise ValueError(
                f"ckpt_path={checkpoint} names {part}.{key}._target_={_short(target)}, and a file may not choose code; "
                f"if you know this class, name it yourself: {part}=<your file in configs/{part}>"
            )
        if node.get("_convert_", "all") != "all" or {"_args_", "_partial_", "_recursive_"} & node.keys():
            raise ValueError(f"ckpt_path={checkpoint} says how to call {part}.{key}, which a file may not")
        for at, found, known in (
            (f"{part}.{key}", node, plain[part][key]),
            (part, stored[part], plain[part]),
        ):
            for name, inner in found.items():
                if inner is not node and "_target_" in _texts(inner) and inner != known.get(name):
                    raise ValueError(
                        f"ckpt_path={checkpoint} names a class in {at}.{name}, and a file may not choose code; if you "
                        f"know it, name it yourself: {part}=<your file in configs/{part}>"
                    )
    if any("${" in text for part in ("model", "data", "probe") for text in _texts(stored.get(part))):
        raise ValueError(f"ckpt_path={checkpoint} holds an interpolation ('${{'), which a file may not")


def check_weights(state: dict[str, Any], checkpoint: Path) -> None:
    """Refuse weights that are no finite tensors.

    Raises:
        ValueError: One sentence that names the first one.
    """
    import torch

    for name, value in state.items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta:
            raise ValueError(f"ckpt_path={checkpoint} is damaged: its {_short(name)} is not a dense tensor")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ValueError(
                f"ckpt_path={checkpoint} holds weights that are not finite numbers ({_short(name)}): its training "
                "had diverged, or the file is damaged"
            )


def _check_structure(content: dict[str, Any], checkpoint: Path, *, resume: bool) -> None:
    try:
        (_Resumable if resume else _Weights).model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Input ").replace("should be", "must be")
        raise ValueError(
            f"ckpt_path={checkpoint} is damaged or was not written by this program: its {_short(place)} "
            f"{'is missing' if first['type'] == 'missing' else message}"
        ) from None
    stored = content["unseen"]
    if not all(_is_plain(stored.get(part)) for part in ("model", "data", "probe", "split")):
        raise ValueError(f"ckpt_path={checkpoint} is damaged: its settings are not plain numbers and texts")
    try:
        same = ClassSplit.from_dict(stored["split"]).hash() == stored["split_hash"]
    except ValueError:
        same = False
    if not same or len(stored.get("trained_on", "")) % HASH_DIGITS:
        raise ValueError(
            f"ckpt_path={checkpoint} is damaged: its classes are not those that its check sum is of"
        )


def _is_plain(value: Any, depth: int = 20) -> bool:
    """Whether a value is made of numbers, texts, lists and dictionaries, at most `depth` in each other."""
    if isinstance(value, dict):
        return depth > 0 and all(
            isinstance(key, str) and _is_plain(inner, depth - 1) for key, inner in value.items()
        )
    if isinstance(value, list | tuple):
        return depth > 0 and all(_is_plain(inner, depth - 1) for inner in value)
    return value is None or isinstance(value, str | int | float | bool)


def _texts(value: Any) -> Iterator[str]:
    """Yield all keys and strings of plain containers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _texts(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _short(value: Any) -> str:
    """Return what a stranger's value looks like, on one line."""
    text = re.sub(r"[^\x20-\x7e]", "?", value if isinstance(value, str) else repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
