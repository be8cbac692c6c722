"""What a user said about classes, made into a split with a source's own defaults; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unseen.data.splits import ClassRef, ClassSplit
from unseen.wording import count, listing


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
            ValueError: Nothing says which classes are unseen, two settings say it, or the split is
                impossible.
        """
        if self.unseen is not None and self.num_unseen is not None:
            raise ValueError(
                f"unseen={self.unseen} and num_unseen={self.num_unseen} exclude each other; give one of them"
            )
        if self.num_unseen is not None:
            drawn = ClassSplit.draw(classes, self.num_unseen, seed=self.seed, seen=self.seen)
            if self.seen is not None or default_seen is None:
                return drawn
            return self._with_default_seen(drawn, default_seen)
        unseen = self.unseen if self.unseen is not None else default_unseen
        if unseen is None:
            raise ValueError(
                "no class is unseen: write data.unseen=[...] with names or ids, or data.num_unseen=...; "
                f"there are {count(len(classes), 'class', 'classes')}: {listing(classes)}"
            )
        split = ClassSplit.explicit(classes, unseen, self.seen, seed=self.seed)
        if self.seen is not None or default_seen is None:
            return split
        return self._with_default_seen(split, default_seen)

    def _with_default_seen(self, split: ClassSplit, default_seen: Sequence[str]) -> ClassSplit:
        seen = [name for name in default_seen if name not in split.unseen_names]
        return ClassSplit.explicit(split.classes, split.unseen_names, seen, seed=self.seed)
