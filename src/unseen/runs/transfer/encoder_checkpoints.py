"""Checkpoints of fine-tuned encoders: what made them, and the encoder again from what is in the file.

A file holds what training has changed. The frozen rest is loaded as it was before training, and must be the same.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from unseen.runs.checkpoints import SCHEMA, Checkpoint, check_weights, checked, loaded, short
from unseen.runs.objects import make
from unseen.wording import listing

if TYPE_CHECKING:
    from torch import nn

    from unseen.encoders.encoder import Encoder
    from unseen.runs.transfer.parts import Captioned

KIND = "encoder"
_KNOWN = frozenset(
    {
        *(f"unseen.encoders.{name}" for name in ("clip.OpenClip", "composed.Composed")),
        *(
            f"unseen.encoders.tuning.{name}"
            for name in ("full", "bitfit", "attention", "lora", "adapter", "probe")
        ),
    }
)
_MOST = 2**31 - 1
_WAYS = {"_args_", "_recursive_", "_convert_"}  # to call a class, which a file may not choose


class _MadeBy(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    kind: Literal["encoder"]
    schema_: int = Field(alias="schema")
    encoder: dict[str, JsonValue]
    technique: dict[str, JsonValue]
    label: str
    task: str
    classes: list[str] = Field(min_length=2)
    captions: list[list[str]] = Field(min_length=2)
    seed: int = Field(ge=0, lt=2**32)
    config_hash: str
    frozen: str


class _Epochs(BaseModel):
    model_config = ConfigDict(strict=True)
    epoch: int = Field(ge=0)
    accuracies: list[float]
    best: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_its_accuracy(self) -> _Epochs:
        if self.epoch >= len(self.accuracies):
            raise PydanticCustomError("accuracy", "is of an epoch without an accuracy")
        return self


class _Weights(BaseModel):
    model_config = ConfigDict(strict=True)
    unseen: _MadeBy
    fine_tuning: _Epochs
    state_dict: dict[str, Any]
    global_step: int = Field(ge=0, le=_MOST)
    epoch: int = Field(ge=0, le=_MOST)


class _Resumable(_Weights):
    optimizer_states: list[dict[str, Any]] = Field(min_length=1, max_length=1)
    loops: dict[str, Any]
    version: str = Field(alias="pytorch-lightning_version")


def tuned_provenance(
    encoder: Encoder, captioned: Captioned, plain: dict[str, Any], technique: str, config_hash: str
) -> dict[str, Any]:
    """Return plain containers that describe how an encoder is fine-tuned; they are stored in every checkpoint.

    Args:
        encoder: With its technique, before training.
        captioned: The task.
        plain: The resolved configuration.
        technique: How it was chosen.
        config_hash: Of the run.
    """
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "encoder": plain["encoder"],
        "technique": plain["technique"],
        "label": technique,
        "task": captioned.task.name,
        "classes": list(captioned.task.classes),
        "captions": captioned.prompts.captions(captioned.task.classes),
        "seed": plain["seed"],
        "config_hash": config_hash,
        "frozen": frozen_hash(encoder),
    }


def frozen_hash(model: nn.Module) -> str:
    """Return a hash of the parameters that do not require gradients."""
    import torch

    digest = hashlib.sha256()
    for name, value in model.named_parameters():
        if not value.requires_grad:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


def read_encoder_checkpoint(path: Path, *, resume: bool = False) -> Checkpoint:
    """Return a checkpoint of a fine-tuning.

    Args:
        path: Its file.
        resume: Whether training goes on from it, which needs more than the weights.

    Raises:
        ValueError: The file is missing, unreadable, damaged, or not one of `transfer.py`.
    """
    content = loaded(path)
    if content["unseen"].get("kind") != KIND:
        raise Checkpoint(path, content).refused("holds no encoder that transfer.py has fine-tuned")
    checkpoint = checked(path, content, _Resumable if resume else _Weights)
    check_weights(checkpoint)
    return checkpoint


def encoder_of(checkpoint: Checkpoint, trust: Collection[str] = ()) -> Encoder:
    """Return the fine-tuned encoder in eval mode on the CPU.

    Args:
        checkpoint: Of `read_encoder_checkpoint`.
        trust: Classes of your own, `package.Class`, that it may be made of.

    Raises:
        ValueError: It names a class that is neither ours nor in `trust`, its weights do not fit, or the frozen ones are
            not those that it was trained with.
        unseen.backbones.weights.WeightsUnavailable: The frozen weights are not here and cannot be fetched.
    """
    import torch

    from unseen.encoders.encoder import Encoder

    made_by = checkpoint.made_by
    for part in ("encoder", "technique"):
        _check_trusted(checkpoint, part, trust)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(made_by["seed"])
        encoder: Encoder = make(made_by["encoder"], "encoder", Encoder)
        technique = make(made_by["technique"] | {"_partial_": True}, "technique")
        takes_classes = "classes" in inspect.signature(technique).parameters
        encoder = technique(encoder, **({"classes": len(made_by["classes"])} if takes_classes else {}))
    trained = {
        name.removeprefix("encoder."): value for name, value in checkpoint.content["state_dict"].items()
    }
    own = encoder.state_dict()
    frozen = {name for name, value in encoder.named_parameters() if not value.requires_grad}
    if differing := trained.keys() ^ (own.keys() - frozen):
        raise checkpoint.refused(f"does not fit the encoder that it names in {listing(sorted(differing), 4)}")
    if wrong := [name for name, value in trained.items() if value.shape != own[name].shape]:
        raise checkpoint.refused(
            f"does not fit the encoder that it names in the shape of {listing(wrong, 4)}"
        )
    if frozen_hash(encoder) != made_by["frozen"]:
        raise checkpoint.refused(
            f"was trained with other frozen weights than {encoder.name} has here: another version of the weights, or "
            "another file"
        )
    encoder.load_state_dict(own | trained)
    return encoder.eval()


def _check_trusted(checkpoint: Checkpoint, part: str, trust: Collection[str]) -> None:
    node: dict[str, Any] = checkpoint.made_by[part]
    target, rest = node.get("_target_"), {key: value for key, value in node.items() if key != "_target_"}
    if not isinstance(target, str) or (target not in _KNOWN and target not in trust):
        raise checkpoint.refused(
            f"names the class {short(target)}, and a file may not choose code; if you know this class, add "
            f"trust=[{short(target)!r}]"
        )
    text = repr(rest)
    if _WAYS & rest.keys() or "_target_" in text or "${" in text:
        raise checkpoint.refused(f"says how to make its {part} in a way that a file may not")
