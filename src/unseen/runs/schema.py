"""Types and ranges of every setting that people type, checked before anything is loaded."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

PositiveInt = Field(ge=1)
Share = Field(ge=0.0, le=1.0)


def _shares_of_noise(levels: list[float]) -> list[float]:
    if not all(0 < level <= 1 for level in levels) or len(set(levels)) < len(levels):
        raise PydanticCustomError(
            "noise_levels", "must be shares of noise above 0 and at most 1, each once, such as [0.25,0.5,1.0]"
        )
    return levels


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow")


class _Optimizer(_Settings):
    lr: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0)
    betas: list[float] = Field(min_length=2, max_length=2)
    eps: float = Field(gt=0)


class _Scheduler(_Settings):
    warmup_steps: int = Field(ge=0)
    epochs: float | None = Field(gt=0)


class _Model(_Settings):
    name: str = Field(min_length=1)
    pretrained: bool
    pooling: Literal["auto", "paper", "mean", "first"]
    channels_last: bool | Literal["auto"]
    optimizer: _Optimizer
    scheduler: _Scheduler


class _Data(_Settings):
    name: str
    root: str | None
    image_size: int = Field(ge=8, le=2048)
    unseen: list[str | int] | None
    num_unseen: int | None = Field(ge=2)
    skip_bad: bool
    split_seed: int = Field(ge=0)
    batch_size: int = PositiveInt
    eval_batch_size: int = PositiveInt
    train_size: int | None = PositiveInt
    test_size: int | None = PositiveInt
    unseen_per_class: int | None = Field(ge=2)
    rotation: float = Field(ge=0, le=180)
    stratified: bool
    eval_deterministic: bool
    cache_gb: float = Field(ge=0)


class _Probe(_Settings):
    n_init: int = PositiveInt
    seed: int = Field(ge=0, lt=2**32)
    k: int | None = PositiveInt
    standardize: bool
    at_start: bool
    save_embeddings: bool
    noise_levels: Annotated[list[float], AfterValidator(_shares_of_noise)]


class _Trainer(_Settings):
    devices: int | str | list[int]
    num_nodes: int = PositiveInt
    max_steps: int = Field(ge=-1)
    max_epochs: int | None
    val_check_interval: int | float = Field(gt=0)
    gradient_clip_val: float | None = Field(ge=0)
    accumulate_grad_batches: int = PositiveInt
    log_every_n_steps: int = PositiveInt


class _Config(_Settings):
    seed: int = Field(ge=0, lt=2**32)
    size: Literal["demo", "paper"]
    ckpt_path: str | None
    model: _Model
    data: _Data
    probe: _Probe
    trainer: _Trainer


def check_types(config: dict[str, Any]) -> None:
    """Check a resolved configuration.

    Raises:
        ValueError: One sentence that names each wrong setting, its value and what is allowed.
    """
    try:
        _Config.model_validate(config)
    except ValidationError as error:
        wrong: dict[str, list[str]] = {}
        for item in error.errors():
            # pydantic appends the tried type of a union ("int", "list[...]") to the place: keep the settings' own keys
            place = [str(part) for part in item["loc"] if _is_key(config, item["loc"], part)]
            message = item["msg"].removeprefix("Input ").replace("should be", "must be")
            wrong.setdefault(f"{'.'.join(place)}={_value(config, place)!r}", []).append(message)
        raise ValueError("; ".join(f"{what} {' or '.join(why)}" for what, why in wrong.items())) from None


def _is_key(config: Any, place: tuple[int | str, ...], part: int | str) -> bool:
    node = config
    for step in place:
        if not isinstance(node, dict) or step not in node:
            return False
        if step is part:
            return True
        node = node[step]
    return False


def _value(config: Any, place: list[str]) -> Any:
    for key in place:
        config = config[key]
    return config
