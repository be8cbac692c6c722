"""A run's objects from its configuration; what is cheap to check is checked before data and weights are loaded."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.atomic_files import clear_leftovers
from unseen.probe_table import SETTINGS
from unseen.process_rank import is_first_process
from unseen.run_folder import RunFolder
from unseen.run_state import lock_folder, read_summary
from unseen.runs.checkpoints import Checkpoint, load_weights, read_checkpoint
from unseen.runs.console import console, notice, quiet_libraries, say, settings_tree
from unseen.runs.data_parts import make_datamodule
from unseen.runs.errors import UserError, user_errors
from unseen.runs.identity import (
    config_hash,
    images_hash,
    library_versions,
    set_by,
    typed_checkpoint,
    typed_settings,
)
from unseen.runs.objects import check_objects, make
from unseen.runs.opening import network_line, opening_line
from unseen.runs.own_folder import JOB, own_checkpoint
from unseen.runs.provenance import (
    check_resumable,
    make_provenance,
    resume_scores,
    resumed_as_trained,
    scored_as_trained,
    seen_in_training,
    trained_before,
    training_of,
)
from unseen.runs.run_loggers import make_loggers, named_anew
from unseen.runs.schema import check_settings, checkpoint_path, read_places
from unseen.runs.thumbnails import write_thumbnails
from unseen.runs.trainer import check_passes, check_trainer, make_trainer, ranks_of
from unseen.runs.trust import check_trusted
from unseen.runs.unread import check_read
from unseen.selector_table import Selector, chosen
from unseen.wording import count, listing

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from lightning.pytorch import Callback, Trainer

    from unseen.backbones.protocol import BackboneSpec
    from unseen.backbones.tuning import Tuning
    from unseen.callbacks.layer_probe import LayerProbe
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.runs.wandb_view import WandbView
    from unseen.training import SeenClassifier


@dataclass(frozen=True)
class Run:
    """A run that has its folder, and holds the lock on it on the process that writes."""

    config: DictConfig
    folder: RunFolder
    config_hash: str
    lock: BaseFileLock | None


@dataclass(frozen=True)
class Parts:
    """What a run is made of; `checkpoint` is what it goes on from or scores, `k` are NN@k's neighbours by split."""

    module: SeenClassifier
    datamodule: SeenUnseenDataModule
    trainer: Trainer
    probe: LayerProbe | None
    probe_at_start: bool
    checkpoint: Path | None
    k: dict[str, int]
    view: WandbView | None


_OF_SWEEPS = {"plan": "sweeps", "resume": "sweeps", "optimized_metric": "searches (hparams_search=optuna)"}


def begin(config: DictConfig) -> Run:
    """Return a run whose folder is there and locked.

    Raises:
        UserError: The folder cannot be written, another process has finished the run, or what only a sweep reads was
            typed.
    """
    for name, read_by in _OF_SWEEPS.items():
        if config.get(name) and not os.environ.get(JOB):
            raise UserError(
                f"{name}={str(config[name]).lower()} is read by {read_by} only: add -m, or leave it out"
            )
    with user_errors(OmegaConfBaseException):
        path = Path(config.paths.output_dir)
        digest = config_hash(config, path)
        facts = {
            "model": str(config.model.name),
            "data": str(config.data.name),
            "size": str(config.size),
            "seed": config.seed if isinstance(config.seed, int) else str(config.seed),
            "checkpoint": typed_checkpoint(config.ckpt_path, path),
            "command": sys.argv,
            "versions": library_versions(),
        }
    first = is_first_process()
    with user_errors():
        folder = RunFolder(path, facts, writes=first)
        lock = lock_folder(path) if first else None
        if first:
            if os.environ.get(JOB) and read_summary(path).get("status") == "finished":
                raise ValueError(f"{path} was finished by another process in the meantime")
            clear_leftovers(path)
    return Run(config, folder, digest, lock)


