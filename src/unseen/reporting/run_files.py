"""The files of one run folder: summary.json, config.yaml and scores.csv, each checked before it is used.

A folder may have been made by anyone and may be damaged: no file is assumed to be as a run writes it.

Legend: T steps, L layers.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from unseen.probe_table import SCORES
from unseen.regular_files import MEBIBYTE, read_text
from unseen.reporting.texts import one_line, printable, quoted
from unseen.scores import (
    ACCURACY,
    CUE_PROBES,
    ENSEMBLE_PROBE,
    HEAD_LAYER,
    INPUT_LAYER,
    LARGEST_FILE,
    SPLITS,
    Score,
    ScoreTable,
    destroyed_level,
    is_control,
)

Floats = NDArray[np.float64]
Key = tuple[str, str]  # (split, probe)
Entry = Literal["train", "eval"]
Model = TypeVar("Model", bound=BaseModel)

_LONGEST_NAME = 500  # characters
_LARGEST = 10**12  # of every whole number in summary.json and scores.csv
_ROUNDING = 1e-6  # a share that was computed in single precision may exceed 1 by this
_SAME = 1e-9  # g in both files
_MOST_SHOWN = 3  # wrong facts in a reason
_MOST_LAYERS = 2000
_SHARES = {ACCURACY, ENSEMBLE_PROBE, CUE_PROBES["nmi"]} | {
    score.name for score in SCORES.values() if score.share
}  # 0..1 by definition
_LARGEST_CONFIG = MEBIBYTE
_LARGEST_SPLIT = 4 * MEBIBYTE
_MOST_EVENTS = 50_000  # of YAML; a configuration has some 500
_DEEPEST = 40
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast
_HALF_A_PAIR = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def _check_name(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError(f"must be a name of 1 to {_LONGEST_NAME} printable characters")
    return text


def _in_utc(text: str) -> str:
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-11-22T10:00:00+00:00") from None


def _check_path(text: str) -> str:
    try:
        if b"\0" in os.fsencode(text):
            raise ValueError
    except ValueError:
        raise ValueError("must be a path") from None
    return text


Name = Annotated[str, AfterValidator(_check_name)]
Count = Annotated[int, Field(ge=0, le=_LARGEST)]
Positive = Annotated[int, Field(ge=1, le=_LARGEST)]
Share = Annotated[float, Field(ge=0, le=1 + _ROUNDING)]
Time = Annotated[str, AfterValidator(_in_utc)]  # ISO 8601, so that texts sort by time
FilePath = Annotated[str, AfterValidator(_check_path)]


class Checked(BaseModel):
    """What a file may say: no value is taken for another kind, and what is not known is not looked at."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class Trained(Checked):
    """How the network of a scored checkpoint was trained, as far as its own settings do not say it."""

    settings: dict[str, JsonValue]  # dotted keys below trainer and callbacks
    data: Name
    split_hash: Name
    seen: list[str]  # classes it was trained on
    unseen: list[str]


class LayerCosts(Checked):
    """What a network costs up to each layer (`unseen.backbones.layer_costs`)."""

    parameters: Annotated[list[Count], Field(max_length=_MOST_LAYERS)]
    all_parameters: Positive
    milliseconds: Annotated[list[Annotated[float, Field(ge=0, le=_LARGEST)]], Field(max_length=_MOST_LAYERS)]
    all_milliseconds: Annotated[float, Field(gt=0, le=_LARGEST)]
    batch: Positive
    image_size: Positive
    device: Name


class RunFacts(Checked):
    """The facts of summary.json of any run that the report uses; None where a run did not write one."""

    model: Name
    seed: Count
    command: list[str] | None = None
    written: Time | None = None
    config_hash: Name | None = None
    versions: dict[str, str] | None = None


class Facts(RunFacts):
    """Those of a run of train.py or eval.py.

    `steps`, `seen_accuracy`, `g` and the best layer are those of the last evaluation.
    """

    data: Name
    size: Literal["demo", "paper"]
    checkpoint: FilePath | None = None  # what an evaluation scored
    trained: Trained | None = None  # None of weights as they came, and in folders of earlier versions
    split_hash: Name | None = None  # equal for runs with the same seen and unseen classes
    images_hash: Name | None = None  # equal for the same image files, wherever they are
    seen_classes: Positive | None = None
    unseen_classes: Positive | None = None
    steps: Count | None = None
    seen_accuracy: Share | None = None
    g: Share | None = None
    best_layer: Count | None = None
    best_layer_name: Name | None = None
    seconds: Annotated[float, Field(ge=0, le=_LARGEST)] | None = None
    layer_costs: LayerCosts | None = None  # with probe.layer_costs=true

    @property
    def entry(self) -> Entry:
        """Which script wrote them."""
        return entry_of(self.command)


def entry_of(command: object) -> Entry:
    """Return which script a command ran; a value that is no command counts as training.

    >>> entry_of(["src/eval.py", "data=digits"])
    'eval'
    """
    first = command[0] if isinstance(command, list) and command else ""
    named = isinstance(first, str) and (first == "unseen eval" or PurePath(first).stem == "eval")
    return "eval" if named else "train"


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Turn what reading a file raises into a ValueError of one sentence that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(f"{file} is missing") from error
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(f"{file}: {one_line(error)}") from error


