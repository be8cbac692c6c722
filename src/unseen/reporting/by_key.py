"""Members put together by a key that some of them share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

Member = TypeVar("Member")
Key = TypeVar("Key", bound=Hashable)


def by_key(members: Iterable[Member], key: Callable[[Member], Key]) -> dict[Key, list[Member]]:
    """Return the members of each key; keys and members are in the order in which they come.

    >>> by_key([3, 2, 5], lambda number: number % 2)
    {1: [3, 5], 0: [2]}
    """
    found: dict[Key, list[Member]] = {}
    for member in members:
        found.setdefault(key(member), []).append(member)
    return found
