"""An encoder that `transfer.py` has fine-tuned, read from its checkpoint.

Legend: B images of a batch, C classes, D features, S image size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor

    from unseen.encoders.encoder import Encoder


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned encoder and the task that it was trained on.

    Attributes:
        encoder: In eval mode, on the CPU. `encode_images` takes images (B, 3, S, S) that are normalised with its `mean`
            and `std`, `encode_texts` any texts.
        task: Name of the data set.
        technique: full, bitfit, attention, lora, adapter, probe, or one of your own.
        classes: C names, in the order of the labels.
        captions: Of each class.
        epoch: The best one, after which the weights are, from 1; in a `last.ckpt` the last one.
        accuracy: On held-out training images after that epoch.
    """

    encoder: Encoder = field(repr=False)
    task: str
    technique: str
    classes: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...] = field(repr=False)
    epoch: int
    accuracy: float

    def class_embeddings(self) -> Tensor:
        """Return the embeddings of the task's classes (C, D), of several captions the mean of their unit vectors."""
        import torch

        from unseen.encoders.zero_shot import class_embeddings

        with torch.no_grad():
            return class_embeddings(self.encoder, self.captions)

    def logits(self, images: Tensor) -> Tensor:
        """Return logits (B, C) of normalised images (B, 3, S, S) for the task's classes."""
        import torch

        texts = self.class_embeddings()
        with torch.no_grad():
            return self.encoder.logits(self.encoder.encode_images(images), texts)


def load_encoder(checkpoint: str | Path, *, trust: Collection[str] = ()) -> FineTuned:
    """Read a fine-tuned encoder: what training has changed from the file, the rest from where it came before training.

    Args:
        checkpoint: Of a run of `transfer.py`, `.../checkpoints/best.ckpt`; a run folder stands for it.
        trust: Classes of your own, `package.Class`, that the encoder or its technique is made of.

    Raises:
        ValueError: One sentence: a file that cannot be read, trusted or fitted, or frozen weights that have changed.
        unseen.backbones.weights.WeightsUnavailable: The frozen weights are not here and cannot be fetched.
    """
    from unseen.runs.transfer.encoder_checkpoints import encoder_of, read_encoder_checkpoint

    path = Path(checkpoint).expanduser()
    read = read_encoder_checkpoint(path / "checkpoints" / "best.ckpt" if path.is_dir() else path)
    made_by, epochs = read.made_by, read.content["fine_tuning"]
    return FineTuned(
        encoder_of(read, trust),
        made_by["task"],
        made_by["label"],
        tuple(made_by["classes"]),
        tuple(map(tuple, made_by["captions"])),
        epochs["epoch"] + 1,
        epochs["accuracies"][epochs["epoch"]],
    )


def trained_encoder(checkpoint: str | None = None, trust: Collection[str] = ()) -> Encoder:
    """Return a fine-tuned encoder as one to start from, as `model=fine_tuned` does: updates of LoRA are in its weights.

    Args:
        checkpoint: As of `load_encoder`.
        trust: Likewise.

    Raises:
        ValueError: As `load_encoder`; none was named; or it is a linear probe, which serves its task alone.
        unseen.backbones.weights.WeightsUnavailable: As `load_encoder`.
    """
    from unseen.encoders.added_layers import ProbedEncoder
    from unseen.encoders.low_rank import merge_low_rank

    if not checkpoint:
        raise ValueError("encoder.checkpoint is missing: name a run folder of transfer.py, or its best.ckpt")
    found = load_encoder(checkpoint, trust=trust)
    if isinstance(found.encoder, ProbedEncoder):
        raise ValueError(
            f"encoder.checkpoint={checkpoint} holds a linear probe, which knows the classes of {found.task} alone; use "
            "the encoder that it was trained on"
        )
    merge_low_rank(found.encoder)
    found.encoder.name = f"{found.encoder.name}, fine-tuned on {found.task} ({found.technique})"
    return found.encoder.requires_grad_(True)
