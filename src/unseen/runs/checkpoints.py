"""A checkpoint's file: its structure, which is checked before anything of it is used, and its weights.

A file may come from anybody: nothing in it is executed. `provenance` says how a run goes on from one or scores it,
`trust` which classes it may name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from unseen.data.splits import ClassSplit
from unseen.runs.schema import no_checkpoint
from unseen.wording import one_line

if TYPE_CHECKING:
    from torch import nn

SCHEMA = 1
HASH_DIGITS = 12
_MOST = 2**31 - 1
TRAINING_PARTS = ("loss", "optimizer", "scheduler")  # of `model`; never made where a checkpoint is scored


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
    trained_on: Annotated[str, Field(pattern=rf"^([0-9a-f]{{{HASH_DIGITS}}})*$")] = ""

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


def read_checkpoint(path: Path, *, resume: bool) -> Checkpoint:
    """Return a checkpoint.

    Args:
        path: Its file.
        resume: Whether training goes on from it, which needs more than the weights.

    Raises:
        ValueError: The file is missing, unreadable, damaged, or not one of ours.
    """
    content = loaded(path)
    if content["unseen"].get("kind") == "encoder":
        raise _refused(
            path, "holds an encoder that transfer.py has fine-tuned; unseen.load_encoder(path) gives it"
        )
    if resume and "optimizer_states" not in content:
        raise _refused(path, "holds weights only, as best.ckpt does; training goes on from a last.ckpt")
    return checked(path, content, _Resumable if resume else _Weights)


def loaded(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint of this program, of which only the schema was checked.

    Raises:
        ValueError: The file is missing, unreadable, damaged, or not one of ours.
    """
    import pickle

    import torch

    if not path.is_file():
        raise _refused(path, no_checkpoint(path))
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
        raise _refused(path, f"has schema {short(schema)}, this version reads {SCHEMA}")
    return content


def checked(path: Path, content: dict[str, Any], structure: type[BaseModel]) -> Checkpoint:
    """Return the content as a checkpoint.

    Raises:
        ValueError: It does not have the structure.
    """
    try:
        structure.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Input ").replace("should be", "must be")
        wrong = f"its {short('.'.join(map(str, first['loc'])))} " + (
            "is missing" if first["type"] == "missing" else message
        )
        raise _refused(path, f"is damaged or was not written by this program: {wrong}") from None
    return Checkpoint(path, content)


def check_weights(checkpoint: Checkpoint) -> None:
    """Raise a ValueError that names the first weight that is no finite tensor."""
    import torch

    for name, value in checkpoint.content["state_dict"].items():
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.is_meta:
            raise checkpoint.refused(f"is damaged: its {short(name)} is not a dense tensor")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise checkpoint.refused(
                f"holds weights that are not finite numbers ({short(name)}): its training had diverged, or the file "
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


def _refused(path: Path, why: str) -> ValueError:
    return ValueError(f"ckpt_path={path} {why}")


def short(value: Any) -> str:
    """Return a value of unknown origin as printable text on one line."""
    text = re.sub(r"[^\x20-\x7e]", "?", value if isinstance(value, str) else repr(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
