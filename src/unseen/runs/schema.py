"""Types and ranges of every setting, checked before anything is loaded; a key that nothing reads is refused."""

from __future__ import annotations

import difflib
from collections.abc import Container, Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from unseen.probe_table import SETTINGS, ProbeSetting

_MOST = 2**31 - 1  # more steps, images or clusters than any run has; libraries overflow somewhere above it
Count = Annotated[int, Field(ge=1, le=_MOST)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Text = Annotated[str, Field(min_length=1, max_length=4096)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Decay = Annotated[float, Field(ge=0, lt=1)]  # AdamW's range
Classes = list[Name | Annotated[int, Field(ge=0, le=_MOST)]]


def _shares_of_noise(levels: list[float]) -> list[float]:
    if not all(0 < level <= 1 for level in levels) or len(set(levels)) < len(levels):
        raise PydanticCustomError(
            "noise_levels", "must be shares of noise above 0 and at most 1, each once, such as [0.25,0.5,1.0]"
        )
    return levels


def _some_devices(number: int) -> int:
    if number != -1 and not 1 <= number <= 1024:
        raise PydanticCustomError("devices", "must be a number of processes from 1 to 1024, -1 or auto")
    return number


def _a_bound(steps: int) -> int:
    if steps != -1 and not 1 <= steps <= _MOST:
        raise PydanticCustomError("max_steps", "must be at least 1, or -1 with a trainer.max_epochs")
    return steps


def _every_steps_or_share(interval: int | float) -> int | float:
    if isinstance(interval, float) and interval > 1:
        raise PydanticCustomError(
            "val_check_interval", "must be a whole number of steps, or a share of an epoch of at most 1.0"
        )
    return interval


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Recipe(_Settings):
    pretrained: bool
    lr: float
    warmup_steps: int
    schedule_epochs: float | None
    max_steps: int
    val_check_interval: int | float
    precision: str
    eval_precision: int | str


class _Paths(_Settings):
    root_dir: Text
    log_dir: Text
    data_dir: Text
    output_dir: Text


class _Optimizer(_Settings):
    lr: float = Field(gt=0, le=10)
    weight_decay: float = Field(ge=0, le=1000)
    betas: Annotated[list[Decay], Field(min_length=2, max_length=2)]
    eps: float = Field(gt=0, le=1)


class _Scheduler(_Settings):
    warmup_steps: int = Field(ge=0, le=_MOST)
    epochs: float | None = Field(gt=0, le=1e6)


class _Size(_Settings):
    architecture: Name | None = None
    has_checkpoint: bool | None = None
    options: dict[str, Any] | None = None
    taps: list[str] | None = None
    epochs: float | None = None


class _Model(_Settings):
    name: Name
    pretrained: bool
    pooling: Literal["auto", "paper", "mean", "first"]
    channels_last: bool | Literal["auto"]
    backbone: dict[str, Any]
    sizes: dict[Literal["demo", "paper"], _Size] | None = None
    optimizer: _Optimizer
    scheduler: _Scheduler


class _Data(_Settings):
    name: Name
    source: dict[str, Any]
    root: Text | None
    image_sizes: dict[str, Annotated[int, Field(ge=8, le=2048)]]
    image_size: int = Field(ge=8, le=2048)
    unseen: Classes | None
    num_unseen: int | None = Field(ge=2, le=_MOST)
    seen: Classes | None
    skip_bad: bool
    split_seed: Seed
    batch_size: Count
    eval_batch_size: Count
    train_size: Count | None
    test_size: Count | None
    unseen_per_class: int | None = Field(ge=2, le=_MOST)
    test_fraction: float = Field(gt=0, lt=1)
    rotation: float = Field(ge=0, le=180)
    pad: float = Field(ge=0, le=1)
    stratified: bool
    eval_deterministic: bool
    num_labels: Annotated[int, Field(ge=2, le=_MOST)] | None
    cache_gb: float = Field(ge=0, le=1e6)
    decode: Literal["auto", "ahead", "on_the_fly"]
    workers: Annotated[int, Field(ge=0, le=1024)] | Literal["auto"]


def _of_table(setting: ProbeSetting) -> Any:
    """Return pydantic's type and field of a setting in the table of probes."""
    kind = setting.kind | None if setting.optional else setting.kind
    return kind, Field(ge=setting.least, le=setting.most)


_TableSettings = create_model(
    "_TableSettings", __base__=_Settings, **{name: _of_table(setting) for name, setting in SETTINGS.items()}
)


class _Probe(_TableSettings):  # type: ignore[misc, valid-type]
    at_start: bool
    save_embeddings: bool
    noise_levels: Annotated[list[float], AfterValidator(_shares_of_noise)]


class _Trainer(_Settings):
    # whatever else Lightning's Trainer takes: its signature is asked (signatures.py)
    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    accelerator: Name
    devices: Annotated[int, AfterValidator(_some_devices)] | Name | list[int]
    num_nodes: Annotated[int, Field(ge=1, le=10_000)]
    strategy: Name | dict[str, Any] = "auto"
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"]
    eval_precision: Literal[32, "tf32"]
    max_steps: Annotated[int, AfterValidator(_a_bound)]
    max_epochs: Count | None
    val_check_interval: Annotated[
        Annotated[int, Field(gt=0, le=_MOST)] | Annotated[float, Field(gt=0)],
        AfterValidator(_every_steps_or_share),
    ]
    gradient_clip_val: float | None = Field(ge=0, le=1e9)
    accumulate_grad_batches: int = Field(ge=1, le=100_000)
    log_every_n_steps: Count


class _Config(_Settings):
    seed: Seed
    size: Literal["demo", "paper"]
    ckpt_path: Text | None
    resume: bool
    plan: bool
    recipe: _Recipe
    paths: _Paths
    model: _Model
    data: _Data
    probe: _Probe
    trainer: _Trainer
    callbacks: dict[str, dict[str, Any] | None]
    logger: dict[str, dict[str, Any] | None]


def check_types(config: dict[str, Any], read: Container[tuple[str, ...]] = ()) -> None:
    """Check a resolved configuration.

    Args:
        config: Plain containers.
        read: Places, as paths of keys, that are read though no field here is named like them: through interpolations.

    Raises:
        ValueError: One sentence that names each wrong setting, its value and what is allowed.
    """
    wrong: dict[str, list[str]] = {}
    try:
        _Config.model_validate(config)
    except ValidationError as error:
        for item in error.errors():
            # pydantic appends the tried type of a union ("int", "list[...]") to the place: keep the settings' own keys
            place = _keys(config, item["loc"])
            if item["type"] == "missing":
                wrong[f"{'.'.join([*place, str(item['loc'][-1])])} is missing"] = []
            elif item["type"] != "extra_forbidden":
                message = item["msg"].removeprefix("Input ").replace("String should", "must")
                message = message.replace("should be", "must be")
                wrong.setdefault(f"{'.'.join(place)}={_shown(config, place)}", []).append(message)
            elif tuple(place) not in read and not _given_to_an_object(config, place):
                wrong[unread_sentence(config, place)] = []
    trainer = config.get("trainer")
    if (
        not wrong
        and isinstance(trainer, dict)
        and trainer["max_steps"] == -1
        and trainer["max_epochs"] is None
    ):
        wrong["trainer.max_steps=-1 has no end: give trainer.max_epochs, or a number of steps"] = []
    if wrong:
        raise ValueError("; ".join(f"{what} {' or '.join(why)}".strip() for what, why in wrong.items()))


def unread_sentence(config: dict[str, Any], place: list[str]) -> str:
    """Return a sentence on a key that nothing reads, with the known name that is nearest to it."""
    return f"{'.'.join(place)} is not a setting: nothing reads it{nearest(config, place)}"


def nearest(config: dict[str, Any], place: list[str]) -> str:
    """Return ' (did you mean X?)' for a key that is not known, else ''.

    A key of that very name elsewhere is nearest, then a similar one beside it, then a similar one elsewhere.

    >>> nearest({"model": {"optimizer": {"lr": 1, "eps": 2}}, "logger": {}}, ["lr"])
    ' (did you mean model.optimizer.lr?)'
    """
    *parents, key = place
    known: list[tuple[str, ...]] = [path for path in _paths(config, ()) if list(path) != place]
    same = [path for path in known if path[-1] == key]
    beside = {path[-1]: path for path in reversed(known) if list(path[:-1]) == parents}
    anywhere = {path[-1]: path for path in reversed(known)}
    if same:
        return f" (did you mean {'.'.join(sorted(same, key=len)[0])}?)"
    for names, cutoff in ((beside, 0.6), (anywhere, 0.8)):
        by_lower = {name.lower(): path for name, path in names.items()}
        if close := difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=cutoff):
            return f" (did you mean {'.'.join(by_lower[close[0]])}?)"
    return ""


def _paths(node: Any, place: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the places of all keys but those that only serve others (sizes) or describe objects (_target_)."""
    if isinstance(node, dict):
        for key, value in node.items():
            if str(key).startswith("_") or str(key) in {"sizes", "recipe", "image_sizes", "hydra", "paths"}:
                continue
            yield (*place, str(key))
            yield from _paths(value, (*place, str(key)))


def _given_to_an_object(config: dict[str, Any], place: list[str]) -> bool:
    """Whether its object gets the key, for which it stands (data.dataset for data.source.dataset)."""
    if len(place) != 2 or place[1].startswith("_"):
        return False
    inner = config[place[0]].get({"data": "source", "model": "backbone"}.get(place[0]))
    return isinstance(inner, dict) and place[1] in inner


def _keys(config: Any, place: tuple[int | str, ...]) -> list[str]:
    """Return the part of a place that leads through the configuration's own keys."""
    found = []
    node = config
    for key in place:
        if not isinstance(node, dict) or key not in node:
            break
        found.append(str(key))
        node = node[key]
    return found


def _shown(config: Any, place: list[str]) -> str:
    for key in place:
        config = config[key]
    text = repr(config)
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"
