"""Fine-tune an encoder on a task, as `transfer.py` does between its two tests."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from unseen.runs.console import say
from unseen.runs.countermeasures import check_trained_encoder
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import choices
from unseen.runs.objects import make

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.runs.build import Run
    from unseen.runs.transfer_parts import Captioned

_HELD_OUT, _MOST_HELD_OUT = 0.1, 5000  # of the training images, as published
_HELD_OUT_STREAM = 7  # of random numbers of its own


def with_technique(encoder: Encoder, captioned: Captioned, plain: dict[str, Any]) -> Encoder:
    """Return the encoder to train, of which that requires gradients which the technique trains.

    Raises:
        UserError: The encoder has not what the technique trains, or a setting of the technique is wrong.
    """
    from lightning.pytorch import seed_everything

    seed_everything(plain["seed"], workers=True, verbose=False)
    with user_errors():
        technique = make(plain["technique"] | {"_partial_": True}, "technique")
        takes_classes = "classes" in inspect.signature(technique).parameters
        classes = {"classes": len(captioned.task.classes)} if takes_classes else {}
        made: Encoder = technique(encoder, **classes)
        check_trained_encoder(encoder, made, plain, str(choices()["technique"]))
    return made


def fine_tune(
    encoder: Encoder,
    captioned: Captioned,
    others: Sequence[Captioned],
    features: ImageFeatures | None,
    plain: dict[str, Any],
    run: Run,
    device: torch.device,
) -> None:
    """Train what requires gradients; leave the encoder with the weights of its best epoch, in eval mode.

    Args:
        encoder: Of `with_technique`, on the device.
        captioned: The task.
        others: Tasks to replay images of, if that is set.
        features: Of its training images, where the image tower is frozen; None: the tower embeds them in each step.
        plain: All settings.
        run: Gets what was found.
        device: Of the encoder.

    Raises:
        UserError: There are too few images to hold some out.
    """
    from lightning.pytorch import Trainer

    from unseen.data.batches import epoch_order
    from unseen.runs.build import _loggers
    from unseen.training.encoder_tuner import EncoderTuner

    task, batch_size = captioned.task, plain["batch_size"]
    trained = sum(one.numel() for one in encoder.parameters() if one.requires_grad)
    total = sum(one.numel() for one in encoder.parameters())
    say(f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%})")
    order = epoch_order(len(task.train), plain["seed"], _HELD_OUT_STREAM).tolist()
    held = order[: min(max(1, round(_HELD_OUT * len(order))), _MOST_HELD_OUT)]
    kept = sorted(set(order) - set(held))
    if not kept:
        raise UserError("there are too few training images: some are held out to choose the epoch")

    def batches(numbers: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        if features is not None:
            return features.batches(batch_size, device, numbers)
        return task.batches(task.train, batch_size, device, numbers)

    tuner = EncoderTuner(
        encoder,
        partial(captioned.embeddings, encoder),
        make(plain["model"]["optimizer"] | {"_partial_": True}, "model.optimizer"),
        lambda: batches(held),
        embed=encoder.encode_images if features is None else encoder.embed_features,
        **_against_forgetting(encoder, others, plain, device, same_tower=features is not None),
    )
    loggers, _ = _loggers(run, plain, job_type="transfer")
    trainer = Trainer(
        accelerator=device.type, devices=1, max_epochs=plain["epochs"], logger=loggers, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        precision=_precision(plain["trainer"]["precision"], device), log_every_n_steps=1,
    )  # fmt: skip
    epochs = EpochsOf(
        lambda: batches([kept[n] for n in epoch_order(len(kept), plain["seed"], tuner.current_epoch)]),
        math.ceil(len(kept) / batch_size),
    )
    trainer.fit(tuner, train_dataloaders=epochs)
    assert tuner.best is not None
    accuracy, epoch, _ = tuner.best
    tuner.load_best()
    encoder.to(device).eval()
    say(
        f"best of {plain['epochs']} epochs: {epoch + 1}, accuracy {accuracy:.3f} on {len(held):,} held-out images"
    )
    run.folder.add_facts(
        best_epoch=epoch + 1,
        held_out_accuracies=tuner.accuracies,
        trainable_parameters=trained,
        parameters=total,
    )


def _against_forgetting(
    encoder: Encoder,
    others: Sequence[Captioned],
    plain: dict[str, Any],
    device: torch.device,
    *,
    same_tower: bool,
) -> dict[str, Any]:
    """Return what of a step's loss keeps the encoder from forgetting, as arguments of `EncoderTuner`."""
    from unseen.encoders.forgetting import L2ToInit
    from unseen.runs.replay import Replay

    found: dict[str, Any] = {}
    if weight := plain["l2_to_init"]:
        penalty = L2ToInit(encoder)
        found["penalty"] = lambda: weight * penalty()
    if share := plain["replay"]:
        size = plain["batch_size"]
        kept = [one.features(encoder, "train", size, device) for one in others] if same_tower else None
        found["replayed"] = Replay(
            others, encoder, share=share, batch_size=size, seed=plain["seed"], device=device, features=kept
        )
    return found


def _precision(typed: str, device: torch.device) -> Any:
    if typed != "auto":
        return typed
    return "16-mixed" if device.type == "cuda" else "32-true"


class EpochsOf:
    """Batches of one epoch after the other, each in an order of its own.

    Args:
        batches: Of the epoch that begins.
        length: Number of batches; Lightning asks for no more, so that an epoch's iterator is left before its end.
    """

    def __init__(self, batches: Callable[[], Iterator[tuple[Tensor, Tensor]]], length: int) -> None:
        self._batches, self._length = batches, length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._batches()
