"""Measure a network: every measure on the images that it can be taken on, a run folder, a table."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.atomic_files import write_file, write_text
from unseen.freed_memory import keep_freed_memory
from unseen.run_folder import OBSERVATIONS, RESAMPLES
from unseen.runs.biases.scores import Scores, log_scores
from unseen.runs.console import console, notice, quiet_libraries, say, settings_tree, shown_path
from unseen.runs.errors import UserError, user_errors
from unseen.runs.recorded import left_measured, recorded
from unseen.runs.typed_line import key_of
from unseen.runs.written_values import on_screen
from unseen.wording import about_left, count

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from unseen.biases.measuring import Estimate, Observations
    from unseen.image_sets.image_set import ImageSet
    from unseen.run_folder import RunFolder
    from unseen.runs.biases.parts import Network, Task
    from unseen.runs.build import Run

_SAVE_SECONDS = 60.0


def bias_run(config: DictConfig) -> None:
    """Measure the network of a composed configuration and print its values; what is done is on disk at any moment.

    Raises:
        UserError: One sentence on what was typed, or on what is missing.
        KeyboardInterrupt: The user stopped it.
    """
    gc.disable()  # libraries that load make objects by the million, and Python would search them for garbage as often
    from unseen.runs.build import begin

    keep_freed_memory()
    run = begin(config)
    with recorded(run.folder, partial(left_measured, run.folder.path)):
        _measure(run)


def _measure(run: Run) -> None:
    from unseen.runs.biases.parts import OWN_IMAGES, measures_of, suitable_sets, tasks_of

    # of a run that fails, too: it has nothing to do with the main job's data
    run.folder.add_facts(kind="biases", **({} if run.config.ckpt_path else {"data": "benchmarks"}))
    plain = _checked(run.config)
    with user_errors():
        measures = measures_of(plain)
        found, missing = _benchmarks(plain)
    run.folder.write_summary("running")
    typed_seed = plain["seed"]  # a checkpoint brings its own, and all networks are to see the same images
    plain, network, sets = _network(plain)
    gc.enable()
    with user_errors():
        if sets and not _is_typed("benchmark"):  # the default ones are for classifiers of ImageNet
            found, missing = {}, {}
        fitting, refused = suitable_sets(found, network.backbone.num_classes)
        limited = {
            name: images.limited(plain["limit"], typed_seed) for name, images in (sets | fitting).items()
        }
        limited |= {name: _kept(limited[name], plain) for name in fitting}
        tasks, left_out = tasks_of(measures, limited, _chosen(plain["images"]))
    for name, reason in (missing | refused).items():
        notice(f"{name} is left out: {reason}")
    for name, reason in left_out.items():
        notice(f"{name} is not measured: {reason}")
    for images in limited.values():
        for sentence in images.notices:
            notice(f"{images.name}: {sentence}")
    if not tasks and refused:
        raise UserError(next(iter(refused.values())))
    if not tasks:
        raise UserError(
            "no images are there to measure with: get the cue-conflict images (git clone --depth 1 "
            "https://github.com/rgeirhos/texture-vs-shape data/cue_conflict), name a folder (benchmark.NAME.root=), or "
            "measure a network of the main job on its own test images (ckpt_path=)"
        )
    model = str(plain["model"]["name"])
    run.folder.add_facts(
        kind="biases",
        model=model,
        data=OWN_IMAGES if OWN_IMAGES in sets else "benchmarks",
        parameters=sum(parameter.numel() for parameter in network.backbone.parameters()),
        outputs=network.backbone.num_classes,
        config_hash=run.config_hash,
        limit=plain["limit"],
        faithful=plain["faithful"],
        missing=missing | refused,
        not_measured=left_out,
        **network.generalization,
    )
    write_text(run.folder.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain)))
    say(_opening(network, tasks))
    loggers = _opened_loggers(run, plain, own_images=OWN_IMAGES in sets)
    scores = _run_tasks(run.folder, network, tasks, _label(model, plain["ckpt_path"]), plain)
    log_scores(loggers, scores)
    run.folder.write_summary("finished")
    console().print(scores.table(f"{model}: values and 95 % intervals over images"))
    say(_closing(run.folder.path, network, scores))


def _checked(config: DictConfig) -> dict[str, Any]:
    """Return the resolved settings, after all that can be checked without loading anything large."""
    from unseen.runs.schema import check_settings, checkpoint_path, read_places
    from unseen.runs.unread import check_read

    with user_errors(OmegaConfBaseException):
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    with user_errors():
        checkpoint_path(plain["ckpt_path"])
        check_read("biases", config, HydraConfig.instance().cfg, plain)
        check_settings(plain, read_places(config, HydraConfig.instance().cfg))
    quiet_libraries()
    if plain["extras"]["print_config"]:
        console().print(settings_tree(plain))
    return plain


def _network(plain: dict[str, Any]) -> tuple[dict[str, Any], Network, dict[str, ImageSet]]:
    """Return the settings, a checkpoint's among them, the network, and the sets of images that it brings with it."""
    import torch

    from unseen.runs.biases.parts import (
        OWN_IMAGES,
        device_of,
        network_of_checkpoint,
        network_of_settings,
        own_test_images,
    )
    from unseen.runs.checkpoints import read_checkpoint
    from unseen.runs.data_parts import make_datamodule
    from unseen.runs.identity import typed_settings
    from unseen.runs.objects import make
    from unseen.runs.provenance import scored_as_trained
    from unseen.runs.schema import checkpoint_path
    from unseen.runs.trust import check_trusted, targets

    sets: dict[str, ImageSet] = {}
    with user_errors(ValueError, OSError, RuntimeError):
        path = checkpoint_path(plain["ckpt_path"])
        device = device_of(plain["trainer"]["accelerator"])
        if path is None:
            say(f"{plain['model']['name']}: loading its weights")
            torch.manual_seed(plain["seed"])
            network, told = network_of_settings(plain, device)
            if told:
                notice(told)
            return plain, network, sets
        if path.is_dir():
            path = path / "checkpoints" / "last.ckpt"
        checkpoint = read_checkpoint(path, resume=False)
        check_trusted(checkpoint, plain, training=False)
        trust = frozenset(map(str, targets(plain["model"]["backbone"])))
        plain = scored_as_trained(plain, checkpoint.made_by, typed_settings())
        say(f"{plain['model']['name']} of {shown_path(path)}")
        network = network_of_checkpoint(checkpoint, plain, device, trust)
        spec = make(plain["model"]["backbone"], "model.backbone", methods=("check", "build"))
        datamodule = make_datamodule(plain, spec, training=False)
        datamodule.prepare_data()
        datamodule.setup()
        sets[OWN_IMAGES] = own_test_images(datamodule, checkpoint)
    return plain, network, sets


