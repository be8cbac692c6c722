"""Score every layer on seen and unseen classes at each validation: the one place where Lightning meets the probes.

The seen embeddings come from the validation pass that Lightning runs anyway; the unseen images cost one forward.
Hooks exist only while an evaluation runs, and training goes on as if nothing had happened (`preserve`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Protocol

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from unseen.backbones.taps import Pooling, record_taps
from unseen.callbacks.kept_layers import EmbeddingsKeeper, KeptLayers, save_embeddings
from unseen.callbacks.layer_scores import EmbeddingBank, LayerScorer, Values, logged_numbers, score_rows
from unseen.callbacks.preserve import preserve
from unseen.distributed import ProcessGroup
from unseen.full_precision import EvalPrecision, full_precision
from unseen.probes import ProbeSuite
from unseen.run_folder import Scoring
from unseen.scores import SPLITS, Generalization, Score, ScoreTable


class ScoringListener(EmbeddingsKeeper, Protocol):
    """What receives an evaluation and gives back g and the best layer."""

    def record(self, scoring: Scoring) -> Generalization:
        """Keep the evaluation."""


class LayerProbe(Callback):
    """Probes every layer at the end of each validation pass.

    Args:
        suite: Which probes, with which settings; its `k` must be set.
        run_folder: Keeps the scores; called on rank 0 only.
        pooling: How a layer's output becomes one vector an image.
        noise_levels: Shares of noise, in (0, 1], for which the NMI of destroyed unseen images is measured; each costs
            a forward pass of them, so only the last evaluation does it.
        save_embeddings: Whether the unseen embeddings of the first, best and last layer outlive the evaluation.
        ensembles: Whether the NMI of the unseen classes by the last two layers together, and by all, is measured.
        on_phase: Told what is going on: a phrase, steps done, steps in all.
        at: Step and epoch that scores are written under, where the trainer does not know them (a checkpoint that is
            scored without training).

    Attributes:
        controls: Set to False while an evaluation outside training is not the last one.
        last_step: Of the latest evaluation; None before the first.
        latest: Its g and best layer.
    """

    def __init__(
        self,
        suite: ProbeSuite,
        run_folder: ScoringListener,
        *,
        pooling: Pooling = "auto",
        noise_levels: Sequence[float] = (),
        save_embeddings: bool = True,
        ensembles: bool = False,
        on_phase: Callable[[str, int, int], None] | None = None,
        at: tuple[int, int] | None = None,
    ) -> None:
        self._suite = suite
        self._run_folder = run_folder
        self._pooling = pooling
        self._noise_levels = tuple(noise_levels)
        self._saves = save_embeddings
        self._ensembles = ensembles
        self._on_phase = on_phase or _say_nothing
        self._at = at
        self._hooks = ExitStack()
        self._recorder: Any = None
        self._seen: EmbeddingBank | None = None
        self._group: ProcessGroup | None = None
        self._baseline: dict[tuple[str, str], float] | None = None
        self._began = 0.0
        self._controlled = False
        self.controls = True
        self.last_step: int | None = None
        self.latest: Generalization | None = None

    def is_complete(self, step: int) -> bool:
        """Whether the latest evaluation was at this step and had the controls that were asked for."""
        return self.last_step == step and (self._controlled or not self._noise_levels)

    # ------------------------------------------------------------------ the validation pass gives the seen embeddings
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Join the ranks' own group; every rank comes here once."""
        if self._group is None:
            self._group = ProcessGroup(_probe_device(trainer))

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to listen to the layers."""
        if trainer.sanity_checking:
            return
        self._began = time.monotonic()
        self._hooks.close()
        self._recorder = self._hooks.enter_context(record_taps(_backbone(pl_module), self._pooling))
        self._seen = self._new_bank(trainer, "seen")

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the embeddings of this batch of seen test images."""
        if self._seen is not None:
            self._seen.add(self._recorder.take(), batch.labels, batch.indices)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Embed the unseen images, score every layer, log, and keep the scores."""
        if self._seen is None:
            return
        seen, self._seen = self._seen, None
        backbone, datamodule = _backbone(pl_module), trainer.datamodule  # type: ignore[attr-defined]
        assert self._group is not None
        scorer = LayerScorer(self._group, _probe_device(trainer), self._suite, self._on_phase)
        with preserve(pl_module):
            values = scorer.score(
                "seen", seen, backbone.taps, datamodule.num_images("seen"), colours=datamodule.colours("seen")
            )
            del seen
            self._controlled = self._is_last(trainer)
            if self._controlled:
                values |= self._score_destroyed(trainer, pl_module, datamodule, scorer)
            unseen = self._embed(
                trainer, pl_module, datamodule.unseen_dataloader(), "embedding unseen images"
            )
            self._hooks.close()
            kept = KeptLayers(len(backbone.taps)) if self._saves else None
            num_unseen = datamodule.num_images("unseen")
            if self._ensembles:
                values |= scorer.score_ensembles(unseen, backbone.taps, num_unseen)
            colours = datamodule.colours("unseen")
            values |= scorer.score("unseen", unseen, backbone.taps, num_unseen, kept=kept, colours=colours)
            if self._baseline is None:
                self._baseline = self._score_input(datamodule, scorer)
        accuracy: float | None = pl_module.seen_accuracy()  # type: ignore[operator]
        scores = score_rows(
            *self._place(trainer),
            backbone.taps,
            layers=values,
            baseline=self._baseline,
            accuracy=accuracy,
        )
        best = self._publish(trainer, pl_module, scores, accuracy)
        if kept is not None:
            save_embeddings(kept, self._group, best, self._run_folder)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the hooks off, whatever happened."""
        self._stop_listening()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the hooks off."""
        self._stop_listening()

    def _stop_listening(self) -> None:
        self._hooks.close()
        self._seen = None

    def _is_last(self, trainer: Trainer) -> bool:
        """Whether no evaluation follows; where training stops early, `is_complete` tells the run to evaluate again."""
        if trainer.state.fn == TrainerFn.FITTING:
            return trainer.global_step >= trainer.estimated_stepping_batches
        return self.controls

    # ------------------------------------------------------------------ embeddings
    def _new_bank(self, trainer: Trainer, split: str) -> EmbeddingBank:
        assert self._group is not None
        images = -(-trainer.datamodule.num_images(split) // self._group.world_size)  # type: ignore[attr-defined]
        return EmbeddingBank(len(self._recorder.taps), self._group.device, images)

    def _embed(self, trainer: Trainer, pl_module: LightningModule, loader: Any, phrase: str) -> EmbeddingBank:
        bank = self._new_bank(trainer, "unseen")
        device = trainer.strategy.root_device
        precision: EvalPrecision = pl_module.eval_precision  # type: ignore[assignment]
        with torch.no_grad(), full_precision(device, precision):
            for done, batch in enumerate(loader):
                self._on_phase(phrase, done, len(loader))
                moved = trainer.strategy.batch_to_device(batch, device)
                pl_module(moved.images)  # the bare module: DDP's wrapper would wait for the other ranks
                bank.add(self._recorder.take(), moved.labels, moved.indices)
        return bank

    def _score_destroyed(
        self, trainer: Trainer, pl_module: LightningModule, datamodule: Any, scorer: LayerScorer
    ) -> Values:
        """Return {("unseen", layer, probe): NMI} of the unseen images with noise, a probe a level."""
        values: Values = {}
        taps, num_images = _backbone(pl_module).taps, datamodule.num_images("unseen")
        for level in self._noise_levels:
            loader = datamodule.unseen_dataloader(noise_level=level, noise_seed=self._suite.settings["seed"])
            bank = self._embed(trainer, pl_module, loader, f"embedding images with noise {level:g}")
            values |= scorer.score("unseen", bank, taps, num_images, noise_level=level)
        return values

    def _score_input(self, datamodule: Any, scorer: LayerScorer) -> dict[tuple[str, str], float]:
        """Return {(split, probe): value} of the raw pixels; the images are fixed, so once a run is enough."""
        group = self._group
        assert group is not None
        mine: dict[tuple[str, str], float] = {}
        for number, split in enumerate(SPLITS):
            if number % group.world_size == group.rank:
                self._on_phase(f"probing the raw pixels of {split} classes", number, len(SPLITS))
                pixels, labels = datamodule.raw_pixels(split)
                mine |= scorer.score_pixels(split, pixels, labels, datamodule.colours(split))
        return group.share(mine)

    def _place(self, trainer: Trainer) -> tuple[int, int]:
        """Return the optimiser steps done and the epoch."""
        return self._at or (trainer.global_step, trainer.current_epoch)

    # ------------------------------------------------------------------ results
    def _publish(
        self, trainer: Trainer, pl_module: LightningModule, scores: list[Score], accuracy: float | None
    ) -> Generalization:
        """Log the same numbers on every rank (a monitor must not differ between them); write on rank 0."""
        (step, epoch), seconds = self._place(trainer), time.monotonic() - self._began
        best = ScoreTable(scores).generalization(step)
        assert best is not None
        numbers = logged_numbers(scores, best)
        pl_module.log_dict(numbers, on_step=False, on_epoch=True, sync_dist=False, batch_size=1)
        self.last_step, self.latest = step, best
        if trainer.is_global_zero:
            self._run_folder.record(Scoring(step, epoch, accuracy, scores, seconds))
        return best


def _probe_device(trainer: Trainer) -> torch.device:
    """Return the trainer's GPU, else the CPU: Apple's GPU has no float64."""
    device: torch.device = trainer.strategy.root_device
    return device if device.type == "cuda" else torch.device("cpu")


def _say_nothing(phrase: str, done: int, total: int) -> None:
    pass


def _backbone(pl_module: LightningModule) -> Any:
    return pl_module.backbone
