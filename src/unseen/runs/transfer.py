"""Measure an encoder on a task before training, fine-tune it, and measure what it gained there and forgot elsewhere."""

from __future__ import annotations

import gc
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.table import Table

from unseen.atomic_files import csv_text, write_text
from unseen.freed_memory import keep_freed_memory
from unseen.runs.console import console, notice, quiet_libraries, say, settings_tree, shown_path
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import choices
from unseen.runs.recorded import recorded
from unseen.runs.typed_line import key_of
from unseen.wording import count, one_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unseen.encoders.encoder import Encoder
    from unseen.runs.build import Run
    from unseen.runs.transfer_parts import Captioned

COLUMNS = (
    "encoder", "task", "technique", "measure", "value", "low", "high", "n", "seconds", "percentile",
)  # fmt: skip
_HELD_OUT, _MOST_HELD_OUT = 0.1, 5000  # of the training images, as published
_HELD_OUT_STREAM = 7  # of random numbers of its own
# What can be typed; the rest of the configuration belongs to other commands.
_READ = (
    "encoder", "technique", "data", "optimizer", "seed", "size", "trainer", "logger", "paths", "hydra", "resume",
    "plan", "extras", "local", "others", "measure_only", "templates", "class_names", "epochs", "draws",
    "batch_size",
)  # fmt: skip
_READ_OF = {"trainer": ("accelerator", "precision"), "model": ("optimizer",)}
_OF_DATA = (
    "name",
    "root",
    "train_size",
    "test_size",
    "test_fraction",
    "split_seed",
    "stratified",
    "skip_bad",
    "cache_gb",
)


@dataclass(frozen=True)
class Row:
    """A line of scores.csv."""

    task: str
    measure: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    seconds: float = math.nan
    percentile: float = math.nan
    technique: str = ""


def transfer_run(config: DictConfig) -> None:
    """Measure and fine-tune as the configuration says; what was found is on disk at any moment.

    Raises:
        UserError: One sentence on what was typed, or on what is missing.
        KeyboardInterrupt: The user stopped it.
    """
    gc.disable()  # libraries that load make objects by the million, and Python would search them for garbage as often
    from unseen.runs.build import begin

    keep_freed_memory()
    run = begin(config)
    with recorded(run.folder):
        _transfer(run)


def _transfer(run: Run) -> None:
    import torch

    from unseen.runs.bias_parts import device_of
    from unseen.runs.build import _named_anew
    from unseen.runs.transfer_parts import settings_of_others, task_of

    plain = _checked(run.config)
    run.folder.write_summary("running")
    with user_errors(ValueError, OSError, RuntimeError):
        device = device_of(plain["trainer"]["accelerator"])
        settings = settings_of_others(plain["data"]["name"], plain["others"] or [], _composed_data)
        torch.manual_seed(plain["seed"])
        encoder = _encoder(plain).to(device).eval()
        gc.enable()
        captions = {"templates": plain["templates"], "class_names": plain["class_names"]}
        task = task_of(plain["data"], encoder, plain, captions=captions)
        others = [task_of(one, encoder, plain, captions={}) for one in settings.values()]
    technique = "none" if plain["measure_only"] else str(choices()["technique"])
    name = str(choices()["encoder"])
    plain["model"]["name"] = name
    plain["logger"] = _named_anew(run.config.logger, plain)
    run.folder.add_facts(
        kind="transfer",
        model=name,
        encoder=encoder.name,
        composed=encoder.composed,
        data=task.task.name,
        technique=technique,
        classes=len(task.task.classes),
        train_images=len(task.task.train),
        test_images=len(task.task.test),
        others=[other.task.name for other in others],
        config_hash=run.config_hash,
    )
    write_text(run.folder.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain)))
    if encoder.composed:
        notice(f"{encoder.name}: two towers trained apart and joined, a demonstration and no CLIP")
    say(
        f"{encoder.name} on {task.task.name}: {count(len(task.task.classes), 'class', 'classes')}, "
        f"{len(task.task.train):,} training and {len(task.task.test):,} test images"
    )
    rows = Rows(run.folder.path, name)
    before = _tested(encoder, [task, *others], plain["batch_size"], device)
    for captioned, right in zip([task, *others], before, strict=True):
        rows.add(_accuracy(captioned.task.name, "accuracy_before", right))
    rows.add(*_measured(encoder, task, plain, device))
    run.folder.add_facts(values=rows.values())
    run.folder.write_summary("running")
    if not plain["measure_only"]:
        tuned = _fine_tune(encoder, task, plain, run, device)
        # a linear probe serves its task alone, and leaves the encoder as it was
        elsewhere = encoder if technique == "probe" else tuned
        size = plain["batch_size"]
        after = _tested(tuned, [task], size, device) + _tested(elsewhere, others, size, device)
        rows.add(*_changes([task, *others], before, after, technique))
        run.folder.add_facts(values=rows.values())
    _log(run, plain, rows)
    run.folder.write_summary("finished")
    console().print(rows.table(f"{encoder.name} on {task.task.name}"))
    say(f"files in {shown_path(run.folder.path)}")


