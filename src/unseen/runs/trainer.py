"""Lightning's Trainer from the `trainer` group, and what a run does with it: train or evaluate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.run_folder import RunFolder
from unseen.runs.errors import UserError, user_errors
from unseen.runs.objects import check_objects, maker_of

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
    from lightning.pytorch.loggers import Logger

    from unseen.callbacks.layer_probe import LayerProbe


TWO_PASSES = "unseen.training.sharpness.sam"


def check_trainer(settings: dict[str, Any]) -> None:
    """Refuse what this machine or Lightning cannot do with the `trainer` group, before data and weights are loaded.

    Raises:
        ValueError: A GPU that is not there, or half precision that only a GPU has.
        UserError: What Lightning refuses.
    """
    import torch

    if settings["accelerator"] in {"gpu", "cuda"} and not torch.cuda.is_available():
        raise ValueError(
            f"trainer.accelerator={settings['accelerator']}: torch sees no GPU on this machine; use trainer=cpu"
        )
    if settings["accelerator"] == "mps" and not torch.backends.mps.is_available():
        raise ValueError("trainer.accelerator=mps: torch sees no Apple GPU on this machine; use trainer=cpu")
    on_cpu = settings["accelerator"] == "cpu" or not torch.cuda.is_available()
    if settings["precision"] == "16-mixed" and settings["accelerator"] in {"cpu", "auto"} and on_cpu:
        raise ValueError("trainer.precision=16-mixed needs a GPU; on a CPU use 32-true or bf16-mixed")
    make_trainer(settings, [], [])


def check_passes(optimizer: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse an optimiser of two passes a step where Lightning computes the gradients before the step.

    Args:
        optimizer: The `model.optimizer` group.
        settings: The `trainer` group.

    Raises:
        ValueError: Gradients are scaled, or those of several batches added.
    """
    if optimizer["_target_"] != TWO_PASSES:
        return
    if _precision(settings) == "16-mixed":
        raise ValueError(
            f"optimizer=sam takes two passes a step, and trainer.precision={settings['precision']}, which is 16-mixed "
            "here, scales gradients between them; use bf16-mixed or 32-true"
        )
    if (batches := settings["accumulate_grad_batches"]) > 1:
        raise ValueError(
            f"optimizer=sam takes two passes a step over one batch; use trainer.accumulate_grad_batches=1 instead of "
            f"{batches}, and a larger data.batch_size"
        )


def check_with_libraries(jobs: Sequence[dict[str, Any]]) -> None:
    """Refuse what only the libraries can judge in the resolved configurations of a sweep's jobs.

    Raises:
        ValueError: One sentence.
        UserError: What Lightning refuses.
    """
    checked: list[dict[str, Any]] = []
    for plain in jobs:
        check_objects(plain)
        if plain["trainer"] not in checked:
            check_trainer(plain["trainer"])
            checked.append(plain["trainer"])
        check_passes(plain["model"]["optimizer"], plain["trainer"])


def make_trainer(
    settings: dict[str, Any], callbacks: Sequence[Callback], loggers: Sequence[Logger]
) -> Trainer:
    """Return the trainer that the `trainer` group describes.

    Deterministic mode would also fill new tensors with NaN, to reveal reads of uninitialised memory. That takes time,
    and tests show that our networks have no such reads: it is switched off.

    Raises:
        UserError: Settings that Lightning or the machine cannot follow.
    """
    import torch
    import torch.utils.deterministic
    from lightning.fabric.plugins import TorchCheckpointIO
    from lightning.pytorch.callbacks import Checkpoint
    from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher

    from unseen.callbacks.evaluation_steps import EvaluationSteps
    from unseen.training.checkpoint_files import StreamedCheckpointIO

    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    settings = settings | {"precision": _precision(settings)}
    settings.pop("eval_precision", None)  # the module's
    every = settings.pop("val_check_interval")
    callbacks = [EvaluationSteps(every), *callbacks]
    with user_errors(Exception):  # of Lightning, of an accelerator's own library, of a strategy's
        trainer: Trainer = maker_of(settings)(
            callbacks=callbacks,
            logger=list(loggers),
            val_check_interval=1,  # EvaluationSteps decides
            check_val_every_n_epoch=None,
            enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
            num_sanity_val_steps=0,  # step 0 is a full evaluation
            inference_mode=False,  # probes may need tensors that autograd can read
            use_distributed_sampler=False,  # Lightning's would repeat images, ours do not
            enable_model_summary=False,
            enable_progress_bar=True,
        )
    if isinstance(trainer.strategy.launcher, _MultiProcessingLauncher):
        raise UserError(
            f"trainer.strategy={settings['strategy']} trains in copies of this process, whose scores would be lost; "
            "use trainer.strategy=ddp"
        )
    if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:  # else trainer.plugins has another
        trainer.strategy.checkpoint_io = StreamedCheckpointIO()
    devices, nodes = settings["devices"], settings["num_nodes"]
    if isinstance(devices, int) and trainer.world_size != devices * nodes:
        raise UserError(
            f"trainer.devices={devices} on {nodes} nodes gave {trainer.world_size} processes; a SLURM allocation needs "
            "one task per device"
        )
    return trainer


