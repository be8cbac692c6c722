"""Fine-tune an encoder on a task, as `transfer.py` does between its two tests."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.runs.console import console, say, shown_path
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import choices
from unseen.runs.objects import make
from unseen.runs.trainer import interrupts_of, make_trainer, ranks_of
from unseen.runs.transfer.countermeasures import check_trained_encoder
from unseen.runs.transfer.encoder_checkpoints import tuned_provenance
from unseen.wording import count

if TYPE_CHECKING:
    from lightning.pytorch import Trainer
    from lightning.pytorch.loggers import Logger

    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.runs.build import Run
    from unseen.runs.transfer.embedding import Embedder
    from unseen.runs.transfer.parts import Captioned

_HELD_OUT, _MOST_HELD_OUT = 0.1, 5000  # of the training images, as published
_HELD_OUT_STREAM = 7  # of random numbers of its own


def check_technique(encoder: Encoder, captioned: Captioned, plain: dict[str, Any]) -> None:
    """Refuse, before the images are embedded, what `with_technique` refuses; the encoder stays as it is.

    Raises:
        UserError: As `with_technique`.
    """
    with_technique(copy.deepcopy(encoder), captioned, plain)


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
    trainer: Trainer,
    embedder: Embedder,
) -> None:
    """Train what requires gradients; leave the encoder with the weights of its best epoch, in eval mode.

    Where `run` was killed before, training goes on from its last finished epoch. Called by every process.

    Args:
        encoder: Of `with_technique`, on the device.
        captioned: The task.
        others: Tasks to replay images of, if that is set.
        features: Of its training images, where the image tower is frozen; None: the tower embeds them in each step.
        plain: All settings.
        run: Gets what was found.
        trainer: Of `fine_tuning_trainer`.
        embedder: Embeds images with the trainer's processes.

    Raises:
        UserError: There are too few images to hold some out, or the checkpoint of the killed run does not fit.
    """
    from unseen.data.task_loaders import TrainAndHeldOut
    from unseen.training.encoder_tuner import EncoderTuner

    task, device = captioned.task, embedder.device
    trained = sum(one.numel() for one in encoder.parameters() if one.requires_grad)
    total = sum(one.numel() for one in encoder.parameters())
    say(f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%})")
    run.folder.add_facts(trainable_parameters=trained, parameters=total)
    kept, held_out = _divided(len(task.train), plain["seed"])
    take = partial(task.take, task.train) if features is None else features.take
    images = TrainAndHeldOut(
        partial(take, device=device),
        train=kept,
        held_out=held_out,
        batch_size=plain["batch_size"],
        seed=plain["seed"],
    )
    tuner = EncoderTuner(
        encoder,
        captioned.embeddings_in_training(encoder),
        make(plain["model"]["optimizer"] | {"_partial_": True}, "model.optimizer"),
        embed=encoder.encode_images if features is None else encoder.embed_image_features,
        **_against_forgetting(encoder, others, plain, embedder, same_tower=features is not None),
        seed=plain["seed"],
        provenance=tuned_provenance(encoder, captioned, plain, str(choices()["technique"]), run.config_hash),
        eval_precision=plain["trainer"]["eval_precision"],
    )
    last = unfinished(run)
    if last is not None:
        say(f"training goes on from {shown_path(last)}")
    with user_errors(ValueError), interrupts_of(trainer):
        trainer.fit(tuner, datamodule=images, ckpt_path=last)
    best = tuner.best
    assert best is not None
    tuner.load_best()
    encoder.to(device).eval()
    _match_best_file(run.folder.path, best.epoch, trainer)
    say(
        f"best of {count(plain['epochs'], 'epoch')}: {best.epoch + 1}, accuracy {best.accuracy:.3f} on "
        f"{count(len(held_out), 'held-out image')}"
    )
    run.folder.add_facts(best_epoch=best.epoch + 1, held_out_accuracies=tuner.accuracies)


def _divided(count: int, seed: int) -> tuple[list[int], list[int]]:
    """Return which of the training images to train on, and which to hold out."""
    from unseen.data.batches import epoch_order

    order = epoch_order(count, seed, _HELD_OUT_STREAM).tolist()
    held_out = order[: min(max(1, round(_HELD_OUT * count)), _MOST_HELD_OUT)]
    kept = sorted(set(order) - set(held_out))
    if not kept:
        raise UserError("there are too few training images: some are held out to choose the epoch")
    return kept, held_out


def check_shares(tasks: Sequence[Captioned], plain: dict[str, Any]) -> None:
    """Refuse more processes than there are images of a kind, before the first one starts the others.

    Raises:
        UserError: One sentence.
    """
    processes = ranks_of(plain["trainer"])
    counts = {f"test images of {one.task.name}": len(one.task.test) for one in tasks}
    counts[f"training images of {tasks[0].task.name}"] = len(tasks[0].task.train)
    if not plain["measure_only"]:
        counts["held-out images"] = len(_divided(len(tasks[0].task.train), plain["seed"])[1])
    for what, images in counts.items():
        if images < processes:
            raise UserError(f"trainer.devices: {processes} processes cannot share {images} {what}")


def trainer_settings(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the `trainer` group as fine-tuning has it: whole epochs, each evaluated, and no gradient is clipped."""
    length = {"max_steps": -1, "max_epochs": plain["epochs"], "val_check_interval": 1.0}
    settings: dict[str, Any] = plain["trainer"]
    return settings | length | {"gradient_clip_val": None, "accumulate_grad_batches": 1}


