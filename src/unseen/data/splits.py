"""Which classes training sees and which it never sees.

Classes are names sorted as text; an id is a position in that order. Seen classes have labels 0..S-1 and unseen classes
labels 0..U-1, both in the order of their names, whatever order they were typed in.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.wording import count, listing, suggestion

ClassRef = str | int
"""A class as a user types it: its name, or its id."""

MIN_CLASSES = 2  # NMI of one class is undefined, and accuracy is 1
_HASH_LENGTH = 12
_DRAW_STREAM = 1  # keeps the draw of classes apart from other uses of the same seed
_SEEN_STREAM = 3  # for num_seen; another stream than that of the images, so nothing else moves


@dataclass(frozen=True)
class ClassSplit:
    """Names of all classes, and the ids of the seen and the unseen ones.

    Attributes:
        classes: All names, sorted, each once.
        seen: Ids of the classes to train on, ascending.
        unseen: Ids of the classes held out, ascending.
        seed: The split seed, which draws classes (`draw`) and images (`selection`).

    Raises:
        ValueError: Fewer than two seen or unseen classes, or a class in both.

    >>> split = ClassSplit.explicit(["owl", "cat", "dog", "ant"], unseen=["owl", 0])
    >>> split.unseen_names, split.seen_names
    (('ant', 'owl'), ('cat', 'dog'))
    """

    classes: tuple[str, ...]
    seen: tuple[int, ...]
    unseen: tuple[int, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if both := sorted(set(self.seen) & set(self.unseen)):
            names = listing(self.classes[i] for i in both)
            raise ValueError(f"a class is either seen or unseen, but these are both: {names}")
        if len(self.unseen) < MIN_CLASSES:
            raise ValueError(
                f"unseen={list(self.unseen_names)} has too few classes: at least {MIN_CLASSES} must be "
                f"unseen, because the NMI of one class is undefined; the classes are {listing(self.classes)}"
            )
        if len(self.seen) < MIN_CLASSES:
            raise ValueError(
                f"seen={list(self.seen_names)} has too few classes: at least {MIN_CLASSES} must be seen to "
                f"train; there are {len(self.classes)} classes and {len(self.unseen)} of them are unseen"
            )

    @classmethod
    def explicit(
        cls,
        classes: Iterable[str],
        unseen: ClassRef | Sequence[ClassRef],
        seen: ClassRef | Sequence[ClassRef] | None = None,
        *,
        seed: int = 0,
    ) -> ClassSplit:
        """Return the split with the given unseen classes.

        Args:
            classes: All names, in any order.
            unseen: Names or ids. Where a class has a number as its name, whole numbers are names only.
            seen: Names or ids to train on; None: every class that is not unseen.
            seed: Kept with the split.

        Raises:
            ValueError: A class that does not exist or is named twice, or an impossible split.
        """
        names = tuple(sorted(set(classes)))
        held_out = _ids(unseen, names, "unseen")
        rest = tuple(i for i in range(len(names)) if i not in set(held_out))
        return cls(names, rest if seen is None else _ids(seen, names, "seen"), held_out, seed)

    @classmethod
    def draw(
        cls,
        classes: Iterable[str],
        num_unseen: int,
        *,
        seed: int,
        seen: ClassRef | Sequence[ClassRef] | None = None,
    ) -> ClassSplit:
        """Return a split whose unseen classes are drawn, each equally likely: a pure function of all arguments.

        Args:
            classes: All names, in any order.
            num_unseen: How many to hold out; ValueError where fewer than two classes are seen or unseen.
            seed: Of the draw.
            seen: Names or ids to train on, which are not drawn; None: every class that was not drawn.
        """
        names = tuple(sorted(set(classes)))
        kept = () if seen is None else _ids(seen, names, "seen")
        pool = [i for i in range(len(names)) if i not in set(kept)]
        most = len(pool) - (MIN_CLASSES if seen is None else 0)
        if not MIN_CLASSES <= num_unseen <= most:
            rest = f"with {len(names)} classes" + (f", {len(kept)} of them seen" if kept else "")
            span = f"{MIN_CLASSES} to {most}" if most > MIN_CLASSES else f"{MIN_CLASSES}"
            allowed = f"choose {span}" if most >= MIN_CLASSES else "there are too few classes"
            raise ValueError(
                f"num_unseen={num_unseen} is impossible {rest}: {allowed} (at least {MIN_CLASSES} seen and "
                f"{MIN_CLASSES} unseen are needed)"
            )
        rng = np.random.default_rng([seed, _DRAW_STREAM])
        drawn = tuple(sorted(int(i) for i in rng.choice(pool, size=num_unseen, replace=False)))
        others = tuple(i for i in pool if i not in set(drawn))
        return cls(names, others if seen is None else kept, drawn, seed)

    @property
    def seen_names(self) -> tuple[str, ...]:
        """Names of the seen classes; the position is the label."""
        return tuple(self.classes[i] for i in self.seen)

    @property
    def unseen_names(self) -> tuple[str, ...]:
        """Names of the unseen classes; the position is the label."""
        return tuple(self.classes[i] for i in self.unseen)

    def hash(self) -> str:
        """Return 12 hexadecimal digits that are equal exactly for equal content."""
        content = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()[:_HASH_LENGTH]

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, strings and numbers, as written to split.json."""
        return {
            "classes": list(self.classes),
            "seen": list(self.seen_names),
            "unseen": list(self.unseen_names),
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ClassSplit:
        """Return the split that `to_dict` wrote; ValueError for missing keys or classes that do not exist."""
        if missing := {"classes", "seen", "unseen"} - set(content):
            raise ValueError(
                f"a stored split needs classes, seen and unseen; missing: {listing(sorted(missing))}"
            )
        classes, seed = [str(name) for name in content["classes"]], int(content.get("seed", 0))
        return cls.explicit(classes, list(content["unseen"]), list(content["seen"]), seed=seed)


def choose_classes(
    classes: Sequence[str],
    default_unseen: Sequence[str] | None,
    default_seen: Sequence[str] | None,
    *,
    unseen: ClassRef | Sequence[ClassRef] | None = None,
    num_unseen: int | None = None,
    seen: ClassRef | Sequence[ClassRef] | None = None,
    num_seen: int | None = None,
    seed: int = 0,
) -> ClassSplit:
    """Return the split that the user's settings and the source's defaults give.

    Args:
        classes: All names.
        default_unseen: The source's own unseen classes.
        default_seen: The source's own seen classes.
        unseen: Names or ids; None: `num_unseen` drawn ones, else the source's own.
        num_unseen: How many to draw.
        seen: Names or ids; None: the source's own without the unseen ones, else all that are not unseen.
        num_seen: How many of the seen classes to draw, after the unseen ones; the others are neither. None: all.
        seed: Split seed.

    Raises:
        ValueError: No setting or default names the unseen classes, two settings do, or the split is impossible.
    """
    if unseen is not None and num_unseen is not None:
        raise ValueError(f"unseen={unseen} and num_unseen={num_unseen} exclude each other; give one of them")
    held_out = default_unseen if unseen is None else unseen
    if num_unseen is not None:
        split = ClassSplit.draw(classes, num_unseen, seed=seed, seen=seen)
    elif held_out is not None:
        split = ClassSplit.explicit(classes, held_out, seen, seed=seed)
    else:
        raise ValueError(
            "no class is unseen: write data.unseen=[...] with names or ids, or data.num_unseen=...; "
            f"there are {count(len(classes), 'class', 'classes')}: {listing(classes)}"
        )
    if seen is None and default_seen is not None:
        rest = [name for name in default_seen if name not in split.unseen_names]
        split = ClassSplit.explicit(split.classes, split.unseen_names, rest, seed=seed)
    if num_seen is None:
        return split
    if not 2 <= num_seen <= len(split.seen):
        raise ValueError(
            f"num_seen={num_seen} must be between 2 and {len(split.seen)}, the classes that may be seen"
        )
    drawn = np.random.default_rng([seed, _SEEN_STREAM]).permutation(len(split.seen))[:num_seen]
    names = [split.seen_names[position] for position in sorted(drawn)]
    return ClassSplit.explicit(split.classes, split.unseen_names, names, seed=seed)


def _ids(wanted: ClassRef | Sequence[ClassRef], names: tuple[str, ...], what: str) -> tuple[int, ...]:
    """Return ascending ids of the classes that a user named."""
    ids = [_id(item, names, what) for item in ((wanted,) if isinstance(wanted, str | int) else wanted)]
    for found, times in Counter(ids).items():
        if times > 1:
            raise ValueError(f"{what} names class {names[found]!r} twice")
    return tuple(sorted(ids))


def _id(item: ClassRef, names: tuple[str, ...], what: str) -> int:
    numbered, is_bool = any(_is_number(name) for name in names), isinstance(item, bool)
    if str(item) in names and not is_bool:
        return names.index(str(item))
    if isinstance(item, int) and 0 <= item < len(names) and not (numbered or is_bool):
        return item
    if numbered and _is_number(str(item)):
        near = [repr(name) for name in names if _is_number(name) and int(name) == int(item)]
        meant = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise ValueError(
            f"{what} class {item} does not exist{meant}; classes here have numbers as names, so that a number is a "
            "name and no position, and a name with zeros in front needs quotes in a YAML file; the classes are: "
            f"{listing(names)}"
        )
    allowed = f"ids 0 to {len(names) - 1}, or names" if isinstance(item, int) else "classes"
    raise ValueError(
        f"{what} class {item!r} does not exist{suggestion(item, names)}; the {allowed} are: {listing(names)}"
    )


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