def checked(kind: type[Model], content: dict[str, Any]) -> Model:
    """Return facts as a model of this kind.

    Raises:
        ValueError: One sentence that names what is missing or wrong.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        wrong = [_sentence(item) for item in error.errors(include_url=False)]
    more = [f"and {len(wrong) - _MOST_SHOWN} more"] if len(wrong) > _MOST_SHOWN else []
    raise ValueError("; ".join(wrong[:_MOST_SHOWN] + more))


def _sentence(item: Any) -> str:
    if item["type"] == "missing":
        return f"lacks {item['loc'][0]}"
    place = printable(".".join(map(str, item["loc"])), 60)
    message = item["msg"].removeprefix("Input ").removeprefix("Value error, ").replace("should be", "must be")
    return f"{place} is {quoted(item['input'])}, it {message}"


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings of a config.yaml as JSON could hold them: tables with text keys, lists, texts, numbers.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: It is not what a run writes; the sentence names the place.
    """
    # a path that is not UTF-8 is written with escapes that YAML's own reader refuses
    text = _HALF_A_PAIR.sub(r"\\ufffd", read_text(path, _LARGEST_CONFIG))
    try:
        _check_shape(text)
        content = json.loads(json.dumps(yaml.load(text, Loader=_LOADER), default=str))
    except (yaml.YAMLError, TypeError) as error:  # TypeError: a key that is a list
        raise ValueError(str(error)) from error
    if not isinstance(content, dict):
        raise ValueError("holds no settings")
    if not isinstance(content.get("paths") or {}, dict):
        raise ValueError("paths is not a table of settings")
    checkpoint = content.get("ckpt_path") or ""
    if not isinstance(checkpoint, str):
        raise ValueError("ckpt_path is not a path")
    _check_path(checkpoint)
    return content


class Split(Checked):
    """The classes of a run, each in the order of its labels."""

    seen: list[str] = []
    unseen: list[str]
    seed: int | None = None


def read_split(path: Path) -> Split | None:
    """Return a split.json, None where there is none or it is damaged: the classes then have no names, that is all."""
    try:
        return Split.model_validate(json.loads(read_text(path, _LARGEST_SPLIT)))
    except (OSError, ValueError, RecursionError):
        return None