def fine_tuning_trainer(plain: dict[str, Any], loggers: Sequence[Logger]) -> Trainer:
    """Return the trainer of a run."""
    from lightning.pytorch.callbacks import Callback

    from unseen.callbacks.evaluation_steps import StepAxis
    from unseen.callbacks.progress import PhaseProgress
    from unseen.scores import ACCURACY, metric_name
    from unseen.training.encoder_tuner import HELD_OUT

    shown = [("loss", metric_name("train", "loss")), ("held-out accuracy", metric_name(HELD_OUT, ACCURACY))]
    progress = PhaseProgress(console(), images="held-out images", shown=shown)
    with user_errors():
        kept = [
            make(plain["callbacks"][name], f"callbacks.{name}", Callback)
            # the last one knows the best of the same evaluation
            for name in ("best_checkpoint", "last_checkpoint")
            if plain["callbacks"].get(name) is not None
        ]
    return make_trainer(trainer_settings(plain), [StepAxis(), *kept, progress], loggers)


def unfinished(run: Run) -> Path | None:
    """Return the checkpoint of the last finished epoch of a run that was killed in this folder, None for a new run."""
    from unseen.runs.transfer.encoder_checkpoints import read_encoder_checkpoint

    path = run.folder.path / "checkpoints" / "last.ckpt"
    if not path.is_file():
        return None
    with user_errors():
        checkpoint = read_encoder_checkpoint(path, resume=True)
    return path if checkpoint.made_by["config_hash"] == run.config_hash else None


def _match_best_file(folder: Path, epoch: int, trainer: Trainer) -> None:
    """Write best.ckpt again if it is of another epoch than the best one, whose weights the trainer's module has.

    A run may have been killed after it wrote the file and before it wrote last.ckpt. Then one epoch comes twice, and on
    a GPU, where sums are not always added in one order, it may be the best the first time alone.
    """
    from unseen.runs.transfer.encoder_checkpoints import read_encoder_checkpoint

    path = folder / "checkpoints" / "best.ckpt"
    if path.is_file() and read_encoder_checkpoint(path).content["fine_tuning"]["epoch"] != epoch:
        trainer.save_checkpoint(path, weights_only=True)


def _against_forgetting(
    encoder: Encoder,
    others: Sequence[Captioned],
    plain: dict[str, Any],
    embedder: Embedder,
    *,
    same_tower: bool,
) -> dict[str, Any]:
    """Return what of a step's loss keeps the encoder from forgetting, as arguments of `EncoderTuner`."""
    from unseen.encoders.forgetting import L2ToInit
    from unseen.runs.transfer.replay import Replay

    found: dict[str, Any] = {}
    if weight := plain["l2_to_init"]:
        penalty = L2ToInit(encoder)
        found["penalty"] = lambda: weight * penalty()
    if share := plain["replay"]:
        kept = [embedder.features(encoder, one, "train") for one in others] if same_tower else None
        found["replayed"] = Replay(
            others,
            encoder,
            share=share,
            batch_size=plain["batch_size"],
            seed=plain["seed"],
            device=embedder.device,
            features=kept,
        )
    return found
