"""The LightningDataModule over any source: seen classes to train and test on, unseen classes to probe with.

    source -> catalog -> split (classes) -> selection (images) -> canvases -> batches -> images

Every random choice is a pure function of `split_seed` (which classes and images) or of `seed`, the epoch and
the sample (order and rotation); no global generator is read or written.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor

from unseen.data.augment import Augment, augmented, check_augment
from unseen.data.batches import (
    Batch,
    BatchLoader,
    CanvasBatch,
    CanvasDataset,
    EvalSampler,
    TrainSampler,
    check_limit,
)
from unseen.data.canvas_cache import CanvasCache
from unseen.data.canvases import (
    CanvasStore,
    Decode,
    check_each,
    decode_all,
    decode_into_memory,
)
from unseen.data.catalog import Catalog, Counts, ImageSource, left_out_sentence
from unseen.data.cue import ColourCue, palette
from unseen.data.diet import Diet, el2n_table
from unseen.data.files import HIDDEN, SYSTEM
from unseen.data.memory import DoesNotFitError, check_memory, free_memory
from unseen.data.selection import (
    Chosen,
    Selection,
    SelectionRule,
    check_neighbors,
    check_shares,
    check_shots,
    check_still_complete,
    planned_sizes,
    refuse_bad_files,
    select,
)
from unseen.data.shift import SHIFTS, Shift
from unseen.data.splits import ClassSplit, choose_classes
from unseen.data.transforms import NoiseSource, View, cropped, raw_pixels, to_images
from unseen.threads import cores
from unseen.wording import count, listing

Kind = Literal["train", "seen", "unseen"]
_TEST, _UNSEEN = 0, 1  # which evaluation set; each has angles of its own
_SHARE_OF_MEMORY = 0.5  # that canvases may take of what is free, before images are decoded on the fly
_SHARE_OF_GPU = 1 / 8  # that the canvases of a kind may take of what is free on a CUDA device
_MOST_WORKERS = 16  # unless the user wants more: each holds two batches in shared memory


class SeenUnseenDataModule(LightningDataModule):
    """Batches of a labelled image set whose classes are divided into seen and unseen.

    Making one costs nothing. `check` finds what is wrong with the settings, `prepare_data` downloads, `setup`
    chooses the images and decodes them, unless that is left to the loaders. `on_after_batch_transfer` makes network
    input on the device. Batches are the same bit for bit, wherever and whenever images are decoded.

    Args:
        source: Where the images are.
        view: Size and rotation of the images; its seed orders the training images, too.
        mean: Mean of each channel for the normalisation, on the scale 0..1.
        std: Standard deviation of each channel.
        choose: Divides the classes into seen and unseen, given all names and the source's own choice.
        rule: How many images of each kind are taken; None: all.
        diet: Which of the training images that the rule takes are trained on; None: all.
        cue: Shows each image in an ink of some colour, before anything else is done to it; None: as they are.
        batch_size: Training images per step and process.
        eval_batch_size: Images per evaluation step and process.
        class_balanced: Show each seen class equally often in training, whatever its number of images.
        augment: Changes each training image, and none of an evaluation; see `unseen.data.augment`.
        views: Training images in a step for each that is drawn, each augmented for itself: first the B first views,
            then the B second ones. A rotation by `view` is the same for all views of an image.
        shift: Changes each image of the unseen classes, and no other; see `unseen.data.shift`.
        num_labels: Outputs of the head, at least the number of seen classes; None: just as many.
        skip_bad: Leave out image files that cannot be read instead of refusing to start. Where images are decoded
            on the fly, all are read once before, as only then it is known which images there are.
        cache: Where decoded images are kept on disk and shared with other processes; None: in memory.
        processes: How many processes of this machine will hold the images in memory, if they are not on disk.
        decode: `ahead`: all images before the first step, which finds all bad files at once; `on_the_fly`: each when
            it is needed, in worker processes; `auto`: ahead if they fit into the cache or half of the free memory.
        workers: Processes that decode on the fly; 0: none but this one; `auto`: as many as it may use cores.

    Raises:
        ValueError: One sentence that names a number and what is allowed.
    """

    def __init__(
        self,
        source: ImageSource,
        view: View,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        choose: Callable[..., ClassSplit] = choose_classes,
        rule: SelectionRule | None = None,
        diet: Diet | None = None,
        cue: ColourCue | None = None,
        batch_size: int = 72,
        eval_batch_size: int = 250,
        class_balanced: bool = False,
        augment: Augment | None = None,
        views: int = 1,
        shift: Shift = "none",
        num_labels: int | None = None,
        skip_bad: bool = False,
        cache: CanvasCache | None = None,
        processes: int = 1,
        decode: Literal["auto", "ahead", "on_the_fly"] = "auto",
        workers: int | Literal["auto"] = "auto",
    ) -> None:
        super().__init__()
        for key, value in (("batch_size", batch_size), ("eval_batch_size", eval_batch_size)):
            if value < 1:
                raise ValueError(f"{key}={value} must be at least 1")
        if shift not in SHIFTS:
            raise ValueError(f"shift={shift} is none of {', '.join(SHIFTS)}")
        if workers != "auto" and workers < 0:
            raise ValueError(f"workers={workers} must be at least 0, or auto")
        self.source, self._cache, self._processes = source, cache, processes
        self.decode, self.workers = decode, workers
        self.mean, self.std = tuple(mean), tuple(std)
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self._class_balanced, self._augment = class_balanced, augment
        self._views, self._shift = views, shift
        self.skip_bad, self._num_labels = skip_bad, num_labels
        self.image_size, self.seed = view.image_size, view.seed
        self._view, self._choose, self._rule = view, choose, rule or SelectionRule()
        self._diet, self._cue = diet or Diet(), cue
        self._colours: dict[Kind, Tensor] = {}
        self._split: ClassSplit | None = None
        self._stores: dict[Kind, CanvasStore] = {}
        self._on_device: dict[Kind, CanvasStore] = {}
        self._scales: dict[torch.device, Tensor] = {}
        self._why_on_the_fly = ""
        self._identity: dict[str, Any] = {}
        self._catalog = Catalog(())
        self._neighbors: int | None = None
        self._ranks, self._shots, self._limit = 1, 0, 1.0
        self.bad_files: tuple[tuple[str, str], ...] = ()

    # ------------------------------------------------------------------ what can be known before decoding
    def check(
        self, k: int | None = None, *, ranks: int = 1, shots: int = 0, limit_train_batches: float = 1.0
    ) -> None:
        """Refuse impossible settings; reads at most folder names or an archive's index, downloads nothing.

        Args:
            k: Number of neighbours that the probes will ask for; None: not yet known. It is checked again
                in `setup` for sources that do not know their counts before.
            ranks: How many processes will share the evaluation out; each needs an image.
            shots: Labelled images a class of the few-shot probe; each unseen class needs more.
            limit_train_batches: The trainer's; it must leave a batch.

        Raises:
            ValueError: One sentence that names the value and what is allowed.
        """
        self._neighbors, self._ranks, self._shots = k, ranks, shots
        self._limit = limit_train_batches
        if self._augment is not None:
            check_augment(self._augment, self.image_size)
        self.source.check()
        counts = self.source.known_counts()
        if counts is not None:
            self._check_counts(counts, self._make_split(tuple(sorted(counts))))

    def _make_split(self, classes: tuple[str, ...]) -> ClassSplit:
        split = self._choose(classes, self.source.default_unseen, self.source.default_seen)
        if self._num_labels is not None and self._num_labels < len(split.seen):
            raise ValueError(
                f"num_labels={self._num_labels} is less than the {len(split.seen)} seen classes; choose at "
                f"least {len(split.seen)}, or null for just as many"
            )
        return split

    def _check_counts(self, counts: Counts, split: ClassSplit) -> None:
        train, test, unseen = planned_sizes(counts, split, self._rule)
        check_neighbors(self._neighbors, unseen)
        check_shots(self._shots, unseen)
        check_shares(self._ranks, test, sum(unseen.values()))
        check_limit(train, self.batch_size, self._ranks, self._limit)
        images, frame = train + test + sum(unseen.values()), self._view.frame
        if self.decode == "ahead" and not self._stores and not self._cache_holds(images):
            remedy = (
                ", write data.decode=on_the_fly, or raise data.cache_gb, which keeps decoded files on disk"
            )
            check_memory(images, frame, remedy, processes=self._processes)

    def _cache_holds(self, images: int) -> bool:
        return self._cache is not None and self._cache.holds(images, self._view.frame)

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
        if self._stores:
            return
        self.source.check()
        catalog = self.source.list()
        split = self._make_split(catalog.classes())
        self._check_counts(catalog.counts(), split)
        chosen = select(catalog, split, self._rule)
        chosen = chosen._replace(train=self._diet.of(chosen.train))
        stores, bad_files = self._decode(chosen)
        if bad_files and not self.skip_bad:
            refuse_bad_files(bad_files, sum(len(kind.references) for kind in chosen))
        train, test, unseen = stores
        if bad_files:
            check_still_complete(split, *(store.labels.tolist() for store in stores))
            left = dict(zip(split.unseen_names, torch.bincount(unseen.labels).tolist(), strict=True))
            check_neighbors(self._neighbors, left)
            check_shots(self._shots, left)
        self._identity = {
            "images": Chosen(tuple(train.references), tuple(train.labels.tolist())).fingerprint(),
            "batch_size": self.batch_size,
            "seed": self.seed,
            "rotation": float(self._view.rotation),
            "class_balanced": self._class_balanced,
            "cue": None if self._cue is None else self._cue.agreement,
        }
        self._catalog, self.bad_files = dataclasses.replace(catalog, entries=()), bad_files
        self._split, self._stores = split, {"train": train, "seen": test, "unseen": unseen}
        if self._cue is not None:
            self._colours = {
                "train": self._cue.of_training(train.references, train.labels.tolist(), split.seen_names),
                "seen": self._cue.of_evaluation(test.references, len(split.seen)),
                "unseen": self._cue.of_evaluation(unseen.references, len(split.unseen)),
            }

    def _decode(self, chosen: Selection) -> tuple[list[CanvasStore], tuple[tuple[str, str], ...]]:
        """Return a store for each kind of images, and the bad files."""
        later = check_each if self.skip_bad else None
        ahead = decode_into_memory if self._cache is None else partial(self._cache.decode, self.source.stamps)

        def stores(decode: Decode | None) -> tuple[list[CanvasStore], tuple[tuple[str, str], ...]]:
            frame, shows = self._view.frame, self._place()[0] == 0
            return decode_all(self.source.read, chosen, frame, decode=decode, show_progress=shows)

        if self.decode == "on_the_fly":
            return stores(later)
        if self.decode == "ahead":
            return stores(ahead)
        self._why_on_the_fly = self._too_large(sum(len(kind.references) for kind in chosen))
        if not self._why_on_the_fly:
            try:
                return stores(ahead)
            except DoesNotFitError as error:  # the cache had no room after all
                self._why_on_the_fly = str(error).partition("; lower ")[0]
        return stores(later)

    def _too_large(self, images: int) -> str:
        """Return what is larger than what; empty: so many canvases fit into the cache, or into memory."""
        needed, free = images * self._view.frame.bytes, free_memory()
        if self._cache_holds(images) or needed * self._processes <= _SHARE_OF_MEMORY * free:
            return ""
        each = f" in each of {self._processes} processes" if self._processes > 1 else ""
        cache_gb = 0.0 if self._cache is None else self._cache.limit / 2**30
        return (
            f"{images:,} images at image_size={self.image_size} take {needed / 2**30:.3g} GB{each}, more than "
            f"data.cache_gb={cache_gb:g} and half of the {free / 2**30:.1f} GB of free memory"
        )

    # ------------------------------------------------------------------ facts
    @property
    def split(self) -> ClassSplit:
        """The division of the classes; before `setup` only for sources that know their classes.

        Raises:
            RuntimeError: The classes are not known yet.
        """
        if self._split is not None:
            return self._split
        counts = self.source.known_counts()
        if counts is None:
            raise RuntimeError("the classes are known after setup()")
        return self._make_split(tuple(sorted(counts)))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the seen classes; the position is the label."""
        return self.split.seen_names

    @property
    def num_classes(self) -> int:
        """Number of outputs that the head needs."""
        return self._num_labels or len(self.split.seen)

    def num_images(self, which: Kind) -> int:
        """Return the number of training, seen test or unseen images."""
        return len(self._store(which))

    def counts(self) -> dict[str, int]:
        """Return numbers of classes, images, bad and ignored files, and sizes of the largest and smallest classes."""
        of_train = self.training_counts().values()
        return {
            "seen_classes": len(self.split.seen),
            "unseen_classes": len(self.split.unseen),
            "train_images": self.num_images("train"),
            "largest_train_class": max(of_train),
            "smallest_train_class": min(of_train),
            "seen_test_images": self.num_images("seen"),
            "unseen_images": self.num_images("unseen"),
            "largest_unseen_class": int(torch.bincount(self._store("unseen").labels).max()),
            "bad_files": len(self.bad_files),
            "ignored_files": self._catalog.ignored,
        }

    def training_counts(self) -> dict[str, int]:
        """Return how many training images each seen class has, by its name."""
        numbers = torch.bincount(self._store("train").labels, minlength=len(self.split.seen)).tolist()
        return dict(zip(self.split.seen_names, numbers, strict=True))

    def neighbors(self, k: int | None) -> dict[str, int]:
        """Return at how many neighbours NN@k looks in each split.

        Args:
            k: As asked for; None: as many as the largest unseen class has images.

        Returns:
            `unseen`: k; `seen`: k, or all other seen test images where there are fewer.
        """
        k = k or int(torch.bincount(self._store("unseen").labels).max())
        return {"unseen": k, "seen": min(k, self.num_images("seen") - 1)}

    def references(self, which: Kind) -> tuple[str, ...]:
        """Return what the source calls the training, seen test or unseen images, in the order of their indices."""
        return tuple(self._store(which).references)

    @property
    def keeps_all(self) -> bool:
        """Whether every training image that was chosen is trained on."""
        return self._diet.keep == "all"

    def el2n_table(self, scores: Sequence[float]) -> bytes:
        """Return the content of a file of scores of the training images, N in the order of their indices."""
        store = self._store("train")
        return el2n_table(
            Chosen(tuple(store.references), tuple(store.labels.tolist())), self.class_names, scores
        )

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
        counts = self.training_counts().values()
        sizes = f" ({max(counts):,} to {min(counts):,} of a class)" if self._rule.imbalance > 1 else ""
        shift = "" if self._shift == "none" else f" (shift: {self._shift})"
        sizes += "" if self.keeps_all else f" (the {self._diet.keep} {self._diet.share:g} of each class)"
        images = f"{train} training{sizes}, {test} test{tested}, {unseen} unseen images{shift}"
        cue = (
            ""
            if self._cue is None
            else f" · coloured inks, agreement {self._cue.agreement:g} with the class in training"
        )
        return f"{', '.join(parts)} · {images}{cue}"

    @property
    def left_out_notice(self) -> str | None:
        """What lies among the images and is not used; None: nothing but what systems put there."""
        left_out = self._catalog.left_out
        if all(item.reason in (HIDDEN, SYSTEM) for item in left_out):
            return None
        return left_out_sentence(left_out)

    @property
    def decode_notice(self) -> str | None:
        """Why images are decoded on the fly, or not kept on disk; None: they are where they were meant to be."""
        if self._why_on_the_fly:
            return f"images are decoded on the fly (data.decode=auto): {self._why_on_the_fly}"
        return None if self._cache is None else self._cache.notice

    def raw_pixels(self, which: Kind) -> tuple[Tensor, Tensor]:
        """Return images of at most 32 x 32, not rotated, as (N, D) float32 in 0..1, and their labels (N,) int64.

        Those of unseen classes are shifted, and a colour cue is there, as the network gets them.

        Beside them, a few batches of canvases are held.
        """
        store = self._store(which)
        flat = torch.empty(0)
        sampler = EvalSampler(len(store), self.eval_batch_size)
        dataset = CanvasDataset(store, inks=self._inks(which))
        for batch in BatchLoader(dataset, sampler, workers=self._workers(store)):
            rows = raw_pixels(
                batch.images, size=self.image_size, shift=self._shift_of(which), inks=batch.inks
            )
            flat = flat if len(flat) else torch.empty(len(store), rows.shape[1])
            flat[batch.indices] = rows
        return flat, store.labels.clone()

    def test_images(self, indices: Tensor) -> Tensor:
        """Return seen test images (B, 3, S, S) uint8 by their indices (B,), turned as evaluation turns them."""
        angles = self._view.eval_angles(self.num_images("seen"), _TEST)
        of_each = (None if angles is None else angles(0), self._inks("seen"))
        chosen = (None if each is None else each[indices] for each in of_each)
        return cropped(self._store("seen").take(indices), *chosen, size=self.image_size)

    def test_labels(self) -> Tensor:
        """Return the labels of the seen test images, (N,) int64."""
        return self._store("seen").labels.clone()

    def unseen_images(self, indices: Tensor) -> Tensor:
        """Return images of unseen classes (B, 3, S, S) uint8 by their indices (B,), shifted as the network gets them.

        None is turned.
        """
        canvases, inks = self._store("unseen").take(indices), self._inks("unseen")
        shown = to_images(
            canvases, None, size=self.image_size, mean=(0.0,) * 3, std=(1.0,) * 3, shift=self._shift,
            inks=None if inks is None else inks[indices],
        )  # fmt: skip
        return shown.clamp_(0, 1).mul_(255).round_().to(torch.uint8)

    def unseen_labels(self) -> Tensor:
        """Return the labels of the images of unseen classes, (N,) int64."""
        return self._store("unseen").labels.clone()

    def colours(self, which: Kind) -> Tensor | None:
        """Return the colours of a cue, (N,) int64 in the order of the images' indices; None without a cue."""
        return self._colours.get(which)

    def test_identity(self) -> str:
        """Return a hash of what `test_images` depend on beside their files."""
        cue = "" if self._cue is None else f" {self._cue.seed}"
        return hashlib.sha256(f"{self._view!r}{cue}".encode()).hexdigest()[:32]

    def _store(self, which: Kind) -> CanvasStore:
        if not self._stores:
            raise RuntimeError("the images are there after setup()")
        return self._stores[which]

    # ------------------------------------------------------------------ loaders
    def train_dataloader(self) -> BatchLoader:
        """Return shuffled training batches, from the batch where the trainer stands."""
        rank, world_size = self._place()
        images = self.num_images("train")
        sampler = TrainSampler(
            images,
            self.batch_size,
            seed=self.seed,
            position=self._batches_done,
            limit=1.0 if self.trainer is None else self.trainer.limit_train_batches,
            rank=rank,
            world_size=world_size,
            angles=self._view.train_angles(images),
            balanced=self._store("train").labels.numpy() if self._class_balanced else None,
        )
        return self._loader("train", sampler, self._identity | {"processes": world_size})

    def scored_dataloader(self) -> BatchLoader:
        """Return all training images in order, as an evaluation without rotation shows them, for one process."""
        return self._loader("train", EvalSampler(self.num_images("train"), self.eval_batch_size))

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

    def _eval_loader(self, which: Kind, number: int, noise: NoiseSource | None = None) -> BatchLoader:
        rank, world_size = self._place()
        images = self.num_images(which)
        angles = self._view.eval_angles(images, number)
        sampler = EvalSampler(images, self.eval_batch_size, rank=rank, world_size=world_size, angles=angles)
        return self._loader(which, sampler, noise=noise)

    def _loader(
        self,
        which: Kind,
        sampler: TrainSampler | EvalSampler,
        identity: dict[str, Any] | None = None,
        noise: NoiseSource | None = None,
    ) -> BatchLoader:
        store = self._near_network(which)
        on_device = store.canvases is not None and store.canvases.is_cuda
        return BatchLoader(
            CanvasDataset(store, noise, self._shift_of(which), self._inks(which)),
            sampler,
            identity,
            workers=self._workers(store),
            pin_memory=self._root_device().type == "cuda" and not on_device,
        )

    def _shift_of(self, which: Kind) -> Shift:
        return self._shift if which == "unseen" else "none"

    def _inks(self, which: Kind) -> Tensor | None:
        """Return the ink of each image, (N, 3) uint8; None without a cue."""
        colours = self.colours(which)
        number = len(self.split.unseen if which == "unseen" else self.split.seen)
        return None if colours is None else palette(number)[colours]

    def _near_network(self, which: Kind) -> CanvasStore:
        """Return the store, its canvases on the CUDA device that trains where there is ample room for them."""
        store, device = self._store(which), self._root_device()
        if store.canvases is None or device.type != "cuda":
            return store
        if which not in self._on_device:
            free, _ = torch.cuda.mem_get_info(device)
            if store.canvases.nbytes > _SHARE_OF_GPU * free:
                return store
            self._on_device[which] = dataclasses.replace(store, canvases=store.canvases.to(device))
        return self._on_device[which]

    def _workers(self, store: CanvasStore) -> int:
        """Return how many processes make batches of a store: none where that is only to copy canvases."""
        if store.canvases is not None:
            return 0
        if self.workers == "auto":
            processes = 1 if self.trainer is None else self.trainer.num_devices
            return min(_MOST_WORKERS, cores(processes))
        return self.workers

    def _root_device(self) -> torch.device:
        """Return where the network is; on a machine with a GPU, training may still be on the CPU."""
        return torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device

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
        """Return network input of a loader's batch: rotated, cropped, normalised on the batch's device.

        Training images are augmented before they are normalised; with several views of each, there are as many times
        the images, labels and indices. Inks come first: what an augmentation does to colours, it does to them.
        """
        if not isinstance(batch, CanvasBatch):
            return batch
        device = batch.images.device
        if device not in self._scales:
            self._scales[device] = torch.tensor([self.mean, self.std], device=device)  # (2, 3)
        mean, std = self._scales[device]
        canvases, angles, labels, indices = batch.images, batch.angles, batch.labels, batch.indices
        inks = batch.inks
        if self._augment is not None and batch.epoch is not None:
            shown = cropped(canvases, angles, inks, size=self.image_size)
            places = indices.tolist()
            views = [
                augmented(shown, self._augment, seed=self.seed, epoch=batch.epoch, indices=places, view=view)
                for view in range(self._views)
            ]
            canvases, angles, inks = torch.cat(views), None, None  # (V * B, 3, S, S)
            labels, indices = labels.repeat(self._views), indices.repeat(self._views)
        images = to_images(
            canvases,
            angles,
            size=self.image_size,
            mean=mean,
            std=std,
            noise=batch.noise,
            shift=batch.shift,
            inks=inks,
        )
        return Batch(images, labels, indices)