# ------------------------------------------------------------------ settings
def _checked(config: DictConfig) -> dict[str, Any]:
    """Return the resolved settings, after all that can be checked without loading anything large."""
    from unseen.runs.schema import check_settings, read_places

    with user_errors(OmegaConfBaseException):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    with user_errors():
        for text in HydraConfig.get().overrides.task:
            _check_typed(key_of(text))
        check_settings(plain, read_places(config, HydraConfig.instance().cfg))
    quiet_libraries()
    if plain["extras"]["print_config"]:
        console().print(settings_tree(plain))
    return plain


def _check_typed(name: str) -> None:
    group, _, key = name.partition(".")
    inner = key.partition(".")[0]
    if group == "data" and key and inner not in _OF_DATA and inner != "source":
        raise ValueError(f"{name} is not read by transfer.py, which withholds no class of a task")
    if group not in (*_READ, *_READ_OF) or (key and group in _READ_OF and inner not in _READ_OF[group]):
        raise ValueError(f"{name} is not read by transfer.py")


def _composed_data(name: str) -> dict[str, Any]:
    """Return the settings of a data set as its file has them."""
    loader = GlobalHydra.instance().config_loader()
    try:
        config = loader.load_configuration("transfer", [f"data={name}"], RunMode.RUN)
        return OmegaConf.to_container(config.data, resolve=True)  # type: ignore[return-value]
    except Exception as error:
        raise ValueError(f"others={name}: {one_line(error)}") from error


def _encoder(plain: dict[str, Any]) -> Encoder:
    from unseen.encoders.encoder import Encoder
    from unseen.runs.objects import make

    made: Encoder = make(plain["encoder"], "encoder", Encoder)
    return made


# ------------------------------------------------------------------ measuring
def _tested(
    encoder: Encoder, tasks: Sequence[Captioned], batch_size: int, device: torch.device
) -> list[Tensor]:
    return [captioned.right(encoder, batch_size, device) for captioned in tasks]


def _measured(
    encoder: Encoder, captioned: Captioned, plain: dict[str, Any], device: torch.device
) -> list[Row]:
    """Return the measures of the untrained encoder on the training images."""
    import torch

    from unseen.data.canvases import progress
    from unseen.encoders.zero_shot import image_embeddings
    from unseen.transfer.scoring import score_all

    task = captioned.task
    with progress(f"embedding {task.name}", len(task.train), True) as advance, torch.no_grad():
        images, labels = image_embeddings(
            encoder, task.batches(task.train, plain["batch_size"], device), advance
        )
        texts = captioned.embeddings(encoder).float().cpu()
        logits = torch.cat(
            [encoder.logits(some.to(device), texts.to(device)).cpu() for some in torch.split(images, 4096)]
        )
    with user_errors():
        found = score_all(
            images.numpy(),
            labels.numpy(),
            texts=texts.numpy(),
            probabilities=logits.softmax(dim=1).numpy(),
            draws=plain["draws"],
            seed=plain["seed"],
        )
    for name, one in found.items():
        if one.reason:
            notice(f"{name} has no value: {one.reason}")
    return [
        Row(task.name, name, one.value, one.low, one.high, one.images, one.seconds, one.percentile)
        for name, one in found.items()
    ]


def _accuracy(task: str, measure: str, right: Tensor, technique: str = "") -> Row:
    """Return a share with its 95 % interval over images (Wilson, JASA 22, 1927)."""
    from scipy.stats import binomtest

    n, hits = len(right), int(right.sum())
    ends = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return Row(task, measure, hits / n, ends.low, ends.high, n, technique=technique)


def _changes(
    tasks: Sequence[Captioned], before: Sequence[Tensor], after: Sequence[Tensor], technique: str
) -> Iterator[Row]:
    """Yield accuracies after training, and changes with intervals of the paired differences of images."""
    for place, (captioned, then, now) in enumerate(zip(tasks, before, after, strict=True)):
        name = captioned.task.name
        yield _accuracy(name, "accuracy_after", now, technique)
        difference = now.double() - then.double()
        mean, half = float(difference.mean()), 1.959964 * float(difference.std()) / math.sqrt(len(now))
        yield Row(name, "accuracy_change", mean, mean - half, mean + half, len(now), technique=technique)
        wrong = 1 - float(then.double().mean())
        if place == 0:  # the share of the zero-shot errors that is gone (arXiv 2407.15731)
            yield Row(name, "gain", mean / wrong if wrong else math.nan, n=len(now), technique=technique)
    if len(tasks) > 1:
        changes = [
            float(now.double().mean() - then.double().mean())
            for then, now in zip(before[1:], after[1:], strict=True)
        ]
        yield Row("other tasks", "mean_change", float(np.mean(changes)), n=len(changes), technique=technique)


