"""From the outputs of a network to scores of the classes that a set of images is labelled with.

Legend: B batch, O outputs of the network, C classes of the images. The softmax of the scores are probabilities, and
gradients pass through.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from unseen.image_sets.tables import IMAGENET_CLASSES, entry_classes, kept_classes
from unseen.regular_files import MEBIBYTE, read_text
from unseen.wording import count, listing

_MAP_BYTES = 16 * MEBIBYTE
_SHAPE = 'a JSON file such as {"cat": [281, 282], "dog": [151]} with the numbers of the network\'s outputs'


class Decision(Protocol):
    """A map of outputs (B, O) to scores (B, C)."""

    def check(self, outputs: int) -> None:
        """Refuse a network with so many outputs, with one sentence, if the map is not for it."""
        ...

    def __call__(self, outputs: Tensor) -> Tensor: ...  # noqa: D102


@dataclass(frozen=True)
class AllClasses:
    """The images' classes are the outputs.

    Attributes:
        classes: How many.
    """

    classes: int = IMAGENET_CLASSES

    def check(self, outputs: int) -> None:
        """Refuse another number of outputs."""
        _check_number(outputs, self.classes)

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return the outputs."""
        self.check(outputs.shape[1])
        return outputs


@dataclass(frozen=True)
class SomeClasses:
    """The images' classes are some of the outputs; the others are left out before the decision.

    Attributes:
        kept: C indices, in the order of the images' labels.
        classes: How many outputs the network must have.
    """

    kept: tuple[int, ...]
    classes: int = IMAGENET_CLASSES

    def check(self, outputs: int) -> None:
        """Refuse another number of outputs."""
        _check_number(outputs, self.classes)

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return the outputs that are kept, (B, C)."""
        self.check(outputs.shape[1])
        return outputs[:, list(self.kept)]


@dataclass(frozen=True)
class GroupedClasses:
    """A class of the images is a group of outputs; its score is the log of their mean probability.

    The mean, not the sum, so that a class of many outputs has no advantage (Geirhos et al., ICLR 2019).

    Attributes:
        names: C class names, in the order of the images' labels.
        groups: The outputs of each class.
        classes: How many outputs the network must have; None: as many as the groups name, or more.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    classes: int | None = None

    def check(self, outputs: int) -> None:
        """Refuse a network that has not the outputs of the groups."""
        if self.classes is not None and outputs != self.classes:
            raise ValueError(
                f"the network has {count(outputs, 'output')}, and the {len(self.names)} entry-level classes are "
                f"groups of the {self.classes:,} classes of ImageNet; for other networks write class_map=file.json, "
                f"{_SHAPE}"
            )
        for name, group in zip(self.names, self.groups, strict=True):
            if max(group) >= outputs:
                raise ValueError(
                    f"class_map gives output {max(group)} to {name}, and the network has "
                    f"{count(outputs, 'output')}, 0 to {outputs - 1}"
                )

    def __call__(self, outputs: Tensor) -> Tensor:
        """Return the log of the mean probability of each group, (B, C)."""
        self.check(outputs.shape[1])
        log_probabilities = outputs.float().log_softmax(dim=1)  # (B, O)
        scores = [
            log_probabilities[:, list(group)].logsumexp(dim=1) - math.log(len(group))  # (B,)
            for group in self.groups
        ]
        return torch.stack(scores, dim=1)


def sixteen(class_map: str | None = None) -> GroupedClasses:
    """Return the decision among the 16 entry-level classes of ImageNet, or among those of a file.

    Raises:
        ValueError: The file cannot be read or is no map of class names to outputs.
    """
    if class_map is None:
        return _grouped(entry_classes(), IMAGENET_CLASSES)
    path = Path(class_map).expanduser()
    try:
        found = json.loads(read_text(path, _MAP_BYTES))
    except (OSError, ValueError) as error:
        raise ValueError(f"class_map={class_map} cannot be read ({error}); it is {_SHAPE}") from error
    return _grouped(checked_map(found, class_map), None)


def imagenet_subset(name: str) -> SomeClasses:
    """Return the decision among the 200 classes of `imagenet_a` or `imagenet_r`."""
    return SomeClasses(kept_classes(name))


def checked_map(found: Any, where: str) -> dict[str, tuple[int, ...]]:
    """Return a map of class names to outputs.

    Args:
        found: What a file holds.
        where: Its name, for the message.

    Raises:
        ValueError: It is something else, has an empty group, or gives an output to two classes.
    """
    if not isinstance(found, Mapping) or len(found) < 2:
        raise ValueError(f"class_map={where} must be a map of at least 2 classes: {_SHAPE}")
    owner: dict[int, str] = {}
    for name, group in found.items():
        if not isinstance(group, Sequence) or isinstance(group, str):
            raise ValueError(f"class_map={where} gives {name} no list of outputs; it must be {_SHAPE}")
        if not group:
            raise ValueError(f"class_map={where} gives {name} an empty list; every class needs an output")
        wrong = [index for index in group if type(index) is not int or index < 0]
        if wrong:
            raise ValueError(f"class_map={where} gives {name} {listing(wrong)}; outputs are numbered from 0")
        for index in group:
            if index in owner:
                both = name if owner[index] == name else f"{owner[index]} and {name}"
                raise ValueError(f"class_map={where} names output {index} twice ({both}); once is allowed")
            owner[index] = name
    return {str(name): tuple(group) for name, group in found.items()}


def _grouped(groups: Mapping[str, tuple[int, ...]], classes: int | None) -> GroupedClasses:
    names = tuple(sorted(groups))
    return GroupedClasses(names, tuple(groups[name] for name in names), classes)


def _check_number(outputs: int, classes: int) -> None:
    if outputs != classes:
        whose = " of ImageNet, in their usual order" if classes == IMAGENET_CLASSES else " of the images"
        raise ValueError(
            f"the network has {count(outputs, 'output')}, and a network with exactly {classes:,} is needed here, "
            f"one for each class{whose}"
        )
