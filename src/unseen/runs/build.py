"""A run's objects from its configuration; what is cheap to check is checked before data and weights are loaded."""

from __future__ import annotations

import inspect
import os
import sys
from dataclasses import dataclass
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
from unseen.runs.checkpoints import (
    check_resumable,
    check_trusted,
    check_weights,
    make_provenance,
    own_checkpoint,
    read_checkpoint,
    resume_scores,
    scored_as_trained,
    trained_before,
)
from unseen.runs.command_facts import choices, library_versions, typed_settings
from unseen.runs.console import closing_line, console, layer_table, notice, quiet_libraries
from unseen.runs.errors import user_errors
from unseen.runs.identity import config_hash, images_hash, typed_checkpoint
from unseen.runs.loggers import finish_wandb
from unseen.runs.machine_processes import processes_to_fit, ranks_of
from unseen.runs.objects import check_objects, make
from unseen.runs.own_folder import JOB
from unseen.runs.schema import Place, check_settings, checkpoint_path, read_places
from unseen.runs.trainer import check_trainer, make_trainer
from unseen.runs.typed_line import taken_literally
from unseen.wording import one_line

if TYPE_CHECKING:
    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.loggers import Logger

    from unseen.backbones.protocol import BackboneSpec
    from unseen.callbacks.layer_probe import LayerProbe
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.runs.wandb_view import WandbView
    from unseen.training import SeenClassifier


@dataclass(frozen=True)
class Parts:
    """What a run function takes."""

    module: SeenClassifier
    datamodule: SeenUnseenDataModule
    trainer: Trainer
    probe: LayerProbe | None
    probe_at_start: bool
    checkpoint: Path | None


