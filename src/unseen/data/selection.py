"""Which images of a catalog are trained on, tested on and held out, and when there are too few.

Every draw has its own generator made of the split seed and the class name, so that a class keeps its images when other
classes change sides.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import numpy as np

from unseen.data.catalog import Catalog, Counts, Entry, Part
from unseen.data.splits import ClassSplit
from unseen.wording import count, listing, printable

MIN_TRAIN, MIN_TEST, MIN_UNSEEN = 2, 1, 2
_BAD_SHOWN = 10
_DIVIDE, _SUBSAMPLE, _UNSEEN, _RANK = 11, 12, 13, 14  # one stream of random numbers each
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SelectionRule:
    """How many images of each kind are taken, and how they are drawn.

    Attributes:
        seed: Split seed of all draws.
        test_fraction: Share of each undivided seen class that becomes test images.
        train_size: Training images in all; None: every one.
        test_size: Test images in all; None: every one.
        unseen_per_class: At most this many images of each unseen class; None: every one.
        stratified: Sizes keep the classes' shares, at least one image each; False: all images alike.
        imbalance: Above 1: the training images of the largest seen class are so many times those of the smallest, with
            the exponential profile of `imbalanced`, whatever `stratified` says; 1: nothing is done.
        draws_classes: Whether the split seed drew the classes. Where it did not and no image is drawn either, a seed
            other than 0 is refused: runs that differ in nothing would be taken for runs on several splits.

    Raises:
        ValueError: One sentence that names the value and what is allowed.
    """

    seed: int = 0
    test_fraction: float = 0.2
    train_size: int | None = None
    test_size: int | None = None
    unseen_per_class: int | None = None
    stratified: bool = True
    imbalance: float = 1
    draws_classes: bool = True

    def __post_init__(self) -> None:
        for key, value, least in (
            ("train_size", self.train_size, 1),
            ("test_size", self.test_size, 1),
            ("unseen_per_class", self.unseen_per_class, MIN_UNSEEN),
            ("split_seed", self.seed, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{key}={value} must be at least {least}")
        if not self.imbalance >= 1:
            raise ValueError(f"imbalance={self.imbalance} must be at least 1")
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction={self.test_fraction} must lie between 0 and 1")


class Chosen(NamedTuple):
    """Images of one kind, in catalog order: N references and their labels."""

    references: tuple[str, ...]
    labels: tuple[int, ...]

    def fingerprint(self) -> str:
        """Return a short hash of references and labels."""
        lines = [f"{label}\t{name}" for label, name in zip(self.labels, self.references, strict=True)]
        return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:12]


class Selection(NamedTuple):
    """The images of a run."""

    train: Chosen
    test: Chosen
    unseen: Chosen


def planned_sizes(counts: Counts, split: ClassSplit, rule: SelectionRule) -> tuple[int, int, dict[str, int]]:
    """Return how many training and test images there will be, and how many of each unseen class.

    Raises:
        ValueError: One sentence on why the selection is impossible.
    """
    train, test = {}, {}
    for name in split.seen_names:
        train[name], test[name] = _available(counts.get(name, {}), rule)
    if sum(test.values()) == 0:
        raise ValueError("there are no test images of the seen classes")
    for name in split.seen_names:
        if train[name] < MIN_TRAIN or test[name] < MIN_TEST:
            total = count(sum(counts.get(name, {}).values()), "image")
            raise ValueError(
                f"seen class {name!r} has {total}, which gives {train[name]} to train on and {test[name]} to test on; "
                f"at least {MIN_TRAIN} and {MIN_TEST} are needed"
            )
    unseen = {}
    for name in split.unseen_names:
        found = _unseen_images(counts.get(name, {}))
        if found < MIN_UNSEEN:
            raise ValueError(
                f"unseen class {name!r} has {count(found, 'image')}, at least {MIN_UNSEEN} are needed"
            )
        unseen[name] = min(found, rule.unseen_per_class or found)
    sizes = []
    for key, noun, by_class, size in (
        ("train_size", "training images", train, rule.train_size),
        ("test_size", "test images", test, rule.test_size),
    ):
        available = sum(by_class.values())
        if size is not None and size > available:
            raise ValueError(
                f"{key}={size} is more than the {available:,} {noun} of the {len(by_class)} seen classes; "
                f"choose at most {available}, or null for all"
            )
        if size is not None and rule.stratified and size < len(by_class):
            raise ValueError(
                f"{key}={size} is less than one image for each of the {len(by_class)} seen classes; "
                f"choose at least {len(by_class)}, or stratified=false"
            )
        sizes.append(available if size is None else size)
    if rule.imbalance > 1:
        sizes[0] = sum(imbalanced(train, rule).values())
    if (
        rule.seed
        and not rule.draws_classes
        and not _draws_images(counts, split, rule, sum(train.values()), sizes, unseen)
    ):
        raise ValueError(
            f"split_seed={rule.seed} changes nothing: the unseen classes are given and every image is used; add "
            f"data.num_unseen={len(unseen)} to draw as many classes, or leave data.split_seed out"
        )
    return sizes[0], sizes[1], unseen


def _draws_images(
    counts: Counts,
    split: ClassSplit,
    rule: SelectionRule,
    train: int,
    sizes: Sequence[int],
    unseen: Mapping[str, int],
) -> bool:
    """Return whether another seed would choose other images."""
    if rule.imbalance > 1 or any(counts[name].get("whole", 0) for name in split.seen_names):
        return True
    test = sum(counts[name].get("test", 0) for name in split.seen_names)
    return [train, test] != sizes or any(
        _unseen_images(counts[name]) > taken for name, taken in unseen.items()
    )


def _unseen_images(parts: Mapping[Part, int]) -> int:
    """Return how many images an unseen class has: without the test images, as in the papers, if it can be."""
    return parts.get("train", 0) + parts.get("whole", 0) or parts.get("test", 0)


def check_neighbors(k: int | None, unseen: dict[str, int]) -> None:
    """Raise ValueError unless there are more than `k` unseen images, given their number in each class."""
    total = sum(unseen.values())
    if k is not None and k >= total:
        raise ValueError(
            f"k={k} neighbours are impossible among {total:,} unseen images "
            f"({listing(f'{name} {number}' for name, number in unseen.items())}); "
            f"choose at most {total - 1}"
        )


def check_shots(shots: int, unseen: dict[str, int]) -> None:
    """Raise ValueError unless each unseen class has more than `shots` images, given their number in each class."""
    name, images = min(unseen.items(), key=lambda item: item[1])
    if shots >= images:
        raise ValueError(
            f"probe.few_shot: {shots} labelled images a class leave none to test in the unseen class {name}, which has "
            f"{images}; choose less"
        )


def check_shares(processes: int, test: int, unseen: int) -> None:
    """Raise ValueError unless each process has a test image of a seen class and an unseen image to evaluate."""
    for images, what in ((test, "test images of seen classes"), (unseen, "unseen images")):
        if processes > images:
            raise ValueError(
                f"{processes} processes cannot share {images} {what}; use trainer.devices={images} or fewer, or more "
                "images (data.test_size, data.unseen_per_class)"
            )


def refuse_bad_files(bad: Sequence[tuple[str, str]], num_files: int) -> NoReturn:
    """Raise ValueError that lists the first ten bad files, each a reference and a reason, out of `num_files`."""
    shown = ", ".join(f"{printable(name)} ({printable(reason)})" for name, reason in bad[:_BAD_SHOWN])
    more = f" and {len(bad) - _BAD_SHOWN:,} more" if len(bad) > _BAD_SHOWN else ""
    raise ValueError(
        f"{len(bad):,} of {count(num_files, 'image file')} cannot be used: {shown}{more}; mend or remove "
        "them, or leave them out with data.skip_bad=true"
    )


def check_still_complete(
    split: ClassSplit, train: Sequence[int], test: Sequence[int], unseen: Sequence[int]
) -> None:
    """Raise ValueError that names classes which have no label left, among those of the images without bad files."""
    kinds = (
        ("training", train, split.seen_names),
        ("test", test, split.seen_names),
        ("unseen", unseen, split.unseen_names),
    )
    for kind, labels, names in kinds:
        left = set(labels)
        if empty := [name for label, name in enumerate(names) if label not in left]:
            raise ValueError(f"no {kind} images are left of these classes: {listing(empty)}")


def select(catalog: Catalog, split: ClassSplit, rule: SelectionRule) -> Selection:
    """Return the images of a run.

    Raises:
        ValueError: As `planned_sizes`.
    """
    planned_sizes(catalog.counts(), split, rule)
    by_class: dict[str, list[Entry]] = {name: [] for name in split.classes}
    for entry in catalog.entries:
        by_class[entry.class_name].append(entry)
    divided = [_divided(by_class[name], name, rule) for name in split.seen_names]
    unseen = []
    for name in split.unseen_names:
        own = [entry.reference for entry in by_class[name] if entry.part != "test"]
        own = own or [entry.reference for entry in by_class[name]]
        unseen.append(_draw(own, rule.unseen_per_class or len(own), (rule.seed, _UNSEEN, _key(name))))
    train, test = [of[0] for of in divided], [of[1] for of in divided]
    return Selection(
        _chosen(_subsample(train, rule.train_size, split.seen_names, rule, "train")),
        _chosen(_subsample(test, rule.test_size, split.seen_names, rule, "test")),
        _chosen(unseen),
    )


def imbalanced(available: Mapping[str, int], rule: SelectionRule) -> dict[str, int]:
    """Return how many training images each class has at a ratio r, `imbalance`, of the largest to the smallest class.

    The class of rank i = 0..C-1 has a share in proportion to r^(-i / (C-1)): the profile of long-tailed CIFAR (Cui et
    al., arXiv 1901.05555; Cao et al., arXiv 1906.07413). There the largest class keeps all its images, so that the
    total falls as r rises; here the total is `train_size` at every r, so that levels of r differ in their balance
    alone. Without a `train_size` it is the largest that the profile allows.

    A class's rank is drawn by the seed and its name, and is the same at every r. At another r it has more or fewer of
    the same images.

    Args:
        available: Training images of each of C classes.
        rule: Its `imbalance`, `train_size` and `seed` are read.

    Raises:
        ValueError: A class has too few images for its share, or its share is less than one image.
    """
    ranks = sorted(available, key=lambda name: random_rank(name, rule.seed, _RANK))
    exponents = np.arange(len(ranks)) / max(1, len(ranks) - 1)
    profile = dict(zip(ranks, rule.imbalance**-exponents, strict=True))
    whole = sum(profile.values())
    most = int(min(available[name] * whole / profile[name] for name in ranks) + _ROUNDING)
    least = int(np.ceil(rule.imbalance * whole - _ROUNDING))
    if most < least:
        raise ValueError(
            f"imbalance={rule.imbalance:g} is impossible: the {len(ranks)} seen classes allow {most} training images "
            f"of that profile, and the smallest has one at {least} only; choose a smaller ratio"
        )
    total = most if rule.train_size is None else rule.train_size
    if not least <= total <= most:
        raise ValueError(
            f"train_size={total} is impossible with imbalance={rule.imbalance:g}: the {len(ranks)} seen classes allow "
            f"{least} (one image of the smallest) to {most} (all of a class)"
        )
    given = shares([available[name] for name in ranks], total, [profile[name] for name in ranks])
    return dict(zip(ranks, given, strict=True))


def shares(sizes: Sequence[int], total: int, weights: Sequence[float] | None = None) -> list[int]:
    """Return how `total` is shared out in proportion to `sizes`: at least 1 each, never more than there are.

    The largest remainders win; ties go to the earlier class. With `weights` it is in proportion to these instead.

    >>> shares([700, 200, 100], 10), shares([98, 1, 1], 4)
    ([7, 2, 1], [2, 1, 1])
    """
    parts = sizes if weights is None else weights
    quota = np.asarray(parts, dtype=float) * (total / sum(parts))
    given = np.maximum(np.floor(quota).astype(int), 1)
    while given.sum() > total:
        given[int(np.argmax(np.where(given > 1, given - quota, -np.inf)))] -= 1
    while given.sum() < total:
        given[int(np.argmax(np.where(given < np.asarray(sizes), quota - given, -np.inf)))] += 1
    return [int(number) for number in given]


def _available(parts: Mapping[Part, int], rule: SelectionRule) -> tuple[int, int]:
    """Return the number of training and test images of a seen class."""
    held_out = _held_out(parts.get("whole", 0), rule)
    return parts.get("train", 0) + parts.get("whole", 0) - held_out, parts.get("test", 0) + held_out


def _held_out(whole: int, rule: SelectionRule) -> int:
    """Return how many images of an undivided class are test images."""
    return 0 if whole == 0 else min(max(round(whole * rule.test_fraction), MIN_TEST), whole)


def _divided(entries: list[Entry], name: str, rule: SelectionRule) -> tuple[list[str], list[str]]:
    """Return training and test references of a seen class, each in catalog order."""
    of: dict[Part, list[str]] = {"train": [], "test": [], "whole": []}
    for entry in entries:
        of[entry.part].append(entry.reference)
    whole = of["whole"]
    held_out = set(_draw(whole, _held_out(len(whole), rule), (rule.seed, _DIVIDE, _key(name))))
    train = of["train"] + [reference for reference in whole if reference not in held_out]
    return train, of["test"] + [reference for reference in whole if reference in held_out]


def _subsample(
    by_class: list[list[str]], size: int | None, names: Sequence[str], rule: SelectionRule, what: str
) -> list[list[str]]:
    """Return `size` of the references, class by class."""
    stream = (rule.seed, _SUBSAMPLE, _key(what))
    if rule.imbalance > 1 and what == "train":
        numbers = imbalanced({name: len(own) for name, own in zip(names, by_class, strict=True)}, rule)
        return [
            _draw(own, numbers[name], (*stream, _key(name)))
            for own, name in zip(by_class, names, strict=True)
        ]
    if size is None:
        return by_class
    if rule.stratified:
        sizes = shares([len(own) for own in by_class], size)
        triples = zip(by_class, sizes, names, strict=True)
        return [_draw(own, number, (*stream, _key(name))) for own, number, name in triples]
    flat = [(label, reference) for label, own in enumerate(by_class) for reference in own]
    kept = sorted(np.random.default_rng(stream).permutation(len(flat))[:size])
    drawn: list[list[str]] = [[] for _ in by_class]
    for position in kept:
        label, reference = flat[position]
        drawn[label].append(reference)
    return drawn


def _draw(names: list[str], number: int, stream: Sequence[int]) -> list[str]:
    """Return `number` of the names, drawn without replacement, in their order."""
    if number >= len(names):
        return list(names)
    kept = np.random.default_rng(list(stream)).permutation(len(names))[:number]
    return [names[position] for position in sorted(kept)]


def random_rank(name: str, seed: int, stream: int) -> tuple[float, str]:
    """Return what a name is sorted by in a random order; others that are there do not change it."""
    return float(np.random.default_rng([seed, stream, _key(name)]).random()), name


def _chosen(by_class: list[list[str]]) -> Chosen:
    pairs = [(reference, label) for label, own in enumerate(by_class) for reference in own]
    return Chosen(tuple(reference for reference, _ in pairs), tuple(label for _, label in pairs))


def _key(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogateescape"))