def _check_shape(text: str) -> None:
    """Refuse what would fill the memory or the stack on loading: aliases can expand to billions of items."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"has an alias (*{event.anchor}); a run writes none")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"has more than {_DEEPEST} levels")
        if number >= _MOST_EVENTS:
            raise ValueError(f"has more than {_MOST_EVENTS:,} items")


@dataclass(frozen=True, eq=False)
class RunScores:
    """The scores of one run as arrays; NaN where a number is missing or undefined."""

    steps: NDArray[np.int64]  # (T,) optimiser steps at which layers were scored, ascending
    layer_names: tuple[str, ...]  # L module paths, shallow to deep
    depths: Floats  # (L,) normalised, 0..1
    layers: dict[Key, Floats]  # (T, L)
    pixels: dict[Key, Floats]  # (T,) the same probes on raw pixels
    accuracy: Floats  # (T,) seen-class accuracy of the head


def read_scores(path: Path, facts: Facts) -> RunScores:
    """Return a scores.csv as arrays.

    Raises:
        FileNotFoundError: There is none.
        OSError: It cannot be read.
        ValueError: It is not what a run writes, or is not of the evaluation that `facts` are of; names the row.
    """
    table = ScoreTable.parse(read_text(path, LARGEST_FILE))
    _check_rows(table)
    scores = arrays_of(table, facts.seen_accuracy)
    _check_agree(facts, table, scores)
    return scores


def _check_agree(facts: Facts, table: ScoreTable, scores: RunScores) -> None:
    """Refuse a folder whose two files are of different evaluations: one of them is cut or was changed."""
    last = int(scores.steps[-1])
    if facts.steps is not None and facts.steps != last:
        raise ValueError(f"it ends at step {last}, the run at {facts.steps}: it is cut")
    layers = len(scores.layer_names)
    if facts.best_layer is not None and facts.best_layer >= layers:
        raise ValueError(f"it has {layers} layers, the best one in summary.json is {facts.best_layer}")
    if facts.g is not None:
        best = table.generalization(last)
        if best is None or abs(best.g - facts.g) > _SAME:
            raise ValueError(f"g is {best.g if best else None} by its rows and {facts.g} by summary.json")


def _check_rows(table: ScoreTable) -> None:
    places = Counter((row.step, row.split, row.layer, row.probe) for row in table)
    if len(places) < len(table):
        step, split, layer, probe = places.most_common(1)[0][0]
        raise ValueError(f"step {step}, {split}, layer {layer}, {probe}: this row is there twice")
    for step, epoch in {(row.step, row.epoch) for row in table}:
        if not (0 <= step <= _LARGEST and 0 <= epoch <= _LARGEST):
            raise ValueError(f"there is no step {step} in epoch {epoch}")
    for split in {row.split for row in table} - set(SPLITS):
        raise ValueError(f"split {split!r} is neither {' nor '.join(SPLITS)}")
    limits = {probe: _limits(probe) for probe in {row.probe for row in table}}
    for row in table:
        low, high = limits[row.probe]
        if not (low <= row.value <= high or math.isnan(row.value)):  # NaN: an undefined score
            raise ValueError(
                f"{row.probe} of layer {row.layer} is {row.value}, it lies in {low:.0f}..{high:.0f}"
            )
    _check_layers({(row.layer, row.layer_name, row.depth) for row in table})


def _limits(probe: str) -> tuple[float, float]:
    _check_shown("probe", probe)
    level = destroyed_level(probe)
    if level is not None and not 0 < level <= _LARGEST:
        raise ValueError(f"probe {probe}: it has no level of noise")
    return (-_ROUNDING, 1 + _ROUNDING) if _is_share(probe) else (-float(_LARGEST), float(_LARGEST))


def range_of(probe: str) -> tuple[float, float]:
    """Return where the values of a score lie by definition; infinite where there is no end.

    >>> range_of("nmi"), range_of("ami"), range_of("class_count_error")
    ((0.0, 1.0), (-inf, 1.0), (-inf, inf))
    """
    if probe == "ami":
        return -math.inf, 1.0
    return (0.0, 1.0) if _is_share(probe) else (-math.inf, math.inf)


def _is_share(probe: str) -> bool:
    return probe in _SHARES or is_control(probe)


def _check_shown(what: str, name: str) -> None:
    try:
        _check_name(name)
    except ValueError as error:
        raise ValueError(f"{what} is {quoted(name)}, it {error}") from error


def _check_layers(layers: set[tuple[int, str, float | None]]) -> None:
    names: dict[int, str] = {}
    depths: dict[int, float] = {}
    for layer, name, depth in layers:
        _check_shown(f"the name of layer {layer}", name)
        if not HEAD_LAYER <= layer <= _MOST_LAYERS:
            raise ValueError(f"layer {layer}: the layers are 0 to at most {_MOST_LAYERS}")
        if depth is not None and not 0 <= depth <= 1:
            raise ValueError(f"layer {layer} has depth {depth}, it lies in 0..1")
        if names.setdefault(layer, name) != name:
            raise ValueError(f"layer {layer} has two names")
        if depth is not None and depths.setdefault(layer, depth) != depth:
            raise ValueError(f"layer {layer} has two depths")
    ascending = [depth for layer, depth in sorted(depths.items()) if layer > INPUT_LAYER]
    if ascending != sorted(ascending):
        raise ValueError("the depths do not ascend with the layers")


def arrays_of(table: ScoreTable, seen_accuracy: float | None = None) -> RunScores:
    """Return the rows of a run as arrays.

    Args:
        table: Its rows; those of layer -1 are raw pixels, those of layer -2 the head.
        seen_accuracy: Of the last step, used where the rows do not have it (folders from before there were such rows).

    Raises:
        ValueError: There are no rows of layers, or a layer number is missing.
    """
    last: dict[int, Score] = {row.layer: row for row in table if row.layer > INPUT_LAYER}
    if not last or sorted(last) != list(range(len(last))):
        raise ValueError(f"expected layers 0, 1, ..., found {sorted(last)}")
    steps = sorted({row.step for row in table if row.layer > INPUT_LAYER})
    shape = (len(steps), len(last))
    at_step = {step: at for at, step in enumerate(steps)}
    layers: dict[Key, Floats] = defaultdict(lambda: np.full(shape, np.nan))
    pixels: dict[Key, Floats] = defaultdict(lambda: np.full(len(steps), np.nan))
    accuracy = np.full(len(steps), np.nan)
    for row in table:
        key, at = (row.split, row.probe), at_step.get(row.step)
        if at is None:
            continue
        if row.layer > INPUT_LAYER:
            layers[key][at, row.layer] = row.value
        elif row.layer == INPUT_LAYER:
            pixels[key][at] = row.value
        elif key == ("seen", ACCURACY):
            accuracy[at] = row.value
    if ("unseen", "nmi") not in layers:
        raise ValueError("no NMI of the unseen classes in any row")
    scored = sum(row.layer > INPUT_LAYER for row in table if (row.split, row.probe) == ("unseen", "nmi"))
    if scored != len(steps) * len(last):
        raise ValueError(f"{scored} rows with the NMI of {len(last)} layers at {len(steps)} steps")
    if seen_accuracy is not None and np.isnan(accuracy[-1]):
        accuracy[-1] = seen_accuracy
    ordered = [last[layer] for layer in range(len(last))]
    even = np.linspace(0, 1, len(ordered))
    depths = [at if row.depth is None else row.depth for row, at in zip(ordered, even, strict=True)]
    names = tuple(row.layer_name for row in ordered)
    return RunScores(np.array(steps), names, np.array(depths), dict(layers), dict(pixels), accuracy)
