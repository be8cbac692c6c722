"""Which of ImageNet's 1,000 classes other sets use: the 16 entry-level classes, the 200 of ImageNet-A and of -R."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

IMAGENET_CLASSES = 1000


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    text = files("unseen.image_sets").joinpath("tables.json").read_text("utf-8")
    tables: dict[str, Any] = json.loads(text)
    return tables


def entry_classes() -> dict[str, tuple[int, ...]]:
    """Return the 16 entry-level classes and their ImageNet indices (Geirhos et al., ICLR 2019).

    >>> {name: len(indices) for name, indices in entry_classes().items() if len(indices) > 40}
    {'bird': 49, 'dog': 109}
    """
    return {name: tuple(indices) for name, indices in _tables()["entry_classes"].items()}


def kept_classes(name: str) -> tuple[int, ...]:
    """Return the 200 ImageNet indices of `imagenet_a` or `imagenet_r` (Hendrycks et al., 2021), ascending."""
    return tuple(_tables()[name])


@lru_cache(maxsize=1)
def wordnet_ids() -> tuple[str, ...]:
    """Return the WordNet id of each ImageNet class; sorted, which is the order of the classes.

    >>> wordnet_ids()[404]
    'n02690373'
    """
    from timm.data import ImageNetInfo

    return tuple(ImageNetInfo().label_names())
