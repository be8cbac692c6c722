"""A run's objects from its configuration; what is cheap to check is checked before data and weights are loaded."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.folder_lock import FolderLock
from unseen.process_rank import is_first_process
from unseen.run_folder import RunFolder
from unseen.runs.command_facts import choices, library_versions, typed_settings
from unseen.runs.console import closing_line, console, layer_table, notice
from unseen.runs.errors import user_errors
from unseen.runs.identity import config_hash
from unseen.runs.loggers import finish_wandb
from unseen.runs.provenance import (
    check_resumable,
    make_provenance,
    read_provenance,
    resume_scores,
    scored_as_trained,
)
from unseen.runs.quiet import quiet_libraries
from unseen.runs.schema import check_types
from unseen.runs.trainer import check_machine, make_trainer

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
                "model": config.model.name,
                "data": config.data.name,
                "size": config.size,
                "seed": config.seed,
            }
            folder = Path(config.paths.output_dir)
        with user_errors():
            self.folder = RunFolder(
                folder,
                facts | {"command": sys.argv, "versions": library_versions()},
                writes=is_first_process(),
            )
            self._config_hash = config_hash(config)
            self._lock = FolderLock(folder) if is_first_process() else None
        self._k: int | None = None
        self._wandb: WandbView | None = None

    def build(self, *, training: bool) -> Parts:
        """Check everything that can be checked cheaply, then load data and weights.

        Raises:
            UserError: A sentence on what was typed, or on a file or network that is missing.
        """
        with user_errors(OmegaConfBaseException):
            plain: dict[str, Any] = OmegaConf.to_container(self._config, resolve=True)  # type: ignore[assignment]
        with user_errors():
            check_types(plain)
            check_machine(plain["trainer"])
            checkpoint = Path(plain["ckpt_path"]) if plain["ckpt_path"] else None
            stored = read_provenance(checkpoint) if checkpoint else None
            if stored and not training:
                plain = scored_as_trained(plain, stored, typed_settings())
                plain["logger"] = self._named_anew(plain)
        self.folder.write_summary("running")
        quiet_libraries()
        with user_errors():
            spec: BackboneSpec = instantiate(plain["model"]["backbone"], _convert_="all")
            datamodule = _datamodule(plain, spec)
            spec.check(plain["data"]["image_size"])
            datamodule.check(plain["probe"]["k"])
            datamodule.prepare_data()
            datamodule.setup()
        provenance = make_provenance(plain, datamodule.split, datamodule.num_classes)
        if stored and training:
            assert checkpoint is not None
            with user_errors():
                check_resumable(provenance, stored, checkpoint)
                resume_scores(self.folder, checkpoint, stored["global_step"])
        self._describe(plain, datamodule)
        scored = stored if not training else None
        module = self._module(plain, spec, datamodule, provenance, scored, training=training)
        if scored:
            assert checkpoint is not None
            _load_weights(module, checkpoint)
        loggers = self._loggers(plain, job_type="train" if training else "eval")
        probe, callbacks, progress = self._callbacks(plain, at_step=scored["global_step"] if scored else None)
        trainer = make_trainer(plain["trainer"], [*callbacks, progress], loggers)
        return Parts(module, datamodule, trainer, probe, plain["probe"]["at_start"], checkpoint)

    def end(self, status: Literal["finished", "failed"], reason: str | None = None) -> None:
        """Close the loggers and write how it ended."""
        if self._wandb is not None:
            self._wandb.close()
        finish_wandb(failed=status == "failed")
        self.folder.write_summary(status, reason)

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
        counts = datamodule.counts()
        self._k = plain["probe"]["k"] or counts["largest_unseen_class"]
        self.folder.add_facts(
            model=plain["model"]["name"],  # a checkpoint brings its own
            data=plain["data"]["name"],
            size=plain["size"],
            checkpoint=plain["ckpt_path"],
            image_size=plain["data"]["image_size"],
            split_hash=datamodule.split.hash(),
            config_hash=self._config_hash,
            k=self._k,
            **counts,
        )
        self.folder.write_inputs(OmegaConf.to_yaml(OmegaConf.create(plain)), datamodule.split.to_dict())
        if datamodule.bad_files:
            notice(f"{len(datamodule.bad_files)} unreadable images were left out (data.skip_bad=true)")
        if datamodule.cache_notice:
            notice(datamodule.cache_notice)

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

        from unseen.backbones.memory_format import prefers_channels_last
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
            score_accuracy=training
            or (stored is not None and stored["split_hash"] == provenance["split_hash"]),
        )

    def _named_anew(self, plain: dict[str, Any]) -> Any:
        """Return the loggers' settings with the names of the network and data that the checkpoint brought."""
        unresolved = OmegaConf.to_container(self._config.logger, resolve=False)
        return OmegaConf.to_container(OmegaConf.create(plain | {"logger": unresolved}).logger, resolve=True)

    def _loggers(self, plain: dict[str, Any], *, job_type: str) -> list[Logger]:
        from lightning.pytorch.loggers import WandbLogger

        with user_errors(ValueError, OSError):
            makers = [
                instantiate(node, _partial_=True) for node in plain["logger"].values() if node is not None
            ]
            loggers: list[Logger] = [
                make(job_type=job_type) if "job_type" in inspect.signature(make).parameters else make()
                for make in makers
            ]
        for logger in loggers:
            logger.log_hyperparams(plain | {"choices": choices()})
            if isinstance(logger, WandbLogger) and is_first_process():
                from unseen.runs.wandb_view import WandbView

                self._wandb = WandbView(self.folder, logger.experiment)
        return loggers

    def _callbacks(
        self, plain: dict[str, Any], *, at_step: int | None
    ) -> tuple[LayerProbe | None, list[Callback], Callback]:
        from lightning.pytorch.callbacks import ModelCheckpoint

        from unseen.callbacks.progress import PhaseProgress
        from unseen.callbacks.step_axis import StepAxis
        from unseen.probes import ProbeSuite

        progress = PhaseProgress(console())
        settings = {key: plain["probe"][key] for key in ("n_init", "seed", "standardize")}
        suite = ProbeSuite(k=self._k, **settings)
        made: list[Callback] = [StepAxis(at_step)]
        probe: LayerProbe | None = None
        for name, node in plain["callbacks"].items():
            if node is None:
                continue
            if name == "layer_probe":
                # objects go in by a call: instantiate would turn a dataclass argument into a configuration
                make = instantiate(node, _partial_=True)
                probe = make(
                    suite=suite,
                    run_folder=self._wandb or self.folder,
                    noise_levels=tuple(plain["probe"]["noise_levels"]),
                    save_embeddings=plain["probe"]["save_embeddings"],
                    on_phase=progress.phase,
                    at_step=at_step,
                )
                made.append(probe)
            else:
                made.append(instantiate(node, _convert_="all"))
        # what a resumed run continues from comes last: it must know the best of the same evaluation
        made.sort(key=lambda callback: isinstance(callback, ModelCheckpoint) and callback.monitor is None)
        return probe, made, progress


def _datamodule(plain: dict[str, Any], spec: BackboneSpec) -> SeenUnseenDataModule:
    from unseen.data.canvas_cache import CanvasCache
    from unseen.data.datamodule import SeenUnseenDataModule

    known = inspect.signature(SeenUnseenDataModule).parameters
    settings = {key: value for key, value in plain["data"].items() if key in known and key != "source"}
    source = instantiate(plain["data"]["source"], _convert_="all")
    folder, limit = Path(plain["paths"]["data_dir"]).expanduser() / "cache", plain["data"]["cache_gb"] * 2**30
    return SeenUnseenDataModule(
        source,
        **settings,
        seed=plain["seed"],
        mean=spec.mean,
        std=spec.std,
        cache=CanvasCache(folder, limit) if limit > 0 else None,
    )


def _load_weights(module: SeenClassifier, checkpoint: Path) -> None:
    import torch

    with user_errors(RuntimeError):
        module.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"])
