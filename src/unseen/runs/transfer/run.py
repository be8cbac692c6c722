"""Measure an encoder on a task before training, fine-tune it, and measure what it gained there and forgot elsewhere."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.atomic_files import write_text
from unseen.freed_memory import keep_freed_memory
from unseen.process_rank import is_first_process
from unseen.runs.console import console, notice, quiet_libraries, say, settings_tree, shown_path
from unseen.runs.errors import user_errors
from unseen.runs.identity import choices
from unseen.runs.recorded import left_measured, recorded
from unseen.runs.transfer.countermeasures import check_countermeasures, technique_label
from unseen.runs.transfer.embeddings_run import embeddings_run, is_of_embeddings
from unseen.runs.transfer.measures import DEMO_LABELS, embedded, label_vectors, measure, save_embeddings
from unseen.runs.transfer.prompt_study import write_prompts
from unseen.runs.transfer.rows import Row, Rows, accuracy_row, change_rows, log_rows
from unseen.runs.typed_line import key_of
from unseen.wording import count, one_line, suggestion

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from lightning.pytorch import Trainer
    from torch import Tensor

    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.runs.build import Run
    from unseen.runs.ending import Ranks
    from unseen.runs.transfer.embedding import Embedder
    from unseen.runs.transfer.interpolation import Curve
    from unseen.runs.transfer.parts import Captioned


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
    run.folder.add_facts(kind="transfer", model=str(choices()["encoder"]))  # not the main job's network
    with recorded(run.folder, partial(left_measured, run.folder.path)) as record:
        plain = _checked(run.config)
        run.folder.write_summary("running")
        if is_of_embeddings(plain):
            embeddings_run(run, plain)
        else:
            _transfer(_prepared(run, plain, record.ranks))


@dataclass(frozen=True)
class _Work:
    """What a run works with.

    Attributes:
        run: Its folder.
        plain: All settings.
        encoder: As it was loaded.
        tasks: The one to train on, and the other ones.
        technique: With its countermeasures; none where nothing is trained.
        trainer: Of all processes.
        embedder: Runs image towers with them.
        vectors: Of the class names, (C, E) each, for EMMS.
        rows: What was found so far.
        measured: Rows of the measures that a killed run in this folder has left.
    """

    run: Run
    plain: dict[str, Any]
    encoder: Encoder
    tasks: Sequence[Captioned]
    technique: str
    trainer: Trainer
    embedder: Embedder
    vectors: Sequence[npt.NDArray[np.float32]]
    rows: Rows
    measured: Sequence[Row]


def _prepared(run: Run, plain: dict[str, Any], ranks: Ranks) -> _Work:
    """Check what can be checked cheaply, load encoder and images, and say and write what they are."""
    import torch

    from unseen.runs.run_loggers import make_loggers, named_anew
    from unseen.runs.transfer.embedding import Embedder
    from unseen.runs.transfer.fine_tuning import (
        check_shares,
        check_technique,
        fine_tuning_trainer,
        unfinished,
    )
    from unseen.runs.transfer.parts import check_tasks, settings_of_others, task_of

    with user_errors(ValueError, OSError, RuntimeError):
        settings = settings_of_others(plain["data"]["name"], plain["others"] or [], _composed_data)
        chosen = str(choices()["technique"])
        check_countermeasures(plain, chosen, settings)
        check_tasks(plain, settings)
        torch.manual_seed(plain["seed"])
        encoder = _encoder(plain).eval()
        gc.enable()
        task = task_of(plain["data"], encoder, plain, captions=plain)
        others = [task_of(one, encoder, plain, captions=one) for one in settings.values()]
    tasks = [task, *others]
    check_shares(tasks, plain)
    if not plain["measure_only"]:
        check_technique(encoder, task, plain)
    technique = "none" if plain["measure_only"] else technique_label(chosen, plain)
    plain["model"]["name"] = name = str(choices()["encoder"])
    plain["logger"] = named_anew(run.config.logger, plain)
    known = Rows.read(run.folder.path) if unfinished(run) else []
    loggers, _ = make_loggers(run.folder, plain, job_type="transfer")
    trainer = fine_tuning_trainer(plain, loggers)
    ranks.look_after(trainer)
    embedder = Embedder(trainer, plain["batch_size"], plain["trainer"]["eval_precision"])
    with user_errors(ValueError, OSError, RuntimeError):
        vectors = label_vectors(encoder, task.names, plain["label_models"], embedder.device)
    rows = Rows(run.folder.path, name)
    measured = [row for row in known if not row.technique and not row.measure.startswith("accuracy")]
    work = _Work(run, plain, encoder, tasks, technique, trainer, embedder, vectors, rows, measured)
    _describe(work)
    return work


def _describe(work: _Work) -> None:
    run, plain, encoder, (task, *others) = work.run, work.plain, work.encoder, work.tasks
    run.folder.add_facts(
        kind="transfer",
        model=plain["model"]["name"],
        encoder=encoder.name,
        composed=encoder.composed,
        label_models=plain["label_models"] or ("demo" if work.vectors else None),
        data=task.task.name,
        technique=work.technique,
        l2_to_init=plain["l2_to_init"],
        replay=plain["replay"],
        classes=len(task.task.classes),
        train_images=len(task.task.train),
        test_images=len(task.task.test),
        others=[other.task.name for other in others],
        config_hash=run.config_hash,
    )
    if is_first_process():
        write_text(run.folder.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain)))
    if encoder.composed:
        notice(f"{encoder.name}: two towers trained apart and joined, a demonstration and no CLIP")
    if run.folder.summary["label_models"] == "demo":
        notice(DEMO_LABELS)
    say(
        f"{encoder.name} on {task.task.name}: {count(len(task.task.classes), 'class', 'classes')}, "
        f"{len(task.task.train):,} training and {len(task.task.test):,} test images"
    )


def _transfer(work: _Work) -> None:
    run, rows, encoder, task = work.run, work.rows, work.encoder, work.tasks[0]
    test_images = [work.embedder.features(encoder, one, "test") for one in work.tasks]
    before = _tested(encoder, work.tasks, test_images)
    for captioned, right in zip(work.tasks, before, strict=True):
        rows.add(accuracy_row(captioned.task.name, "accuracy_before", right))
    train_images = work.embedder.features(encoder, task, "train")
    if is_first_process():
        _measure(work, train_images, test_images[0])
    work.embedder.wait()  # for the first process
    curve = None
    if not work.plain["measure_only"]:
        curve = _fine_tune(work, train_images, test_images, before)
    if is_first_process():
        log_rows(work.trainer.loggers, rows, work.trainer.global_step)
        run.folder.write_summary("finished")
        console().print(rows.table(f"{encoder.name} on {task.task.name}"))
        if curve:
            console().print(curve.table())
    say(f"files in {shown_path(run.folder.path)}")


def _measure(work: _Work, images: ImageFeatures, test_images: ImageFeatures) -> None:
    """Add to the rows what is measured of the untrained encoder on the training images, and write what is wanted."""
    folder, plain, encoder, task = work.run.folder, work.plain, work.encoder, work.tasks[0]
    device = work.embedder.device
    further = {"shares": "sample_need.csv", "prompts": "prompts.csv", "save_embeddings": "embeddings.npz"}
    if work.measured and all((folder.path / file).exists() for key, file in further.items() if plain[key]):
        work.rows.add(*work.measured)
        folder.add_facts(values=work.rows.values())
        folder.write_summary("running")
        return
    given = embedded(encoder, task, images, device) | {"label_embeddings": work.vectors}
    measure(work.run, plain, task.task.name, given, work.rows)
    if plain["prompts"]:
        console().print(write_prompts(folder.path, encoder, task, given, test_images, plain, device))
    if plain["save_embeddings"]:
        save_embeddings(folder, given, encoder, task.task)


def _fine_tune(
    work: _Work,
    train_images: ImageFeatures,
    test_images: Sequence[ImageFeatures],
    before: Sequence[Tensor],
) -> Curve | None:
    """Train on the first task, test on all, add to the rows; return the curve between both ends, if that is wanted."""
    from unseen.encoders.forgetting import copied
    from unseen.runs.transfer.fine_tuning import fine_tune, with_technique
    from unseen.runs.transfer.interpolation import Curve, decisions_between

    run, plain, rows, tasks, embedder = work.run, work.plain, work.rows, work.tasks, work.embedder
    task, *others = tasks
    zero_shot = copied(work.encoder) if plain["alphas"] else {}
    tuned = with_technique(work.encoder, task, plain).to(embedder.device)
    same_tower = not task.trains_image_tower(tuned, embedder.device)  # what it made of the images stays

    def test_images_now() -> Sequence[ImageFeatures]:
        return test_images if same_tower else [embedder.features(tuned, one, "test") for one in tasks]

    fine_tune(tuned, task, others, train_images if same_tower else None, plain, run, work.trainer, embedder)
    images = test_images_now()
    # a linear probe serves its task alone, and leaves the encoder as it was
    elsewhere = work.encoder if work.technique == "probe" else tuned
    after = _tested(tuned, [task], images[:1]) + _tested(elsewhere, others, images[1:])
    rows.add(*change_rows(tasks, before, after, work.technique))
    run.folder.add_facts(values=rows.values())
    if not plain["alphas"]:
        return None
    run.folder.write_summary("running")
    names = [captioned.task.name for captioned in tasks]
    curve = Curve(run.folder.path, plain["model"]["name"], work.technique, names, before)
    for alpha, right in decisions_between(
        tuned, zero_shot, plain["alphas"], lambda: _tested(tuned, tasks, test_images_now())
    ):
        curve.add(alpha, right)
        run.folder.add_facts(interpolation=curve.facts())
    return curve


# ------------------------------------------------------------------ settings
def _checked(config: DictConfig) -> dict[str, Any]:
    """Return the resolved settings, after all that can be checked without loading anything large."""
    from unseen.runs.objects import check_object
    from unseen.runs.schema import check_settings, read_places
    from unseen.runs.trainer import TWO_PASSES, check_trainer
    from unseen.runs.transfer.fine_tuning import trainer_settings
    from unseen.runs.unread import check_read
    from unseen.settings import value_at

    with user_errors(OmegaConfBaseException):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    with user_errors():
        check_read("transfer", config, HydraConfig.instance().cfg, plain)
        check_settings(plain, read_places(config, HydraConfig.instance().cfg))
        places = ("encoder", "technique", "data.source", "model.optimizer")
        for place in () if is_of_embeddings(plain) else places:
            check_object(value_at(plain, place.split(".")), place)
        for logger, node in plain["logger"].items():
            if node is not None:
                check_object(node, f"logger.{logger}")
        if plain["shares"] and plain["draws"] in {0, 1}:
            raise ValueError(
                f"draws={plain['draws']} is too few for shares, which need 2 draws of each at least"
            )
    quiet_libraries()
    with user_errors():
        check_trainer(trainer_settings(plain))
        if value_at(plain, ("model", "optimizer", "_target_")) == TWO_PASSES:
            raise ValueError(
                "optimizer=sam is not read by transfer.py, whose steps have one pass; choose another"
            )
    if plain["extras"]["print_config"]:
        console().print(settings_tree(plain))
    return plain


def _composed_data(name: str) -> dict[str, Any]:
    """Return the settings of a data set as its file has them, in the folders and at the size that were typed."""
    loader = GlobalHydra.instance().config_loader()
    known = [one for one in loader.get_group_options("data") if not one.startswith("_")]
    if name not in known:
        raise ValueError(
            f"others={name} is not a data set{suggestion(name, known)}; choose among {', '.join(known)}"
        )
    typed = [
        text
        for text in HydraConfig.get().overrides.task
        if key_of(text) == "size" or key_of(text).startswith("paths.")
    ]
    try:
        config = loader.load_configuration("transfer", [*typed, f"data={name}"], RunMode.RUN)
        return OmegaConf.to_container(config.data, resolve=True)  # type: ignore[return-value]
    except Exception as error:
        raise ValueError(f"others={name}: {one_line(error)}") from error


def _encoder(plain: dict[str, Any]) -> Encoder:
    from unseen.encoders.encoder import Encoder
    from unseen.runs.objects import make

    made: Encoder = make(plain["encoder"], "encoder", Encoder)
    return made


# ------------------------------------------------------------------ measuring
def _tested(encoder: Encoder, tasks: Sequence[Captioned], images: Sequence[ImageFeatures]) -> list[Tensor]:
    return [captioned.right(encoder, of_task) for captioned, of_task in zip(tasks, images, strict=True)]