def build(run: Run, *, training: bool) -> Parts:
    """Check everything that can be checked cheaply, then load data and weights.

    Raises:
        UserError: A sentence on what was typed, or on a file or network that is missing.
    """
    with user_errors(OmegaConfBaseException):
        plain: dict[str, Any] = OmegaConf.to_container(run.config, resolve=True)  # type: ignore[assignment]
    with user_errors():
        path = checkpoint_path(plain.get("ckpt_path"))
        read = read_places(run.config, HydraConfig.instance().cfg)
        check_read("train" if training else "eval", run.config, HydraConfig.instance().cfg, plain)
        if training or not path:
            check_settings(plain, read)
        own = own_checkpoint(run.folder.path)
        path = own or path
        checkpoint = read_checkpoint(path, resume=training) if path else None
        scored = None if training else checkpoint
        if checkpoint and not own:  # a sweep types all settings of its jobs
            check_trusted(checkpoint, plain, training=training)
            as_trained = resumed_as_trained if training else scored_as_trained
            plain = as_trained(plain, checkpoint.made_by, typed_settings())
            # what a checkpoint holds was read when it was made
            held = {(group, key) for group in ("model", "data") for key in checkpoint.made_by[group]}
            check_settings(plain, read | held)
            plain["logger"] = named_anew(run.config.logger, plain)
        check_objects(plain, training=not scored)
        if plain["extras"]["print_config"] and is_first_process():
            console().print(settings_tree(plain))
        quiet_libraries()
        check_trainer(plain["trainer"])
        if training:
            check_passes(plain["model"]["optimizer"], plain["trainer"])
    run.folder.write_summary("running")
    say(opening_line(plain, training=training, checkpoint=path))
    spec, datamodule = _data(plain, training=training)
    provenance = make_provenance(
        plain, datamodule.split, datamodule.num_classes, datamodule.references("train")
    )
    if checkpoint and training:
        with user_errors():
            check_resumable(checkpoint, provenance)
            resume_scores(checkpoint, run.folder)
    k = datamodule.neighbors(plain["probe"]["k"])
    _describe(run, plain, datamodule, k, scored)
    module = _module(plain, spec, datamodule, provenance, checkpoint, training=training)
    _count_parameters(run, module, training=training)
    loggers, view = make_loggers(run.folder, plain, job_type="train" if training else "eval")
    probe, callbacks = _callbacks(
        plain,
        k["unseen"],
        len(datamodule.split.unseen_names),
        view or run.folder,
        training=training,
        at=scored.at if scored else None,
    )
    trainer = make_trainer(plain["trainer"], callbacks, loggers)
    if plain["probe"].get("layer_costs") and is_first_process():
        run.folder.add_facts(layer_costs=_layer_costs(module, trainer))
    say(network_line(module.backbone, trainer, training=training))
    return Parts(module, datamodule, trainer, probe, plain["probe"]["at_start"], path, k, view)


def _data(plain: dict[str, Any], *, training: bool) -> tuple[BackboneSpec, SeenUnseenDataModule]:
    """Return what makes the network, and the images ready for it; both agree with the settings."""
    from unseen.backbones.discovery import check_single_images
    from unseen.backbones.tuning import check_tuning

    with user_errors(), _told_what_sets_it():
        file = _weights_file(plain)
        node = plain["model"]["backbone"] | ({"pretrained": False} if file else {})
        spec: BackboneSpec = make(node, "model.backbone", methods=("check", "build"))
        datamodule = make_datamodule(plain, spec, training=training)
        spec.check(plain["data"]["image_size"])
        check_tuning(_tuning(plain), spec, plain["data"]["image_size"])
        if training and plain["data"]["batch_size"] == 1:
            check_single_images(spec, plain["data"]["image_size"])
        shots = max(_probe_settings(plain)["few_shot"], default=0)
        datamodule.check(
            plain["probe"]["k"],
            ranks=ranks_of(plain["trainer"]),
            shots=shots,
            limit_train_batches=plain["trainer"].get("limit_train_batches", 1.0) if training else 1.0,
        )
        datamodule.prepare_data()
        datamodule.setup()
    return spec, datamodule


@contextmanager
def _told_what_sets_it() -> Iterator[None]:
    """Add to an error on a setting of the data which chosen file has set it: nobody typed `data.train_size=72`."""
    try:
        yield
    except ValueError as error:
        named = re.match(r"(?:data\.)?(\w+)=", str(error))
        if named is None or (choice := set_by(f"data.{named[1]}")) is None:
            raise
        raise ValueError(f"{error} (set by {choice}; a typed data.{named[1]} replaces it)") from error