def _is_typed(group: str) -> bool:
    return any(key_of(text).partition(".")[0] == group for text in HydraConfig.get().overrides.task)


def _chosen(images: str | list[str]) -> list[str] | None:
    if images == "auto":
        return None
    return [images] if isinstance(images, str) else list(images)


def _benchmarks(plain: dict[str, Any]) -> tuple[dict[str, ImageSet], dict[str, str]]:
    from unseen.image_sets.benchmark import available
    from unseen.runs.objects import check_object, make

    nodes = {name: node for name, node in (plain["benchmark"] or {}).items() if node is not None}
    for name, node in nodes.items():
        check_object(node, f"benchmark.{name}")
    return available(
        {name: make(node, f"benchmark.{name}", methods=("open",)) for name, node in nodes.items()}
    )


def _label(model: str, checkpoint: str | None) -> str:
    """Return the name of the network in tables; a checkpoint's has that of its run folder, else several share one."""
    if checkpoint is None:
        return model
    path = Path(checkpoint).expanduser().resolve()
    folder = path if path.is_dir() else path.parent.parent
    # a sweep's job has the network in its name, too
    job = re.sub(rf"(^|_)model-{re.escape(model)}(?=_|$)", "", folder.name).strip("_")
    return f"{model}@{job or folder.name}"


def _kept(images: ImageSet, plain: dict[str, Any]) -> ImageSet:
    """Return a benchmark's set with its images on disk, where every network finds them."""
    from unseen.data.canvas_cache import CanvasCache
    from unseen.image_sets.kept import kept

    folder, limit = Path(plain["paths"]["data_dir"]).expanduser() / "cache", plain["cache_gb"] * 2**30
    return kept(images, CanvasCache(folder, limit, setting="cache_gb") if limit > 0 else None)