def _precision(settings: dict[str, Any]) -> str:
    """Return the precision that the `trainer` group gives here.

    `auto` is half precision on a GPU.
    """
    import torch

    if settings["precision"] != "auto":
        return str(settings["precision"])
    on_gpu = settings["accelerator"] in {"auto", "gpu", "cuda"} and torch.cuda.is_available()
    return _half_precision() if on_gpu else "32-true"


def _half_precision() -> str:
    """Return bfloat16 where the GPU computes in it: its range is float32's, so no loss has to be scaled."""
    import torch

    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"


# -------------------------------------------------------------------------------- processes
def processes_to_fit(settings: dict[str, Any]) -> int:
    """Return for how many processes of this machine this one must find memory, by the `trainer` group.

    The first one does so for all, before they start; the others start when it has its share, and do so for themselves.
    """
    if any(os.environ.get(name, "0") != "0" for name in ("LOCAL_RANK", "SLURM_LOCALID")):
        return 1
    started = os.environ.get("LOCAL_WORLD_SIZE", "")
    return int(started) if started.isdigit() else _devices(settings)


def ranks_of(settings: dict[str, Any]) -> int:
    """Return the number of processes on all machines, by the `trainer` group."""
    return _devices(settings) * int(settings["num_nodes"])


def _devices(settings: dict[str, Any]) -> int:
    devices = settings["devices"]
    if isinstance(devices, str) and "," in devices:
        devices = [part for part in devices.split(",") if part.strip()]
    if isinstance(devices, list | tuple):
        return max(1, len(devices))
    if str(devices).isdigit():
        return max(1, int(devices))
    if settings["accelerator"] not in {"auto", "gpu", "cuda"}:
        return 1
    import torch

    return max(1, torch.cuda.device_count())


# -------------------------------------------------------------------------------- the two jobs
def train(
    *,
    module: LightningModule,
    datamodule: LightningDataModule,
    trainer: Trainer,
    run_folder: RunFolder,
    probe: LayerProbe | None,
    probe_at_start: bool,
    checkpoint: Path | None = None,
) -> None:
    """Fine-tune and probe; leave a finished run folder. Every evaluation is on disk before the next step.

    Args:
        module: The network with its head and optimiser.
        datamodule: Seen and unseen images.
        trainer: Has `probe` among its callbacks.
        run_folder: Gets the status at the end.
        probe: Scores the layers; None: train without.
        probe_at_start: Score before the first step (not when resuming).
        checkpoint: Where to continue from.

    Raises:
        KeyboardInterrupt: The user stopped it; what was evaluated is on disk.
    """
    with _finishing(run_folder, trainer):
        if probe_at_start and checkpoint is None:
            if probe is not None:
                probe.controls = False  # a later evaluation has them
            trainer.validate(module, datamodule, verbose=False)
        if probe is not None:
            probe.controls = True
        trainer.fit(module, datamodule, ckpt_path=checkpoint)
        if probe is not None and not probe.is_complete(trainer.global_step):
            trainer.validate(module, datamodule, verbose=False)


def evaluate(
    *, module: LightningModule, datamodule: LightningDataModule, trainer: Trainer, run_folder: RunFolder
) -> None:
    """Score every layer of a network as it is, on seen test images and unseen ones; leave a finished run folder."""
    with _finishing(run_folder, trainer):
        trainer.validate(module, datamodule, verbose=False)


@contextmanager
def _finishing(run_folder: RunFolder, trainer: Trainer) -> Iterator[None]:
    """Mark the folder as finished when the block has ended.

    An interrupted run keeps the scores up to its last checkpoint: later ones would belong to a network that is lost.

    Raises:
        KeyboardInterrupt: Ctrl-C, which Lightning turns into an exit.
        UserError: An image decoded on the fly cannot be used.
    """
    from unseen.data.canvases import UnreadableImageError

    try:
        with user_errors(UnreadableImageError), interrupts_of(trainer):
            yield
    except KeyboardInterrupt:
        from unseen.callbacks.last_checkpoint import LastCheckpoint

        last = next((made for made in trainer.callbacks if isinstance(made, LastCheckpoint)), None)  # type: ignore[attr-defined]
        if trainer.interrupted and last is not None and last.step is not None:
            run_folder.keep_until(last.step)
        raise
    if trainer.is_global_zero:
        run_folder.write_summary("finished")


@contextmanager
def interrupts_of(trainer: Trainer) -> Iterator[None]:
    """Raise KeyboardInterrupt for Ctrl-C inside, which Lightning turns into an exit."""
    try:
        yield
    except SystemExit:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from None