def _weights_file(plain: dict[str, Any]) -> Path | None:
    typed = plain["model"].get("checkpoint")
    path = Path(typed).expanduser() if typed else None
    if path is not None and not path.is_file():
        raise ValueError(f"model.checkpoint={path} is not a file")
    return path


def _describe(
    run: Run,
    plain: dict[str, Any],
    datamodule: SeenUnseenDataModule,
    k: dict[str, int],
    scored: Checkpoint | None,
) -> None:
    """Write what the run is into its folder, and print what its data are."""
    import torch

    counts, selectors = datamodule.counts(), _selectors(plain)
    run.folder.add_facts(
        model=plain["model"]["name"],  # a checkpoint brings its own
        data=plain["data"]["name"],
        size=plain["size"],
        seed=plain["seed"],
        image_size=plain["data"]["image_size"],
        unseen=list(datamodule.split.unseen_names),
        split_hash=datamodule.split.hash(),
        config_hash=run.config_hash,
        images_hash=images_hash(plain),
        k=k["unseen"],
        k_seen=k["seen"],
        threads=torch.get_num_threads(),  # their number moves results in the last digits, and training with them
        **counts,
        **({"recommended_by": selectors[0].name} if selectors else {}),
        **({"trained": training_of(scored)} if scored else {}),
    )
    split = datamodule.split.to_dict() | {"train_images": datamodule.training_counts()}
    run.folder.write_inputs(OmegaConf.to_yaml(OmegaConf.create(plain)), split)
    if plain["data"].get("thumbnails", True) and is_first_process():
        write_thumbnails(run.folder.path, datamodule)
    say(f"{plain['data']['name']}: {datamodule.description()}")
    if scored and (known := seen_in_training(scored, plain["data"]["name"], datamodule.split.unseen_names)):
        notice(
            f"the network was trained on {listing(known)}, unseen here: g says nothing about classes that it has "
            "never seen"
        )
    if datamodule.left_out_notice:
        notice(datamodule.left_out_notice)
    if k["seen"] < k["unseen"]:
        notice(
            f"NN@k of the seen classes looks at {k['seen']} neighbours, not at {k['unseen']}: there are "
            f"{counts['seen_test_images']} seen test images"
        )
    if datamodule.bad_files:
        were = "were" if len(datamodule.bad_files) > 1 else "was"
        notice(f"{count(len(datamodule.bad_files), 'unreadable image')} {were} left out (data.skip_bad=true)")
    if datamodule.decode_notice:
        notice(datamodule.decode_notice)


