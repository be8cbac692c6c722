"""What summary.json says of a finished run, each fact checked: a file is never believed to be as we would write it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from unseen.reporting.texts import printable, quoted

LONGEST_NAME = 500  # characters
LARGEST = 10**12  # of every whole number
_ROUNDING = 1e-6  # a share that was worked out in single precision may be above 1 by this
_MOST_SHOWN = 3  # wrong facts in a reason


def check_name(text: str) -> str:
    """Return a name that can be shown.

    Raises:
        ValueError: It is empty, longer than 500 characters, or holds what cannot be shown.
    """
    if not text.strip() or len(text) > LONGEST_NAME or not text.isprintable():
        raise ValueError(f"must be a name of 1 to {LONGEST_NAME} printable characters")
    return text


def _in_utc(text: str) -> str:
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-11-22T10:00:00+00:00") from None


def check_path(text: str) -> str:
    """Return a text that can be the path of a file.

    Raises:
        ValueError: No file can have it.
    """
    try:
        usable = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ValueError("must be a path")
    return text


Name = Annotated[str, AfterValidator(check_name)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[int, Field(ge=1, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1 + _ROUNDING)]


class Facts(BaseModel):
    """The facts that the report uses; None where a run did not write one.

    Attributes:
        model: Network, as typed.
        data: Data set.
        size: demo or paper.
        seed: Of the run.
        command: The words that were typed.
        written: When, in UTC (ISO 8601), so that texts sort by time.
        checkpoint: What an evaluation scored.
        config_hash: Equal for runs that compute the same.
        split_hash: Equal for runs with the same seen and unseen classes.
        images_hash: Equal for the same image files, wherever they are; None where none were typed.
        k: Neighbours of NN@k.
        k_seen: The same in the seen split, where it has fewer images; None: `k`.
        seen_classes: How many.
        unseen_classes: How many.
        seen_test_images: How many.
        unseen_images: How many.
        steps: Of the last evaluation.
        seen_accuracy: At the last evaluation, 0..1.
        g: At the last evaluation, 0..1.
        best_layer: At the last evaluation.
        best_layer_name: Its module path.
        seconds: What the run took.
        versions: Of the libraries.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    model: Name
    data: Name
    size: Literal["demo", "paper"]
    seed: Count
    command: list[str] | None = None
    written: Annotated[str, AfterValidator(_in_utc)] | None = None
    checkpoint: Annotated[str, AfterValidator(check_path)] | None = None
    config_hash: Name | None = None
    split_hash: Name | None = None
    images_hash: Name | None = None
    k: Positive | None = None
    k_seen: Positive | None = None
    seen_classes: Positive | None = None
    unseen_classes: Positive | None = None
    seen_test_images: Positive | None = None
    unseen_images: Positive | None = None
    steps: Count | None = None
    seen_accuracy: Share | None = None
    g: Share | None = None
    best_layer: Count | None = None
    best_layer_name: Name | None = None
    seconds: Annotated[float, Field(ge=0, le=LARGEST)] | None = None
    versions: dict[str, str] | None = None

    @property
    def entry(self) -> Literal["train", "eval"]:
        """Which script wrote them."""
        return entry_of(self.command)


def entry_of(command: object) -> Literal["train", "eval"]:
    """Return which script a command ran; what is no command counts as training.

    >>> entry_of(["src/eval.py", "data=digits"])
    'eval'
    """
    first = command[0] if isinstance(command, list) and command else ""
    return "eval" if isinstance(first, str) and PurePath(first).stem == "eval" else "train"


def read_facts(content: dict[str, Any]) -> Facts:
    """Return the facts of a summary.

    Raises:
        ValueError: One sentence that names what is missing or wrong.
    """
    try:
        return Facts.model_validate(content)
    except ValidationError as error:
        wrong = [
            f"lacks {item['loc'][0]}" if item["type"] == "missing" else f"{_place(item['loc'])} {_said(item)}"
            for item in error.errors(include_url=False)
        ]
    more = f"; and {len(wrong) - _MOST_SHOWN} more" if len(wrong) > _MOST_SHOWN else ""
    raise ValueError("; ".join(wrong[:_MOST_SHOWN]) + more)


def _place(loc: tuple[int | str, ...]) -> str:
    return printable(".".join(map(str, loc)), 60)


def _said(item: Any) -> str:
    message = item["msg"].removeprefix("Input ").removeprefix("Value error, ").replace("should be", "must be")
    return f"is {quoted(item['input'])}, it {message}"
