"""The objects of a real run, in this process and without Hydra: as `unseen.runs.build` makes them."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
import torch.utils.deterministic
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor, nn

from benchmarks.machine import ROOT
from unseen.backbones.protocol import Backbone
from unseen.backbones.timm import TimmSpec
from unseen.callbacks.layer_probe import LayerProbe
from unseen.data.catalog import Catalog, Counts, Entry
from unseen.data.datamodule import SeenUnseenDataModule
from unseen.probes import PendingScores, ProbePool, ProbeSuite
from unseen.run_folder import Scoring
from unseen.runs.loggers import csv_logger
from unseen.scores import Generalization, ScoreTable
from unseen.training import SeenClassifier
from unseen.training.checkpoint_files import StreamedCheckpointIO

SEEN, UNSEEN = 15, 5  # classes, as in calligraphy
BATCH, EVAL_BATCH = 72, 250
LEARNING_RATE = 1e-3
SPEC = TimmSpec("convnextv2_atto", taps=("stem", "stages.*"))


@dataclass(frozen=True)
class MadeUpPictures:
    """An image source: a coarse random pattern for each class, noise over it, dark on white.

    Attributes:
        train: Training images of all seen classes together; `evaluated` likewise of seen and of unseen ones.
        evaluated: See `train`.
        side: Pixels.
    """

    train: int
    evaluated: int
    side: int
    default_unseen: tuple[str, ...] | None = tuple(f"u{number}" for number in range(UNSEEN))
    default_seen: tuple[str, ...] | None = None

    def check(self) -> None:
        """Nothing can be wrong."""

    def known_classes(self) -> tuple[str, ...]:
        """Return the names."""
        return self.list().classes()

    def known_counts(self) -> Counts:
        """Return the numbers."""
        return self.list().counts()

    def prepare(self) -> None:
        """Nothing is downloaded."""

    def list(self) -> Catalog:
        """Return the references, which carry the class and a number."""
        entries = []
        for number in range(self.train):
            name = f"s{number % SEEN:02d}"
            entries.append(Entry(f"{name}/train/{number}", name, "train"))
        for number in range(self.evaluated):
            seen, unseen = f"s{number % SEEN:02d}", f"u{number % UNSEEN}"
            entries.append(Entry(f"{seen}/test/{number}", seen, "test"))
            entries.append(Entry(f"{unseen}/whole/{number}", unseen, "whole"))
        return Catalog.of(entries)

    def stamps(self, references: Sequence[str]) -> None:
        """Nothing is kept on disk."""

    def read(self, reference: str) -> Image.Image:
        """Return a picture that only its reference decides."""
        name = reference.partition("/")[0]
        pattern = np.random.default_rng(list(name.encode())).integers(0, 256, (6, 6), dtype=np.uint8)
        coarse = Image.fromarray(pattern).resize((self.side, self.side), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(list(reference.encode())).normal(0, 40, (self.side, self.side))
        pixels = np.clip(np.asarray(coarse) + noise, 0, 255).astype(np.uint8)
        return Image.fromarray(pixels).convert("RGB")


class Listener:
    """Takes an evaluation's scores instead of a run folder."""

    def __init__(self) -> None:
        self.scorings: list[Scoring] = []

    def record(self, scoring: Scoring) -> Generalization:
        """Keep it."""
        self.scorings.append(scoring)
        best = ScoreTable(scoring.scores).generalization(scoring.step)
        assert best is not None
        return best

    def write_embeddings(self, write: Callable[[BinaryIO], object]) -> None:
        """Pay for it as a run folder does, but for the disk."""
        write(io.BytesIO())


@dataclass
class ProbeClock:
    """Seconds between the first probe and the last inside the callback, and what the probes were given."""

    seconds: float = 0.0
    inputs: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def made_up_data(*, train: int, evaluated: int, side: int) -> SeenUnseenDataModule:
    """Return a datamodule in the papers' way (rotated by up to 10 degrees), decoded."""
    datamodule = SeenUnseenDataModule(
        MadeUpPictures(train, evaluated, side),
        image_size=side,
        mean=SPEC.mean,
        std=SPEC.std,
        rotation=10.0,
        eval_deterministic=False,
        batch_size=BATCH,
        eval_batch_size=EVAL_BATCH,
    )
    datamodule.setup()
    return datamodule


