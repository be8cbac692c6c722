"""A command line and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

HERE = "<here>"  # in arguments and variables: a folder of this line's own

# A tiny job. A line changes these or adds to them, so that no setting is typed twice.
TINY: dict[str, str] = {
    "model": "resnet",
    "data": "digits",
    "trainer.max_steps": "1",
    "trainer.val_check_interval": "1",
    "data.train_size": "144",
    "data.test_size": "60",
    "data.unseen_per_class": "20",
    "probe.n_init": "1",
    "probe.at_start": "false",
}
# What scoring without training reads of them.
TINY_EVAL = {
    key: value for key, value in TINY.items() if not key.startswith("trainer.") and key != "probe.at_start"
}

# A tiny run of transfer.py: the encoder of the stage, measures alone.
TINY_TRANSFER: dict[str, str] = {
    "model": "tiny",
    "data": "digits",
    "data.train_size": "80",
    "data.test_size": "40",
    "data.cache_gb": "0",
    "draws": "2",
    "measure_only": "true",
}

Fate = Literal["accepted", "refused", "either"]


@dataclass(frozen=True)
class Line:
    """What is typed, and what a user must see.

    Attributes:
        kind: The group that it is counted under.
        entry: File in src/.
        arguments: What is typed after it.
        fate: `accepted`: it ends with 0 and its results are right. `refused`: it ends with 1 or 2 and one sentence
            before anything is finished. `either`: one of the two, where both are good answers.
        names: Refused: the sentence holds at least one of these. Empty: any sentence will do.
        jobs: Accepted: how many run folders are finished; None: not a command that makes run folders.
        settings: Accepted: what config.yaml of every run folder holds, by dotted key.
        varied: Accepted sweeps: further settings of each job, in any order.
        steps: Accepted training: optimiser steps of every job's last scores and last checkpoint.
        makes: Accepted: files that are there afterwards.
        environment: Variables that are set, or with None taken away.
    """

    kind: str
    entry: str
    arguments: tuple[str, ...]
    fate: Fate
    names: tuple[str, ...] = ()
    jobs: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    varied: Sequence[Mapping[str, Any]] = ()
    steps: int | None = None
    makes: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def typed(self) -> str:
        """The command as one string, for a person."""
        import shlex

        variables = [f"{name}={value!r}" for name, value in self.environment.items()]
        shown = [
            part if len(part) < 300 else f"{part[:40]}...({len(part)} letters)" for part in self.arguments
        ]
        return " ".join([*variables, self.entry, *map(shlex.quote, shown)]).replace("\n", "\\n")


def with_tiny(changes: Mapping[str, str], base: Mapping[str, str] = TINY) -> tuple[str, ...]:
    """The arguments of a tiny job with other values for some settings."""
    bare = {key.lstrip("+~") for key in changes}
    kept = {key: value for key, value in base.items() if key not in bare}
    return tuple(f"{key}={value}" for key, value in (kept | dict(changes)).items())


def quoted(text: str) -> str:
    """The text as Hydra reads it back: in quotes, nothing in it is special."""
    escaped = text.replace("\\'", "\\\\'").replace("'", "\\'").replace("${", "\\${")
    return f"'{escaped}'"