def _probe_settings(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of the probes; checkpoints of before one was there do without."""
    return {name: plain["probe"].get(name, setting.default) for name, setting in SETTINGS.items()}


def _selectors(plain: dict[str, Any]) -> tuple[Selector, ...]:
    """Return what chooses a layer without labels of the unseen classes; checkpoints of before name none."""
    return chosen(plain["probe"].get("selectors", "default"))


def _module(
    plain: dict[str, Any],
    spec: BackboneSpec,
    datamodule: SeenUnseenDataModule,
    provenance: dict[str, Any],
    checkpoint: Checkpoint | None,
    *,
    training: bool,
) -> SeenClassifier:
    import torch
    from lightning.pytorch import seed_everything

    from unseen.backbones.files import load_file
    from unseen.backbones.protocol import prefers_channels_last
    from unseen.training import SeenClassifier

    model, trainer = plain["model"], plain["trainer"]
    scored = None if training else checkpoint
    seed_everything(plain["seed"], workers=True, verbose=False)
    num_classes = scored.made_by["num_classes"] if scored else datamodule.num_classes
    with user_errors(ValueError, OSError, RuntimeError):
        size = plain["data"]["image_size"]
        backbone = spec.build(num_classes, size)
        if checkpoint is None and (file := _weights_file(plain)):
            with torch.random.fork_rng(devices=[]):
                other = spec.build(num_classes + 1, size)
            notice(load_file(backbone.network, file, other.network).sentence(file))
        _tuning(plain)(backbone)
    channels_last = model["channels_last"]
    module = SeenClassifier(
        backbone,
        **({} if scored else _optimization(model)),
        seed=plain["seed"],
        provenance=provenance,
        channels_last=prefers_channels_last(backbone) if channels_last == "auto" else channels_last,
        log_steps=trainer["log_every_n_steps"],
        eval_precision=trainer["eval_precision"],
        score_accuracy=training or (scored is not None and _tests_it(scored, provenance, datamodule)),
    )
    if scored:
        with user_errors():
            load_weights(module, scored)
    return module


def _tuning(plain: dict[str, Any]) -> Tuning:
    """Return what chooses the trained parameters; checkpoints of before there was a choice trained all."""
    from unseen.backbones.tuning import full

    node = plain["model"].get("tuning")
    return make(node | {"_partial_": True}, "model.tuning") if node else full


def _count_parameters(run: Run, module: SeenClassifier, *, training: bool) -> None:
    """Write how many parameters the network has, and how many of them are trained."""
    from unseen.backbones.tuning import counted

    total, trained = counted(module.backbone)
    run.folder.add_facts(parameters=total, **({"trainable_parameters": trained} if training else {}))


def _layer_costs(module: SeenClassifier, trainer: Trainer) -> dict[str, Any]:
    """Return what the network costs up to each layer, where it will be trained; it stays as it is."""
    import torch

    from unseen.backbones.layer_costs import layer_costs
    from unseen.full_precision import full_precision

    root = trainer.strategy.root_device
    device = root if root.type == "cuda" else torch.device("cpu")
    with full_precision(device, module.eval_precision):
        return asdict(layer_costs(module.backbone, device, memory_format=module.memory_format))


def _optimization(model: dict[str, Any]) -> dict[str, Any]:
    """Return the loss, and what makes the optimiser and its schedule."""
    from torch.nn import Module

    scheduler = dict(model["scheduler"])
    epochs = scheduler.pop("epochs", None)
    return {
        "loss": make(model["loss"], "model.loss", Module),
        "optimizer": make(model["optimizer"] | {"_partial_": True}, "model.optimizer"),
        "scheduler": make(scheduler | {"_partial_": True}, "model.scheduler"),
        "schedule_epochs": epochs,
    }


def _tests_it(scored: Checkpoint, provenance: dict[str, Any], datamodule: SeenUnseenDataModule) -> bool:
    """Whether the seen test images are a test for the checkpoint's network: its classes, and none trained on."""
    if scored.made_by["split_hash"] != provenance["split_hash"]:
        return False
    images = datamodule.references("seen")
    known = trained_before(scored, images)
    if known:
        notice(
            f"{known} of the {len(images)} seen test images have the names of images that this network was trained on "
            "(files were added, or the data are divided in another way), so no seen accuracy is reported"
        )
    return not known


def _callbacks(
    plain: dict[str, Any],
    k: int,
    num_unseen: int,
    listener: RunFolder | WandbView,
    *,
    training: bool,
    at: tuple[int, int] | None,
) -> tuple[LayerProbe | None, list[Callback]]:
    """Return the probing callback and all callbacks; `neighbors` cuts k, the unseen images', for the seen ones."""
    from lightning.pytorch.callbacks import Callback, Checkpoint

    from unseen.callbacks.evaluation_steps import StepAxis
    from unseen.callbacks.last_checkpoint import LastCheckpoint
    from unseen.callbacks.layer_probe import LayerProbe
    from unseen.callbacks.progress import PhaseProgress
    from unseen.probes import ProbeSuite

    progress, probe = PhaseProgress(console(), at), None
    made: list[Callback] = [StepAxis(at)]
    with user_errors():
        for name, node in plain["callbacks"].items():
            place = f"callbacks.{name}"
            if node is None:
                continue
            if name == "layer_probe":
                probe = make(
                    node,
                    place,
                    LayerProbe,
                    suite=ProbeSuite(
                        selectors=_selectors(plain),
                        num_unseen=num_unseen,
                        **_probe_settings(plain) | {"k": k},
                    ),
                    run_folder=listener,
                    noise_levels=tuple(plain["probe"]["noise_levels"]),
                    save_embeddings=plain["probe"]["save_embeddings"],
                    ensembles=plain["probe"].get("ensembles", False),
                    on_phase=progress.phase,
                    at=at,
                )
                made.append(probe)
            else:
                callback = make(node, place, Callback)
                if training or not isinstance(callback, Checkpoint):  # a scored one is not written again
                    made.append(callback)
    # what a resumed run continues from comes last: it must know the best of the same evaluation
    made.sort(key=lambda callback: isinstance(callback, LastCheckpoint))
    return probe, [*made, progress]
