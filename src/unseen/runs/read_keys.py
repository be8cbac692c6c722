"""Which keys of a configuration are read by other keys, through interpolations such as ${..options}."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

_INNERMOST = re.compile(r"\$\{([^${}]*)\}")
_RESOLVER = re.compile(r"\s*[A-Za-z_][\w.]*\s*:")
_ANYTHING = "*"  # stands for what an inner interpolation gives: ${sizes.${size}.taps} reads sizes.*.taps

Place = tuple[str, ...]


@dataclass(frozen=True)
class ReadKeys:
    """The places that the interpolations of a configuration point to.

    Attributes:
        places: Each a path of keys, of which one may be `*`.
    """

    places: frozenset[Place] = field(default_factory=frozenset)

    @classmethod
    def of(cls, *unresolved: Any) -> ReadKeys:
        """Return what plain containers with interpolations read.

        >>> found = ReadKeys.of({"size": "demo", "a": {"taps": "${..sizes.${size}.taps}"}})
        >>> ("size",) in found, ("sizes", "demo", "taps") in found, ("sizes", "demo", "names") in found
        (True, True, False)
        """
        return cls(frozenset(place for content in unresolved for place in _references(content, ())))

    def with_keys(self, **groups: Any) -> ReadKeys:
        """Return this with all keys of some groups: what a checkpoint holds was read when it was made."""
        found = {(group, *place) for group, content in groups.items() for place in _leaves(content, ())}
        return ReadKeys(self.places | found)

    def __contains__(self, place: object) -> bool:
        """Whether the place, something in it, or something that it is in is read."""
        if not isinstance(place, tuple):
            return False
        return any(
            all(fnmatchcase(key, pattern) for key, pattern in zip(place, known, strict=False))
            for known in self.places
        )


def _references(node: Any, place: Place) -> Iterator[Place]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _references(value, (*place, str(key)))
    elif isinstance(node, list):
        for position, value in enumerate(node):
            yield from _references(value, (*place, str(position)))
    elif isinstance(node, str):
        while found := _INNERMOST.search(node):
            if not _RESOLVER.match(found[1]):
                yield _absolute(found[1].strip(), place)
            node = node[: found.start()] + _ANYTHING + node[found.end() :]


def _leaves(node: Any, place: Place) -> Iterator[Place]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, (*place, str(key)))
    elif place:
        yield place


def _absolute(reference: str, place: Place) -> Place:
    """Return the place that a reference in the value at `place` names; each leading dot goes up by one."""
    path = reference.lstrip(".")
    dots = len(reference) - len(path)
    keys = tuple(key for key in path.replace("[", ".").replace("]", "").split(".") if key)
    return (*place[: len(place) - dots], *keys) if dots else keys
