"""Which classes training sees and which it never sees; pure (needs neither torch nor the images).

Classes are names sorted as text. An id is a position in that order. Seen classes have labels 0..S-1 and
unseen classes labels 0..U-1, both in the order of their names, whatever order they were typed in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.wording import count, listing, suggestion

ClassRef = str | int
"""A class as a user types it: its name, or its id."""

MIN_CLASSES = 2  # with one class NMI is undefined and there is nothing to tell apart
_HASH_LENGTH = 12
_DRAW_STREAM = 1  # keeps the draw of classes apart from other uses of the same seed


@dataclass(frozen=True)
class ClassSplit:
    """Names of all classes, and the ids of the seen and the unseen ones.

    Attributes:
        classes: All names, sorted, each once.
        seen: Ids of the classes to train on, ascending.
        unseen: Ids of the classes held out, ascending.
        seed: The split seed; it draws classes (`draw`) and, elsewhere, images.

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
        if list(self.classes) != sorted(set(self.classes)):
            raise ValueError("classes must be sorted names, each once")
        for what, ids in (("seen", self.seen), ("unseen", self.unseen)):
            if list(ids) != sorted(set(ids)) or not set(ids) <= set(range(len(self.classes))):
                raise ValueError(
                    f"{what}={list(ids)} must be ascending ids from 0 to {len(self.classes) - 1}"
                )
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
            ValueError: A class that does not exist or is named twice, and what the class itself refuses.
        """
        names = tuple(sorted(set(classes)))
        unseen_ids = _resolve(unseen, names, "unseen")
        if seen is None:
            seen_ids = tuple(i for i in range(len(names)) if i not in set(unseen_ids))
        else:
            seen_ids = _resolve(seen, names, "seen")
        return cls(names, seen_ids, unseen_ids, seed)

    @classmethod
    def draw(
        cls,
        classes: Iterable[str],
        num_unseen: int,
        *,
        seed: int,
        seen: ClassRef | Sequence[ClassRef] | None = None,
    ) -> ClassSplit:
        """Return a split whose unseen classes are drawn without replacement, each equally likely.

        Args:
            classes: All names, in any order.
            num_unseen: How many to hold out.
            seed: The draw is a pure function of it, of the names and of `seen`.
            seen: Names or ids to train on, out of the draw; None: every class that was not drawn.

        Raises:
            ValueError: `num_unseen` that leaves fewer than two seen or unseen classes.
        """
        names = tuple(sorted(set(classes)))
        kept = () if seen is None else _resolve(seen, names, "seen")
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
        drawn = sorted(int(i) for i in rng.choice(pool, size=num_unseen, replace=False))
        seen_ids = kept if seen is not None else tuple(i for i in pool if i not in set(drawn))
        return cls(names, seen_ids, tuple(drawn), seed)

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
        """Return the split that `to_dict` wrote.

        Raises:
            ValueError: Missing keys or classes that do not exist.
        """
        if missing := {"classes", "seen", "unseen"} - set(content):
            raise ValueError(
                f"a stored split needs classes, seen and unseen; missing: {listing(sorted(missing))}"
            )
        classes, seed = [str(name) for name in content["classes"]], int(content.get("seed", 0))
        return cls.explicit(classes, list(content["unseen"]), list(content["seen"]), seed=seed)


@dataclass(frozen=True)
class ClassChoice:
    """Which classes are unseen and seen, as far as a user said so.

    Attributes:
        unseen: Names or ids; None: `num_unseen`, else the source's own.
        num_unseen: How many to draw.
        seen: Names or ids; None: the source's own without the unseen ones, else all that are not unseen.
        seed: Split seed.
    """

    unseen: ClassRef | Sequence[ClassRef] | None = None
    num_unseen: int | None = None
    seen: ClassRef | Sequence[ClassRef] | None = None
    seed: int = 0

    def split(
        self,
        classes: Sequence[str],
        default_unseen: Sequence[str] | None,
        default_seen: Sequence[str] | None,
    ) -> ClassSplit:
        """Return the split.

        Args:
            classes: All names.
            default_unseen: The source's own unseen classes.
            default_seen: The source's own seen classes.

        Raises:
            ValueError: Nothing says which classes are unseen, two settings say it, or the split is impossible.
        """
        if self.unseen is not None and self.num_unseen is not None:
            raise ValueError(
                f"unseen={self.unseen} and num_unseen={self.num_unseen} exclude each other; give one of them"
            )
        unseen = default_unseen if self.unseen is None else self.unseen
        if self.num_unseen is not None:
            split = ClassSplit.draw(classes, self.num_unseen, seed=self.seed, seen=self.seen)
        elif unseen is not None:
            split = ClassSplit.explicit(classes, unseen, self.seen, seed=self.seed)
        else:
            raise ValueError(
                "no class is unseen: write data.unseen=[...] with names or ids, or data.num_unseen=...; "
                f"there are {count(len(classes), 'class', 'classes')}: {listing(classes)}"
            )
        if self.seen is not None or default_seen is None:
            return split
        seen = [name for name in default_seen if name not in split.unseen_names]
        return ClassSplit.explicit(split.classes, split.unseen_names, seen, seed=self.seed)


def _resolve(wanted: ClassRef | Sequence[ClassRef], names: tuple[str, ...], what: str) -> tuple[int, ...]:
    """Return ascending ids of the classes that a user named."""
    ids: list[int] = []
    for item in (wanted,) if isinstance(wanted, str | int) else wanted:
        found = _class_id(item, names, what)
        if found in ids:
            raise ValueError(f"{what} names class {names[found]!r} twice")
        ids.append(found)
    return tuple(sorted(ids))


def _class_id(item: ClassRef, names: tuple[str, ...], what: str) -> int:
    numbered = any(_is_number(name) for name in names)
    if not isinstance(item, bool):
        if str(item) in names:
            return names.index(str(item))
        if isinstance(item, int) and 0 <= item < len(names) and not numbered:
            return item
    if numbered and not isinstance(item, bool) and _is_number(str(item)):
        near = [name for name in names if _is_number(name) and int(name) == int(item)]
        meant = f" (did you mean {' or '.join(map(repr, near))}?)" if near else ""
        raise ValueError(
            f"{what} class {item} does not exist{meant}; classes here have numbers as names, so that a number is a "
            f"name and no position, and a name with zeros in front needs quotes in a YAML file; the classes are: "
            f"{listing(names)}"
        )
    allowed = f"ids 0 to {len(names) - 1}, or names" if isinstance(item, int) else "classes"
    raise ValueError(
        f"{what} class {item!r} does not exist{suggestion(item, names)}; the {allowed} are: {listing(names)}"
    )


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdigit()