class Run:
    """One run: its folder at once, its parts when they are built.

    Args:
        config: The composed configuration of train.yaml or eval.yaml.
    """

    def __init__(self, config: DictConfig) -> None:
        self._config = config
        with user_errors(OmegaConfBaseException):
            facts = {
                "model": str(config.model.name),
                "data": str(config.data.name),
                "size": str(config.size),
                "seed": config.seed if isinstance(config.seed, int) else str(config.seed),
            }
            folder = Path(config.paths.output_dir)
            self._checkpoint = typed_checkpoint(config.ckpt_path, folder)
            self._config_hash = config_hash(config, folder)
        with user_errors():
            self.folder = RunFolder(
                folder,
                facts | {"checkpoint": self._checkpoint, "command": sys.argv, "versions": library_versions()},
                writes=is_first_process(),
            )
            self._lock = lock_folder(folder) if is_first_process() else None
            if self._lock:
                if os.environ.get(JOB) and read_summary(folder).get("status") == "finished":
                    raise ValueError(f"{folder} was finished by another process in the meantime")
                clear_leftovers(folder)
        self._k: dict[str, int] = {}
        self._wandb: WandbView | None = None

    def build(self, *, training: bool) -> Parts:
        """Check everything that can be checked cheaply, then load data and weights.

        Raises:
            UserError: A sentence on what was typed, or on a file or network that is missing.
        """
        with user_errors(OmegaConfBaseException):
            plain: dict[str, Any] = OmegaConf.to_container(self._config, resolve=True)  # type: ignore[assignment]
        with user_errors():
            read = read_places(self._config, HydraConfig.instance().cfg)
            checkpoint = checkpoint_path(plain.get("ckpt_path"))
            if training or not checkpoint:
                check_settings(plain, read)
            checkpoint = own_checkpoint(self.folder.path) or checkpoint
            content = read_checkpoint(checkpoint, resume=training) if checkpoint else None
            stored = content["unseen"] if content else None
            if checkpoint and stored and not training:
                plain = self._as_stored(plain, stored, checkpoint, read)
            check_objects(plain)
            quiet_libraries()
            check_trainer(plain["trainer"])
        self.folder.write_summary("running")
        from unseen.backbones.discovery import check_single_images

        with user_errors():
            spec: BackboneSpec = make(
                plain["model"]["backbone"], "model.backbone", methods=("check", "build")
            )
            datamodule = _datamodule(plain, spec)
            spec.check(plain["data"]["image_size"])
            if training and plain["data"]["batch_size"] == 1:
                check_single_images(spec, plain["data"]["image_size"])
            datamodule.check(plain["probe"]["k"], ranks=ranks_of(plain["trainer"]))
            datamodule.prepare_data()
            datamodule.setup()
        provenance = make_provenance(
            plain, datamodule.split, datamodule.num_classes, datamodule.references("train")
        )
        if stored and training:
            assert checkpoint is not None
            assert content is not None
            with user_errors():
                check_resumable(provenance, stored, checkpoint)
                resume_scores(self.folder, checkpoint, content["global_step"])
        self._describe(plain, datamodule)
        scored = stored if not training else None
        module = self._module(plain, spec, datamodule, provenance, scored, training=training)
        at = None
        if scored:
            assert checkpoint is not None
            assert content is not None
            _load_weights(module, content["state_dict"], checkpoint)
            at = (content["global_step"], content["epoch"])
        loggers = self._loggers(plain, job_type="train" if training else "eval")
        probe, callbacks, progress = self._callbacks(plain, training=training, at=at)
        trainer = make_trainer(plain["trainer"], [*callbacks, progress], loggers)
        return Parts(module, datamodule, trainer, probe, plain["probe"]["at_start"], checkpoint)

    def close_loggers(self, *, failed: bool) -> None:
        """End the W&B run, if there is one."""
        if self._wandb is not None:
            self._wandb.close()
        finish_wandb(failed=failed)

    def show(self) -> None:
        """Print the table of layers and the answer."""
        out = console()
        if len(self.folder.table) == 0 or not is_first_process():
            return
        facts = self.folder.summary
        out.print(
            layer_table(
                self.folder.table,
                title=f"{facts['model']} on {facts['data']}, step {facts['steps']}",
                k=self._k,
                width=out.width,
            )
        )
        out.print(
            closing_line(self.folder.table, seen_accuracy=facts["seen_accuracy"], folder=self.folder.path),
            soft_wrap=True,
        )

    # ------------------------------------------------------------------ parts
    def _describe(self, plain: dict[str, Any], datamodule: SeenUnseenDataModule) -> None:
        import torch

        counts = datamodule.counts()
        self._k = datamodule.neighbors(plain["probe"]["k"])
        self.folder.add_facts(
            model=plain["model"]["name"],  # a checkpoint brings its own
            data=plain["data"]["name"],
            size=plain["size"],
            seed=plain["seed"],
            image_size=plain["data"]["image_size"],
            split_hash=datamodule.split.hash(),
            config_hash=self._config_hash,
            images_hash=images_hash(plain),
            k=self._k["unseen"],
            k_seen=self._k["seen"],
            threads=torch.get_num_threads(),  # their number moves results in the last digits, and training with them
            **counts,
        )
        self.folder.write_inputs(OmegaConf.to_yaml(OmegaConf.create(plain)), datamodule.split.to_dict())
        if is_first_process():
            console().print(f"{plain['data']['name']}: {datamodule.description()}", soft_wrap=True)
        if datamodule.left_out_notice:
            notice(datamodule.left_out_notice)
        if self._k["seen"] < self._k["unseen"]:
            notice(
                f"NN@k of the seen classes looks at {self._k['seen']} neighbours, not at {self._k['unseen']}: there "
                f"are {counts['seen_test_images']} seen test images"
            )
        if datamodule.bad_files:
            notice(f"{len(datamodule.bad_files)} unreadable images were left out (data.skip_bad=true)")
        if datamodule.decode_notice:
            notice(datamodule.decode_notice)

    def _module(
        self,
        plain: dict[str, Any],
        spec: BackboneSpec,
        datamodule: SeenUnseenDataModule,
        provenance: dict[str, Any],
        stored: dict[str, Any] | None,
        *,
        training: bool,
    ) -> SeenClassifier:
        from lightning.pytorch import seed_everything

        from unseen.backbones.protocol import prefers_channels_last
        from unseen.training import SeenClassifier

        seed_everything(plain["seed"], workers=True, verbose=False)
        num_classes = stored["num_classes"] if stored else datamodule.num_classes
        with user_errors(ValueError, OSError, RuntimeError):
            backbone = spec.build(num_classes, plain["data"]["image_size"])
        model = plain["model"]
        channels_last = model["channels_last"]
        if channels_last == "auto":
            channels_last = prefers_channels_last(backbone)
        return SeenClassifier(
            backbone,
            lr=model["optimizer"]["lr"],
            weight_decay=model["optimizer"]["weight_decay"],
            betas=tuple(model["optimizer"]["betas"]),
            eps=model["optimizer"]["eps"],
            warmup_steps=model["scheduler"]["warmup_steps"],
            schedule_epochs=model["scheduler"]["epochs"],
            seed=plain["seed"],
            provenance=provenance,
            channels_last=channels_last,
            log_steps=plain["trainer"]["log_every_n_steps"],
            eval_precision=plain["trainer"]["eval_precision"],
            score_accuracy=training or (stored is not None and _tests_it(stored, provenance, datamodule)),
        )

    def _as_stored(
        self, plain: dict[str, Any], stored: dict[str, Any], checkpoint: Path, read: frozenset[Place]
    ) -> dict[str, Any]:
        """Return the configuration with what the checkpoint brings, checked like all that is typed."""
        check_trusted(stored, plain, checkpoint)
        plain = scored_as_trained(plain, stored, typed_settings())
        # what a checkpoint holds was read when it was made
        check_settings(plain, read | {(group, key) for group in ("model", "data") for key in stored[group]})
        plain["logger"] = self._named_anew(plain)
        return plain

    def _named_anew(self, plain: dict[str, Any]) -> Any:
        """Return the loggers' settings with the names of the network and data that the checkpoint brought."""
        unresolved = OmegaConf.to_container(self._config.logger, resolve=False)
        around = OmegaConf.create(taken_literally(plain) | {"logger": unresolved})
        return OmegaConf.to_container(around.logger, resolve=True)

    def _loggers(self, plain: dict[str, Any], *, job_type: str) -> list[Logger]:
        from lightning.pytorch.loggers import Logger, WandbLogger

        with user_errors(ValueError, OSError):
            loggers: list[Logger] = []
            for name, node in plain["logger"].items():
                if node is not None:
                    maker = make(node | {"_partial_": True}, f"logger.{name}")
                    job = {"job_type": job_type} if "job_type" in inspect.signature(maker).parameters else {}
                    loggers.append(make(node, f"logger.{name}", Logger, **job))
        for logger in loggers:
            logger.log_hyperparams(plain | {"choices": choices()})
            if isinstance(logger, WandbLogger) and is_first_process():
                from unseen.runs.wandb_view import WandbView

                self._wandb = WandbView(self.folder, logger.experiment)
        return loggers

    def _callbacks(
        self, plain: dict[str, Any], *, training: bool, at: tuple[int, int] | None
    ) -> tuple[LayerProbe | None, list[Callback], Callback]:
        from lightning.pytorch.callbacks import Callback, Checkpoint

        from unseen.callbacks.last_checkpoint import LastCheckpoint
        from unseen.callbacks.layer_probe import LayerProbe
        from unseen.callbacks.progress import PhaseProgress
        from unseen.callbacks.step_axis import StepAxis
        from unseen.probes import ProbeSuite

        progress = PhaseProgress(console(), at)
        settings = {name: plain["probe"][name] for name in SETTINGS}
        # `neighbors` cuts k for the seen images
        suite = ProbeSuite(**settings | {"k": self._k["unseen"]})
        made: list[Callback] = [StepAxis(at)]
        probe: LayerProbe | None = None
        for name, node in plain["callbacks"].items():
            if node is None:
                continue
            if name == "layer_probe":
                with user_errors():
                    probe = make(
                        node,
                        "callbacks.layer_probe",
                        LayerProbe,
                        suite=suite,
                        run_folder=self._wandb or self.folder,
                        noise_levels=tuple(plain["probe"]["noise_levels"]),
                        save_embeddings=plain["probe"]["save_embeddings"],
                        on_phase=progress.phase,
                        at=at,
                    )
                made.append(probe)
            else:
                with user_errors():
                    callback = make(node, f"callbacks.{name}", Callback)
                if training or not isinstance(callback, Checkpoint):  # a scored one is not written again
                    made.append(callback)
        # what a resumed run continues from comes last: it must know the best of the same evaluation
        made.sort(key=lambda callback: isinstance(callback, LastCheckpoint))
        return probe, made, progress


