"""The LightningDataModule over any source: seen classes to train and test on, unseen classes to probe with.

    source -> catalog -> split (classes) -> selection (images) -> canvases (decoded once) -> batches -> images

Every random choice is a pure function of `split_seed` (which classes and images) or of `seed`, the epoch and
the sample (order and rotation); no global generator is read or written.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from unseen.data.batches import Batch, BatchLoader, CanvasBatch, CanvasDataset, EvalSampler, TrainSampler
from unseen.data.canvas_cache import CanvasCache
from unseen.data.canvases import CanvasStore, decode_all, decode_into_memory
from unseen.data.catalog import Catalog, Counts, ImageSource
from unseen.data.left_out import HIDDEN, SYSTEM, left_out_sentence
from unseen.data.memory import check_memory
from unseen.data.selection import (
    Chosen,
    SelectionRule,
    check_neighbors,
    check_shares,
    check_still_complete,
    planned_sizes,
    refuse_bad_files,
    select,
)
from unseen.data.splits import ClassChoice, ClassRef, ClassSplit
from unseen.data.transforms import NoiseSource, View, raw_pixels, to_images
from unseen.wording import count, listing

_TEST, _UNSEEN = 0, 1  # which evaluation set; each has angles of its own


class SeenUnseenDataModule(LightningDataModule):
    """Batches of a labelled image set whose classes are divided into seen and unseen.

    Making one costs nothing. `check` finds what is wrong with the settings, `prepare_data` downloads, `setup`
    decodes every image once. `on_after_batch_transfer` makes network input on the device.

    Args:
        source: Where the images are.
        image_size: S, the side of the images that a network gets.
        mean: Mean of each channel for the normalisation, on the scale 0..1.
        std: Standard deviation of each channel.
        unseen: Names or ids of the classes held out; None: `num_unseen`, else the source's own.
        num_unseen: Number of classes to hold out, drawn with `split_seed`.
        split_seed: Draws classes and images.
        seen: Names or ids of the classes to train on; None: the source's own, else all that are not unseen.
        train_size: Number of training images; None: all.
        test_size: Number of test images of seen classes; None: all.
        unseen_per_class: At most this many images of each unseen class; None: all.
        stratified: Sizes keep the classes' shares.
        test_fraction: Share of an undivided class that becomes test images.
        rotation: Largest angle of the random rotation in degrees; training draws a new one for each epoch and
            sample.
        pad: White border before the rotation, as a share of S.
        eval_deterministic: True: evaluation shows images as they are; False: rotated as in the papers, by an
            angle that each sample keeps.
        batch_size: Training images per step and process.
        eval_batch_size: Images per evaluation step and process.
        num_labels: Outputs of the head, at least the number of seen classes; None: just as many.
        skip_bad: Leave out image files that cannot be read instead of refusing to start.
        seed: Order of the training images and angles.
        cache: Where decoded images are kept on disk and shared with other processes; None: in memory.
        processes: How many processes of this machine will hold the images in memory, if they are not on disk.

    Raises:
        ValueError: One sentence that names a number and what is allowed.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
        unseen: ClassRef | Sequence[ClassRef] | None = None,
        num_unseen: int | None = None,
        split_seed: int = 0,
        seen: ClassRef | Sequence[ClassRef] | None = None,
        train_size: int | None = None,
        test_size: int | None = None,
        unseen_per_class: int | None = None,
        stratified: bool = True,
        test_fraction: float = 0.2,
        rotation: float = 0.0,
        pad: float = 20 / 224,
        eval_deterministic: bool = True,
        batch_size: int = 72,
        eval_batch_size: int = 250,
        num_labels: int | None = None,
        skip_bad: bool = False,
        seed: int = 0,
        cache: CanvasCache | None = None,
        processes: int = 1,
    ) -> None:
        super().__init__()
        for key, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise ValueError(f"{key}={value} must be at least 1")
        self.source, self._cache, self._processes = source, cache, processes
        self.image_size = image_size
        self.mean, self.std = tuple(mean), tuple(std)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.skip_bad, self.seed = skip_bad, seed
        self._view = View(image_size, rotation, pad, eval_deterministic, seed)
        self._choice = ClassChoice(unseen=unseen, num_unseen=num_unseen, seen=seen, seed=split_seed)
        self._num_labels = num_labels
        self._rule = SelectionRule(
            seed=split_seed,
            test_fraction=test_fraction,
            train_size=train_size,
            test_size=test_size,
            unseen_per_class=unseen_per_class,
            stratified=stratified,
        )
        self._split: ClassSplit | None = None
        self._stores: tuple[CanvasStore, CanvasStore, CanvasStore] | None = None
        self._identity: dict[str, Any] = {}
        self._catalog = Catalog(())
        self._neighbors: int | None = None
        self._ranks = 1
        self.bad_files: tuple[tuple[str, str], ...] = ()

    # ------------------------------------------------------------------ what can be known before decoding
    def check(self, k: int | None = None, *, ranks: int = 1) -> None:
        """Refuse impossible settings; reads at most folder names or an archive's index, downloads nothing.

        Args:
            k: Number of neighbours that the probes will ask for; None: not yet known. It is checked again
                in `setup` for sources that do not know their counts before.
            ranks: How many processes will share the evaluation out; each needs an image.

        Raises:
            ValueError: One sentence that names the value and what is allowed.
        """
        self._neighbors, self._ranks = k, ranks
        self.source.check()
        counts = self.source.known_counts()
        classes = tuple(sorted(counts)) if counts is not None else self.source.known_classes()
        if classes is not None:
            split = self._make_split(classes)
            if counts is not None:
                self._check_counts(counts, split)

    def _make_split(self, classes: tuple[str, ...]) -> ClassSplit:
        split = self._choice.split(classes, self.source.default_unseen, self.source.default_seen)
        if self._num_labels is not None and self._num_labels < len(split.seen):
            raise ValueError(
                f"num_labels={self._num_labels} is less than the {len(split.seen)} seen classes; choose at "
                f"least {len(split.seen)}, or null for just as many"
            )
        return split

    def _check_counts(self, counts: Counts, split: ClassSplit) -> None:
        train, test, unseen = planned_sizes(counts, split, self._rule)
        check_neighbors(self._neighbors, unseen)
        check_shares(self._ranks, test, sum(unseen.values()))
        images, frame = train + test + sum(unseen.values()), self._view.frame
        if self._stores is None and (self._cache is None or not self._cache.holds(images, frame)):
            remedy = ", or raise data.cache_gb, which keeps decoded files on disk"
            check_memory(images, frame, remedy, processes=self._processes)

    # ------------------------------------------------------------------ data
    def prepare_data(self) -> None:
        """Download what is missing.

        Raises:
            DataUnavailableError: One sentence that says what is missing and what to do.
        """
        self.source.prepare()

    def setup(self, stage: str | None = None) -> None:
        """Choose the images and decode them; a second call does nothing.

        Raises:
            ValueError: As `check`, or files that are no usable images (all found in one pass).
        """
        if self._stores is not None:
            return
        self.source.check()
        catalog = self.source.list()
        split = self._make_split(catalog.classes())
        self._check_counts(catalog.counts(), split)
        chosen = select(catalog, split, self._rule)
        keep = None if self._cache is None else partial(self._cache.decode, self.source.stamps)
        stores, bad_files = decode_all(
            self.source.read,
            (chosen.train, chosen.test, chosen.unseen),
            self._view.frame,
            decode=keep or decode_into_memory,
            show_progress=self._place()[0] == 0,
        )
        if bad_files and not self.skip_bad:
            refuse_bad_files(bad_files, len(chosen))
        train, test, unseen = stores
        if bad_files:
            check_still_complete(split, *(store.labels.tolist() for store in stores))
            left = torch.bincount(unseen.labels).tolist()
            check_neighbors(self._neighbors, dict(zip(split.unseen_names, left, strict=True)))
        self._identity = {
            "images": Chosen(train.references, tuple(train.labels.tolist())).fingerprint(),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "rotation": float(self._view.rotation),
        }
        self._catalog, self.bad_files = catalog, bad_files
        self._split, self._stores = split, (train, test, unseen)

    # ------------------------------------------------------------------ facts
    @property
    def split(self) -> ClassSplit:
        """The division of the classes; before `setup` only for sources that know their classes.

        Raises:
            RuntimeError: The classes are not known yet.
        """
        if self._split is not None:
            return self._split
        classes = self.source.known_classes()
        if classes is None:
            raise RuntimeError("the classes are known after setup()")
        return self._make_split(classes)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the seen classes; the position is the label."""
        return self.split.seen_names

    @property
    def num_classes(self) -> int:
        """Number of outputs that the head needs."""
        return self._num_labels or len(self.split.seen)

    def num_images(self, which: Literal["train", "seen", "unseen"]) -> int:
        """Return the number of training, seen test or unseen images."""
        return len(self._store(which))

    def counts(self) -> dict[str, int]:
        """Return numbers of classes, images, bad and ignored files, and the size of the largest unseen class."""
        return {
            "seen_classes": len(self.split.seen),
            "unseen_classes": len(self.split.unseen),
            "train_images": self.num_images("train"),
            "seen_test_images": self.num_images("seen"),
            "unseen_images": self.num_images("unseen"),
            "largest_unseen_class": int(torch.bincount(self._store("unseen").labels).max()),
            "bad_files": len(self.bad_files),
            "ignored_files": self._catalog.ignored,
        }

    def neighbors(self, k: int | None) -> dict[str, int]:
        """Return at how many neighbours NN@k looks in each split.

        Args:
            k: As asked for; None: as many as the largest unseen class has images.

        Returns:
            `unseen`: k; `seen`: k, or all other seen test images where there are fewer.
        """
        k = k or int(torch.bincount(self._store("unseen").labels).max())
        return {"unseen": k, "seen": min(k, self.num_images("seen") - 1)}

    def references(self, which: Literal["train", "seen", "unseen"]) -> tuple[str, ...]:
        """Return what the source calls the training, seen test or unseen images, in the order of their indices."""
        return self._store(which).references

    def description(self) -> str:
        """Return in a line which classes are held out, and how many images there are of each kind."""
        split = self.split
        neither = len(split.classes) - len(split.seen) - len(split.unseen)
        parts = [
            count(len(split.seen), "seen class", "seen classes"),
            f"{len(split.unseen)} unseen ({listing(split.unseen_names)})",
            *([f"{neither} neither"] if neither else []),
        ]
        folders = self._catalog.test_folders
        tested = f" (of {listing(folders)})" if len(folders) > 1 else ""
        train, test, unseen = (f"{self.num_images(which):,}" for which in ("train", "seen", "unseen"))
        return f"{', '.join(parts)} · {train} training, {test} test{tested}, {unseen} unseen images"

    @property
    def left_out_notice(self) -> str | None:
        """What lies among the images and is not used; None: nothing but what systems put there."""
        left_out = self._catalog.left_out
        if all(item.reason in (HIDDEN, SYSTEM) for item in left_out):
            return None
        return left_out_sentence(left_out)

    @property
    def cache_notice(self) -> str | None:
        """Why decoded images could not be kept on disk; None: they could, or were not meant to be."""
        return None if self._cache is None else self._cache.notice

    def raw_pixels(self, which: Literal["seen", "unseen"]) -> tuple[Tensor, Tensor]:
        """Return unrotated images of at most 32 x 32 as (N, D) float32 in 0..1, and their labels (N,) int64."""
        store = self._store(which)
        return raw_pixels(store.canvases, size=self.image_size), store.labels.clone()

    def _store(self, which: Literal["train", "seen", "unseen"]) -> CanvasStore:
        if self._stores is None:
            raise RuntimeError("the images are there after setup()")
        return self._stores[("train", "seen", "unseen").index(which)]

    # ------------------------------------------------------------------ loaders
    def train_dataloader(self) -> BatchLoader:
        """Return shuffled training batches, from the batch where the trainer stands."""
        store, rank, world_size = self._store("train"), *self._place()
        sampler = TrainSampler(
            len(store),
            self.batch_size,
            seed=self.seed,
            position=self._batches_done,
            limit=1.0 if self.trainer is None else self.trainer.limit_train_batches,
            rank=rank,
            world_size=world_size,
        )
        dataset = CanvasDataset(store, self._view.train_angles(len(store)))
        identity = self._identity | {"processes": world_size}
        return BatchLoader(dataset, sampler, identity, pin_memory=self._feeds_gpu())

    def val_dataloader(self) -> BatchLoader:
        """Return the test images of the seen classes, in order."""
        return self._eval_loader("seen", _TEST)

    def unseen_dataloader(self, *, noise_level: float = 0.0, noise_seed: int = 0) -> BatchLoader:
        """Return the images of the unseen classes, in order.

        Args:
            noise_level: Share of noise that replaces each image, 0..1.
            noise_seed: Makes the noise.
        """
        noise = NoiseSource(noise_level, noise_seed, self.image_size) if noise_level > 0 else None
        return self._eval_loader("unseen", _UNSEEN, noise)

    def _eval_loader(
        self, which: Literal["seen", "unseen"], number: int, noise: NoiseSource | None = None
    ) -> BatchLoader:
        store, rank, world_size = self._store(which), *self._place()
        sampler = EvalSampler(len(store), self.eval_batch_size, rank=rank, world_size=world_size)
        dataset = CanvasDataset(store, self._view.eval_angles(len(store), number), noise)
        return BatchLoader(dataset, sampler, pin_memory=self._feeds_gpu())

    def _feeds_gpu(self) -> bool:
        """Return whether batches go to a CUDA device; on a machine with one, training may still be on the CPU."""
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _place(self) -> tuple[int, int]:
        """Return rank and world size."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def _batches_done(self) -> int:
        """Return how many batches this run, with the runs it resumes, has trained on.

        `processed` is right in every checkpoint: one written at the end of a step holds a `completed` that
        lags behind until Lightning mends it, which is after it asked for the iterator.
        """
        if self.trainer is None:
            return 0
        progress: Any = self.trainer.fit_loop.epoch_loop.batch_progress
        return int(progress.total.processed)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Return network input of a loader's batch: rotated, cropped, normalised on the batch's device."""
        if not isinstance(batch, CanvasBatch):
            return batch
        images = to_images(
            batch.images, batch.angles, size=self.image_size, mean=self.mean, std=self.std, noise=batch.noise
        )
        return Batch(images, batch.labels, batch.indices)