# ------------------------------------------------------------------ training
def _fine_tune(
    encoder: Encoder, captioned: Captioned, plain: dict[str, Any], run: Run, device: torch.device
) -> Encoder:
    """Train what the technique chooses; return the encoder with the weights of the best epoch, in eval mode."""
    from lightning.pytorch import Trainer, seed_everything

    from unseen.data.batches import epoch_order
    from unseen.runs.build import _loggers
    from unseen.runs.objects import make
    from unseen.training.encoder_tuner import EncoderTuner

    task, batch_size = captioned.task, plain["batch_size"]
    seed_everything(plain["seed"], workers=True, verbose=False)
    with user_errors():
        technique = make(plain["technique"] | {"_partial_": True}, "technique")
        takes_classes = "classes" in inspect.signature(technique).parameters
        encoder = technique(encoder, **({"classes": len(task.classes)} if takes_classes else {})).to(device)
    trained = sum(one.numel() for one in encoder.parameters() if one.requires_grad)
    total = sum(one.numel() for one in encoder.parameters())
    say(f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%})")
    order = epoch_order(len(task.train), plain["seed"], _HELD_OUT_STREAM).tolist()
    held = order[: min(max(1, round(_HELD_OUT * len(order))), _MOST_HELD_OUT)]
    kept = sorted(set(order) - set(held))
    if not kept:
        raise UserError("there are too few training images: some are held out to choose the epoch")
    tuner = EncoderTuner(
        encoder,
        partial(captioned.embeddings, encoder),
        make(plain["model"]["optimizer"] | {"_partial_": True}, "model.optimizer"),
        lambda: task.batches(task.train, batch_size, device, held),
    )
    loggers, _ = _loggers(run, plain, job_type="transfer")
    trainer = Trainer(
        accelerator=device.type, devices=1, max_epochs=plain["epochs"], logger=loggers, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        precision=_precision(plain["trainer"]["precision"], device), log_every_n_steps=1,
    )  # fmt: skip
    epochs = EpochsOf(
        lambda: task.epoch(kept, batch_size, device, plain["seed"], tuner.current_epoch),
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
    return encoder


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


# ------------------------------------------------------------------ what is left
class Rows:
    """What was found so far, written as scores.csv after each addition."""

    def __init__(self, folder: Path, encoder: str) -> None:
        self._folder, self._encoder = folder, encoder
        self._rows: list[Row] = []

    def add(self, *rows: Row) -> None:
        """Add rows and bring the file up to date."""
        self._rows += rows
        lines = (
            (
                self._encoder, row.task, row.technique, row.measure, *map(_cell, (row.value, row.low, row.high)), row.n,
                _cell(row.seconds), _cell(row.percentile),
            )
            for row in self._rows
        )  # fmt: skip
        write_text(self._folder / "scores.csv", csv_text(COLUMNS, lines))

    def values(self) -> dict[str, dict[str, float]]:
        """Return the values by measure and task."""
        found: dict[str, dict[str, float]] = {}
        for row in self._rows:
            found.setdefault(row.measure, {})[row.task] = row.value
        return found

    def table(self, title: str) -> Table:
        """Return a row a value."""
        table = Table(title=title, title_justify="left")
        for heading in ("task", "measure"):
            table.add_column(heading, no_wrap=True)
        for heading in ("value", "95 % interval", "n", "seconds", "above shuffled labels"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in self._rows:
            interval = "–" if math.isnan(row.low) else f"{_shown(row.low)} to {_shown(row.high)}"
            share = "–" if math.isnan(row.percentile) else f"{row.percentile:.0f} %"
            seconds = "–" if math.isnan(row.seconds) else f"{row.seconds:.2f}"
            table.add_row(row.task, row.measure, _shown(row.value), interval, f"{row.n:,}", seconds, share)
        return table


def _shown(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}" if abs(value) >= 10 else f"{value:.3f}"


def _cell(value: float) -> float | str:
    return "" if math.isnan(value) else value


def _log(run: Run, plain: dict[str, Any], rows: Rows) -> None:
    """Give the values to the loggers: transfer/MEASURE/TASK."""
    from unseen.runs.build import _loggers

    loggers, _ = _loggers(run, plain, job_type="transfer")
    metrics: Mapping[str, float] = {
        f"transfer/{measure}/{task}": value
        for measure, of_tasks in rows.values().items()
        for task, value in of_tasks.items()
        if not math.isnan(value)
    }
    for logger in loggers:
        logger.log_metrics(dict(metrics), step=0)
        logger.save()
        logger.finalize("success")