def _datamodule(plain: dict[str, Any], spec: BackboneSpec) -> SeenUnseenDataModule:
    from unseen.data.canvas_cache import CanvasCache
    from unseen.data.datamodule import SeenUnseenDataModule

    known = inspect.signature(SeenUnseenDataModule).parameters
    settings = {key: value for key, value in plain["data"].items() if key in known and key != "source"}
    source = make(plain["data"]["source"], "data.source", methods=("check", "list", "read"))
    folder, limit = Path(plain["paths"]["data_dir"]).expanduser() / "cache", plain["data"]["cache_gb"] * 2**30
    processes = processes_to_fit(plain["trainer"])
    return SeenUnseenDataModule(
        source,
        **settings,
        seed=plain["seed"],
        mean=spec.mean,
        std=spec.std,
        cache=CanvasCache(folder, limit, processes) if limit > 0 else None,
        processes=processes,
    )


def _tests_it(stored: dict[str, Any], provenance: dict[str, Any], datamodule: SeenUnseenDataModule) -> bool:
    """Whether the seen test images are a test for the checkpoint's network: its classes, and none trained on."""
    if stored["split_hash"] != provenance["split_hash"]:
        return False
    images = datamodule.references("seen")
    known = trained_before(stored, images)
    if known:
        notice(
            f"{known} of the {len(images)} seen test images have the names of images that this network was trained on "
            "(files were added, or the data are divided in another way), so no seen accuracy is reported"
        )
    return not known


def _load_weights(module: SeenClassifier, state: dict[str, Any], checkpoint: Path) -> None:
    with user_errors():
        check_weights(state, checkpoint)
        try:
            module.load_state_dict(state)
        except RuntimeError as error:  # a line for each tensor
            raise ValueError(
                f"ckpt_path={checkpoint} does not fit the network that it names: {one_line(error)[:300]}"
            ) from error
