"""Passes of an image tower over the images of tasks, shared out over the processes of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from unseen.runs.trainer import interrupts_of

if TYPE_CHECKING:
    import torch
    from lightning.pytorch import Trainer

    from unseen.distributed import ProcessGroup
    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.full_precision import EvalPrecision
    from unseen.runs.transfer.parts import Captioned


class Embedder:
    """Runs image towers with the processes of a trainer.

    Args:
        trainer: Starts the other processes at its first pass, if there are to be any.
        batch_size: Images at a time, in each process.
        eval_precision: Of the products on CUDA: 32 or "tf32".

    Attributes:
        device: Of this process.
    """

    def __init__(self, trainer: Trainer, batch_size: int, eval_precision: EvalPrecision) -> None:
        self._trainer, self._batch_size = trainer, batch_size
        self._eval_precision: EvalPrecision = eval_precision
        self.device: torch.device = trainer.strategy.root_device
        self._group: ProcessGroup | None = None

    def features(
        self, encoder: Encoder, captioned: Captioned, part: Literal["train", "test"]
    ) -> ImageFeatures:
        """Return what the image tower makes of the training or the test images; called by every process.

        Args:
            encoder: In eval mode; is on `device` afterwards.
            captioned: The task.
            part: Which of its images.
        """
        import torch

        from unseen.data.canvases import progress
        from unseen.data.task_loaders import EveryImage
        from unseen.encoders.image_features import ImageFeatures
        from unseen.training.image_tower import ImageTower

        task = captioned.task
        store = task.train if part == "train" else task.test
        images = EveryImage(partial(task.take, store, device=self.device), len(store), self._batch_size)
        share = -(-len(store) // self._trainer.world_size)
        with (
            progress(f"embedding {task.name}", share, True) as advance,
            interrupts_of(self._trainer),
        ):
            tower = ImageTower(encoder, self._eval_precision, advance)
            self._trainer.predict(tower, datamodule=images, return_predictions=False)
        encoder.to(self.device)  # the trainer leaves it on the CPU
        rows = self._processes().everywhere(torch.cat(tower.rows), torch.cat(tower.numbers), len(store))
        return ImageFeatures(rows, store.labels)

    def wait(self) -> None:
        """Return when every process is here."""
        self._processes().wait()

    def _processes(self) -> ProcessGroup:
        """Return the processes, which are there after a first pass."""
        from unseen.distributed import ProcessGroup

        if self._group is None:
            self._group = ProcessGroup(self.device)
        return self._group
