"""Command lines without end, by kind, each with what must come of it.

Each kind is a generator of lines that a seed makes (*_lines.py, other_commands.py); `draw` takes from
all of them in turn, so that any number of lines is a fair share of the kinds.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

from tests.fuzz.line import TINY_EVAL, Line, with_tiny
from tests.fuzz.stage import Stage

Generator = Callable[[random.Random, Stage], Iterator[Line]]
KINDS: dict[str, tuple[Generator, int]] = {}  # with its weight: lines it gives in each round of `draw`


def kind(name: str, weight: int = 1) -> Callable[[Generator], Generator]:
    """Register a generator."""

    def register(generator: Generator) -> Generator:
        KINDS[name] = (generator, weight)
        return generator

    return register


def draw(
    seed: int, count: int, stage: Stage, only: set[str] | None = None, *, evenly: bool = False
) -> list[Line]:
    """The first `count` lines, no two of them equal; `evenly`: as many of each kind, whatever its weight."""
    from tests.fuzz import bad_lines, bias_lines, good_lines, other_commands, transfer_lines  # noqa: F401 - they register their kinds

    sources = {
        name: (generator(random.Random(f"{seed} {name}"), stage), 1 if evenly else weight)
        for name, (generator, weight) in KINDS.items()
        if only is None or name in only
    }
    lines: dict[tuple[str, ...], Line] = {}
    idle = 0  # rounds that brought nothing new: every kind is at its end
    while len(lines) < count and idle < 3:
        before = len(lines)
        for lines_of, weight in sources.values():
            for line in itertools.islice(lines_of, weight):
                lines.setdefault((line.entry, *line.arguments, repr(line.environment)), line)
        idle = idle + 1 if len(lines) == before else 0
    return list(lines.values())[:count]


def shuffled(rng: random.Random, items: Any) -> list[Any]:
    """The items in an order of the generator's."""
    items = list(items)
    rng.shuffle(items)
    return items


def train(kind: str, changes: dict[str, str], fate: Any, *more: str, **wanted: Any) -> Line:
    """A tiny job of train.py with other values for some settings, and more arguments behind them."""
    return Line(kind, "train.py", _behind_flags(with_tiny(changes), more), fate, **wanted)


def evaluate(kind: str, changes: dict[str, str], fate: Any, *more: str, **wanted: Any) -> Line:
    """The same of eval.py, without a checkpoint: an untrained network is scored."""
    return Line(kind, "eval.py", _behind_flags(with_tiny(changes, TINY_EVAL), more), fate, **wanted)


def _behind_flags(settings: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """All of them, flags first: Python's parser of arguments takes no settings on both sides of a flag."""
    return (*more, *settings) if more and more[0].startswith("-") else (*settings, *more)


def last(key: str) -> str:
    """The last part of a dotted key: what a sentence names it by at least."""
    return key.rsplit(".", 1)[-1]
