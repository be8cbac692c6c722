"""CIFAR-100 through torchvision, with the classes of arXiv 2405.01524."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from unseen.data.catalog import Counts
from unseen.data.sources.torchvision_sets import TorchvisionSet

_NAMES = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
    camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
    dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
    leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
    otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
    road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
    sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""
CLASSES = tuple(_NAMES.split())
_TRAIN_PER_CLASS, _TEST_PER_CLASS = 500, 100


@dataclass(frozen=True, kw_only=True)
class Cifar100(TorchvisionSet):
    """The 100 classes, 500 training and 100 test images each, 32 x 32 pixels.

    Attributes:
        default_unseen: The papers' five: the superclass of flowers.
        default_seen: The papers' twenty: the first in the alphabet.
    """

    dataset: str | None = field(default="CIFAR100", init=False)
    options: dict[str, Any] = field(default_factory=dict, init=False, hash=False)
    default_unseen: tuple[str, ...] | None = ("orchid", "poppy", "rose", "sunflower", "tulip")
    default_seen: tuple[str, ...] | None = CLASSES[:20]

    def known_counts(self) -> Counts:
        """Return 500 training and 100 test images of every class."""
        return {name: {"train": _TRAIN_PER_CLASS, "test": _TEST_PER_CLASS} for name in CLASSES}