def new_backbone(side: int, seed: int = 0) -> Backbone:
    """Return the network with the weights that a run with this seed starts from."""
    torch.manual_seed(seed)
    return SPEC.build(SEEN, side)


def new_module(side: int) -> SeenClassifier:
    """Return the module in the memory format that is best for a convolutional network."""
    return SeenClassifier(new_backbone(side), lr=LEARNING_RATE, channels_last=True)


def new_probe(suite: ProbeSuite, on_phase: Callable[[str, int, int], None] | None = None) -> LayerProbe:
    """Return the callback."""
    return LayerProbe(suite, Listener(), on_phase=on_phase)


def new_trainer(
    callbacks: list[Callback], *, max_steps: int, every: int, folder: Path | None = None
) -> Trainer:
    """Return the trainer with the settings of configs/trainer/cpu.yaml and of `unseen.runs.trainer`.

    Args:
        callbacks: The run's.
        max_steps: Training steps.
        every: Steps between evaluations.
        folder: Where checkpoints and metrics go, as often as a run writes them; None: nowhere. There is no progress bar.
    """
    torch.utils.deterministic.fill_uninitialized_memory = False
    trainer = Trainer(
        accelerator="cpu",
        devices=1,
        precision="32-true",
        max_steps=max_steps,
        max_epochs=None,
        val_check_interval=every,
        check_val_every_n_epoch=None,
        gradient_clip_val=1.0,
        log_every_n_steps=10,
        deterministic="warn",
        callbacks=[*callbacks, *_checkpoints(folder)] if folder else callbacks,
        logger=csv_logger(str(folder)) if folder else False,
        num_sanity_val_steps=0,
        inference_mode=False,
        use_distributed_sampler=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        enable_checkpointing=folder is not None,
    )
    trainer.strategy.checkpoint_io = StreamedCheckpointIO()
    return trainer


def _checkpoints(folder: Path) -> list[Callback]:
    """Return the callbacks that write a run's checkpoints."""
    callbacks = OmegaConf.load(ROOT / "configs/callbacks/default.yaml")
    config = OmegaConf.create({"paths": {"output_dir": str(folder)}, "callbacks": callbacks})
    return [instantiate(config.callbacks[name]) for name in ("last_checkpoint", "best_checkpoint")]


@contextmanager
def probe_clock(*, keep_inputs: bool = False) -> Iterator[ProbeClock]:
    """Time the probes inside the callback while the block runs."""
    from unseen.callbacks import layer_probe

    clock, plain = ProbeClock(), layer_probe.ProbePool

    class ClockedPool(plain):  # type: ignore[misc, valid-type]
        def __enter__(self) -> ProbePool:
            self._began = time.perf_counter()
            return super().__enter__()  # type: ignore[no-any-return]

        def __exit__(self, *error: object) -> None:
            super().__exit__(*error)
            clock.seconds += time.perf_counter() - self._began

        def submit(self, embeddings: Tensor, labels: Tensor, suite: ProbeSuite) -> PendingScores:
            if keep_inputs:
                clock.inputs.append((embeddings, labels))
            return super().submit(embeddings, labels, suite)  # type: ignore[no-any-return]

    layer_probe.ProbePool = ClockedPool  # type: ignore[misc]
    try:
        yield clock
    finally:
        layer_probe.ProbePool = plain  # type: ignore[misc]


# ------------------------------------------------------------------ the bare side
def bare_optimizer(network: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    """Return what the module uses: AdamW and linear decay."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / steps))


def bare_step(
    network: nn.Module, images: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer, schedule: Any
) -> None:
    """One training step, clipped as ours."""
    loss = nn.functional.cross_entropy(network(images), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    schedule.step()


def cached_images(
    datamodule: SeenUnseenDataModule, which: str, num_batches: int | None = None
) -> list[tuple[Tensor, Tensor]]:
    """Return batches of network input in channels_last, made beforehand, with labels."""
    loader = getattr(
        datamodule, {"train": "train_dataloader", "seen": "val_dataloader"}.get(which, "unseen_dataloader")
    )()
    batches: list[tuple[Tensor, Tensor]] = []
    for raw in loader:
        batch = datamodule.on_after_batch_transfer(raw, 0)
        batches.append((batch.images.contiguous(memory_format=torch.channels_last), batch.labels))
        if len(batches) == num_batches:
            break
    return batches
