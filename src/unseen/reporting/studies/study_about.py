"""What a run's configuration says of the study that it belongs to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

_Setting = Annotated[str, Field(min_length=1, max_length=100)]
_Member = TypeVar("_Member")


class About(BaseModel):
    """The `study` of a configuration."""

    name: Annotated[str, Field(pattern=r"^[\w-]{1,40}$")]
    question: Annotated[str, Field(max_length=500)] = ""
    answer: Annotated[str, Field(max_length=500)] = ""  # what would count as one
    # what is made of the runs: of train.py levels, downstream_use, cut, ensembles, cue, of biases.py networks and band
    analysis: Literal[
        "levels", "downstream_use", "cut", "ensembles", "cue", "forecasts", "weights", "scores", "sample_need",
        "networks", "band",
    ] = "levels"  # fmt: skip
    measure: Literal["nmi", "ami"] = "nmi"  # whose best layer is g
    reference: Annotated[dict[_Setting, Any], Field(max_length=10)] = {}  # factor: level


def about_of(study: object) -> About | None:
    """Return the `study` of a configuration; None for none, or one that is not written as ours are."""
    try:
        return About.model_validate(study)
    except ValidationError:
        return None


def by_study(
    members: Iterable[_Member], study: Callable[[_Member], object], size: Callable[[_Member], str]
) -> list[tuple[About, str, list[_Member]]]:
    """Return the members of each study by name and size; those of no study are left out.

    Args:
        members: Runs or configurations.
        study: Gives what `about_of` reads.
        size: Gives demo or paper.
    """
    found: dict[tuple[str, str], tuple[About, list[_Member]]] = {}
    for member in members:
        if about := about_of(study(member)):
            found.setdefault((about.name, size(member)), (about, []))[1].append(member)
    return [
        (about, of_size, own) for (_, of_size), (about, own) in sorted(found.items(), key=lambda one: one[0])
    ]


def order_of_level(level: str) -> tuple[float, str]:
    """Return what the levels of a factor are sorted by: numbers by their size, then words."""
    try:
        return float(level), ""
    except ValueError:
        return math.inf, level