# ------------------------------------------------------------------ measuring
def _run_tasks(
    folder: RunFolder,
    network: Network,
    tasks: Sequence[Task],
    model: str,
    plain: Mapping[str, Any],
) -> Scores:
    """Measure, task by task; each is saved every minute and goes on where a run before has ended."""
    import torch

    from unseen.full_precision import full_precision

    scores = Scores(folder.path, model)
    for name in (OBSERVATIONS, RESAMPLES):
        (folder.path / name).mkdir(exist_ok=True)
    fingerprint = network.fingerprint()
    seconds, passes = 0.0, 0  # of what this run has measured itself
    with full_precision(network.device, plain["trainer"]["eval_precision"]), torch.no_grad():
        for number, task in enumerate(tasks, start=1):
            began = time.monotonic()
            place = f"{number}/{len(tasks)}"
            new, before = _observed(folder.path, network, task, fingerprint, plain["batch_size"], place)
            means, estimates = new.means(), new.estimates()
            scores.add(task, means, estimates)
            save = partial(_save_resamples, task, new)
            write_file(folder.path / RESAMPLES / f"{task.label}.npz", save)
            folder.add_facts(values=scores.values(), groups=scores.groups())
            folder.write_summary("running")
            took = time.monotonic() - began
            if new.done > before:
                seconds, passes = seconds + took, passes + task.measure.passes * (new.done - before)
            rest = sum(later.cost for later in tasks[number:])
            left = about_left(seconds / passes * rest) if passes and rest else ""
            say(
                f"[{number}/{len(tasks)}] {task.name} on {task.images.name} ({count(len(task.images), 'image')}): "
                f"{_answer(estimates)} · {took:.0f} s{left and ' · '}{left}"
            )
    return scores


def _save_resamples(task: Task, observations: Observations, file: BinaryIO) -> None:
    """Write what a report compares two networks by: values of the same resamples of the same images."""
    values = observations.paired()
    about = {"images": task.images.content(), "measure": repr(task.measure), "names": list(values)}
    arrays = {name: np.array(text, dtype=str) for name, text in about.items()}  # of no names, too
    stacked = np.stack([*values.values()], axis=1) if values else np.empty((0, 0))  # (R, V)
    np.savez(file, values=stacked, drawn=np.array(observations.drawn), **arrays)  # type: ignore[arg-type]


def _observed(
    folder: Path, network: Network, task: Task, fingerprint: str, batch_size: int, place: str
) -> tuple[Observations, int]:
    """Return the numbers of all images, and of how many of them they were there before."""
    from unseen.biases.measuring import Observations, observe
    from unseen.data.canvases import progress

    images = task.images
    observations = Observations(task.measure, len(images), task.identity(fingerprint), images.sources)
    path = folder / OBSERVATIONS / f"{task.label}.npz"
    observations.continue_from(path)
    before = observations.done
    saved = time.monotonic()

    def save(file: BinaryIO) -> None:
        np.savez(file, **observations.arrays())  # type: ignore[arg-type]  # its stub takes allow_pickle by name

    with progress(f"{place} {task.name} on {task.images.name}", len(task.images), True) as advance:

        def done(images: int) -> None:
            nonlocal saved
            advance(images)
            if time.monotonic() - saved > _SAVE_SECONDS:
                write_file(path, save)
                saved = time.monotonic()

        advance(before)
        if not observations.finished:
            classifier = network.classifier(task.images.decision)
            batches = task.batches(observations.done, batch_size, network.device)
            try:
                with user_errors(ValueError):
                    observe(observations, classifier, batches, done)
            finally:  # Ctrl-C loses nothing that was measured
                write_file(path, save)
    return observations, before


# ------------------------------------------------------------------ what is shown
def _opening(network: Network, tasks: Sequence[Task]) -> str:
    images = {task.images.name: len(task.images) for task in tasks}
    sets = ", ".join(f"{name} ({number:,})" for name, number in images.items())
    measures = len({task.name for task in tasks})
    passes = sum(task.cost for task in tasks)
    return (
        f"{count(measures, 'measure')} on {sets} · {passes:,} forward passes on {network.device.type.upper()}"
    )


def _answer(estimates: Mapping[str, Estimate]) -> str:
    return ", ".join(f"{name} {on_screen(estimate.value)}" for name, estimate in estimates.items())


def _closing(folder: Path, network: Network, scores: Scores) -> str:
    found = network.generalization
    own = (
        f"g of its run {on_screen(found['g'])} at layer {found.get('best_layer')} · " if "g" in found else ""
    )
    groups = ", ".join(
        f"{group} {on_screen(content['accuracy'])} ({', '.join(content['benchmarks'])})"
        for group, content in scores.groups().items()
    )
    return f"{own}{groups and 'mean accuracy: '}{groups}{groups and ' · '}files in {shown_path(folder)}"


def _opened_loggers(run: Run, plain: dict[str, Any], *, own_images: bool) -> list[Logger]:
    """Return the loggers, named after the network that is measured; of data only where its own images are.

    Raises:
        UserError: A setting that a logger does not take.
    """
    from unseen.runs.run_loggers import make_loggers, named_anew

    data = f"{plain['data']['name']}-biases" if own_images else "biases"
    named = named_anew(run.config.logger, plain | {"data": plain["data"] | {"name": data}})
    read = {key: value for key, value in plain.items() if key != "data" or own_images}
    loggers, _ = make_loggers(run.folder, read | {"logger": named}, job_type="biases")
    return loggers
