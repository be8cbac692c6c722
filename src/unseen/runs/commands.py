"""What the commands do with a composed configuration: train, evaluate, embed, report, dashboard, measure biases."""

from __future__ import annotations

import gc
import os
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, ListConfig

from unseen.atomic_files import write_json
from unseen.process_rank import is_first_process
from unseen.runs.console import console, notice, shown_path
from unseen.runs.errors import UserError, user_errors
from unseen.runs.layer_table import closing_line, layer_table
from unseen.runs.schema import is_read, read_places
from unseen.runs.typed_line import key_of, override
from unseen.wording import count, one_line, suggestion

if TYPE_CHECKING:
    from unseen.run_folder import RunFolder


# ------------------------------------------------------------------ train.py and eval.py
def train_job(config: DictConfig) -> None:
    """Fine-tune and probe; print the table of layers and the closing line."""
    _run(config, training=True)


def eval_job(config: DictConfig) -> None:
    """Score a network without training; print the table of layers and the closing line."""
    _run(config, training=False)


def biases_job(config: DictConfig) -> None:
    """Measure a network, or make the study that `study` names; print the values."""
    if isinstance(config.study, str):  # a job of a sweep has a group
        from unseen.runs.studies import study_run

        study_run(config)
    else:
        from unseen.runs.biases.run import bias_run

        bias_run(config)


def transfer_job(config: DictConfig) -> None:
    """Measure an encoder on a task, fine-tune it, and print what it gained and forgot; or make the study of runs."""
    if isinstance(config.study, str):  # a job of a sweep has a group
        from unseen.runs.studies import study_run

        study_run(config)
    else:
        from unseen.runs.transfer.run import transfer_run

        transfer_run(config)


def command_of(config_name: str) -> Callable[[], None]:
    """Return what a fresh process runs for a job of `train`, `eval`, `biases` or `transfer`; it ends by SystemExit."""
    from hydra.core.global_hydra import GlobalHydra

    from unseen.runs.cli import command_line

    def command() -> None:
        GlobalHydra.instance().clear()  # the sweep's, from which this process was forked
        jobs = {"train": train_job, "eval": eval_job, "biases": biases_job, "transfer": transfer_job}
        command_line(jobs[config_name], config_name)

    return command


def _run(config: DictConfig, *, training: bool) -> None:
    """Build a run, train or evaluate, and print its scores."""
    gc.disable()  # libraries that load make objects by the million, and Python would search them for garbage as often
    from unseen.runs.build import begin, build
    from unseen.runs.recorded import recorded
    from unseen.runs.trainer import evaluate, train

    run = begin(config)
    with recorded(run.folder, partial(_left_in, run.folder.path, training=training)) as record:
        parts = build(run, training=training)
        gc.enable()
        record.view = parts.view
        record.ranks.look_after(parts.trainer)
        module, datamodule, trainer = parts.module, parts.datamodule, parts.trainer
        if training:
            train(
                module=module,
                datamodule=datamodule,
                trainer=trainer,
                run_folder=run.folder,
                probe=parts.probe,
                probe_at_start=parts.probe_at_start,
                checkpoint=parts.checkpoint,
            )
        else:
            evaluate(module=module, datamodule=datamodule, trainer=trainer, run_folder=run.folder)
    _show(run.folder, parts.k)


def _show(folder: RunFolder, k: Mapping[str, int]) -> None:
    """Print the table of layers and the answer."""
    if len(folder.table) == 0 or not is_first_process():
        return
    out, facts = console(), folder.summary
    title = f"{facts['model']} on {facts['data']}, step {facts['steps']}"
    out.print(layer_table(folder.table, title=title, k=k, width=out.width))
    answer = closing_line(
        folder.table,
        seen_accuracy=facts["seen_accuracy"],
        folder=folder.path,
        recommended_by=facts.get("recommended_by"),
    )
    out.print(answer, soft_wrap=True)


def _left_in(folder: Path, *, training: bool) -> str:
    """Return what an interrupted run leaves in its folder, and how to go on from it."""
    if not (folder / "scores.csv").is_file():
        return f"nothing was evaluated yet ({shown_path(folder)})"
    checkpoint = folder / "checkpoints" / "last.ckpt"
    on = f"; it goes on with: python src/train.py {_typed('ckpt_path', shown_path(checkpoint))}"
    return f"what was evaluated is in {shown_path(folder)}{on if training and checkpoint.is_file() else ''}"


def _typed(key: str, value: str) -> str:
    """Return a setting as it is typed in a shell."""
    return f"{key}={value}" if re.fullmatch(r"[\w./-]+", value) else shlex.quote(override(key, value))


# ------------------------------------------------------------------ embed.py, report.py and dashboard.py
_PATHS = ("root_dir", "log_dir", "data_dir", "output_dir")


def embed_job(config: DictConfig) -> None:
    """Embed images with a layer of a trained network, write the file, and print what is in it.

    Raises:
        UserError: A setting is missing or wrong, an image or the checkpoint cannot be used, or the file not written.
    """
    settings = ("ckpt_path", "images", "layer", "out", "batch_size", "device", "skip_bad", "trust")
    _check_keys(config, dict.fromkeys(settings, ()) | {"paths": _PATHS})
    for key, example in (("ckpt_path", "logs/.../checkpoints/last.ckpt"), ("images", "my/photos")):
        if config[key] is None:
            raise UserError(f"{key} is missing: write {key}={example}")
    layer = config.layer if isinstance(config.layer, int) else _text(config, "layer")
    if not isinstance(config.skip_bad, bool):
        raise UserError(f"skip_bad={_shown(config.skip_bad)} must be true or false")
    classes = config.trust if isinstance(config.trust, ListConfig) else [None]
    if not all(isinstance(name, str) and "." in name for name in classes):
        raise UserError(f"trust={_shown(config.trust)} must be a list of classes, such as [package.Class]")
    out = _output(config, "out", "file")
    from unseen.data.catalog import LeftOut, left_out_sentence
    from unseen.runs.embed import check_output, embed

    with user_errors():
        check_output(out)
        made = embed(
            _text(config, "ckpt_path"),
            _text(config, "images"),
            layer,
            batch_size=config.batch_size,
            device=config.device,
            skip_bad=config.skip_bad,
            trust=tuple(map(str, classes)),
        )
        try:
            made.save(out)
        except OSError as error:
            raise UserError(f"out={out} cannot be written: {one_line(error)}") from error
    if reasons := Counter(LeftOut(reason) for reason in made.left_out.values()):
        notice(str(left_out_sentence(reasons)))
    rows, width = made.values.shape
    console().print(
        f"{count(rows, 'image')}, {width} features of layer {made.layer} ({made.layer_name}) · {shown_path(out)}",
        soft_wrap=True,
    )


def report_job(config: DictConfig) -> None:
    """Make the report and print its summaries.

    Raises:
        UserError: A folder does not exist, there is no run folder in any, or the report cannot be written.
    """
    _check_keys(config, {"runs": (), "out": (), "paths": _PATHS})
    roots, out = _folders(config, "runs"), _output(config, "out", "folder")
    from unseen.reporting.build import build_report  # the plotting library loads here, after the cheap checks
    from unseen.reporting.collect import find_folders

    if not find_folders(roots):
        names = ", ".join(str(root) for root in roots)
        study = _study_of(roots[0])
        how = f"its jobs make them: make study NAME={study}" if study else "train.py, for one, makes them"
        raise UserError(f"no run folder (summary.json) below {names}; {how}")
    with user_errors(OSError):
        made = build_report(roots, out, command=sys.argv)
    counts = f"{count(made.runs, 'run')}, {count(made.left_out, 'folder')} left out · page in {shown_path(made.page)}"
    for sentence in (*made.summaries, counts):
        console().print(sentence, soft_wrap=True)


def dashboard_job(config: DictConfig) -> None:
    """Build the dashboard, write its specification, and save it on W&B if there is a key.

    Raises:
        UserError: A setting is no text, the file cannot be written, the package that builds it is not installed, or
            W&B refuses it.
    """
    _check_keys(config, {"project": (), "entity": (), "name": (), "out": (), "paths": _PATHS})
    project, name = _text(config, "project"), _text(config, "name")
    entity = "" if config.entity is None else _text(config, "entity", " or null")
    out = _output(config, "out", "file")
    try:
        import wandb
        import wandb_workspaces  # noqa: F401  (only whether it is there)
    except ModuleNotFoundError as error:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'unseen[dashboard]'") from error
    from unseen.runs.dashboard import specification, workspace
    from unseen.runs.loggers import has_key

    online = has_key() and os.environ.get("WANDB_MODE", "online") == "online"
    try:
        built = workspace(project, entity, name)
        content = specification(built)
        with user_errors(OSError):
            out.parent.mkdir(parents=True, exist_ok=True)
            write_json(out, content)
        if online:
            built.entity = built.entity or wandb.Api().default_entity
            built.save()
    except (wandb.Error, ValueError, OSError) as error:
        raise UserError(f"W&B did not take the dashboard: {one_line(error)}") from error
    if online:
        console().print(f"dashboard: {built.url} · as a file in {shown_path(out)}", soft_wrap=True)
    else:
        notice(
            f"W&B: no key (WANDB_API_KEY or `wandb login`), or WANDB_MODE is not online: nothing was uploaded; the "
            f"dashboard of {project} is in {shown_path(out)}"
        )


def _check_keys(config: DictConfig, known: Mapping[str, Sequence[str]]) -> None:
    """Refuse keys that nothing reads: `known` has those that there are, with the keys inside each."""
    typed = [("", str(key)) for key in config]
    for key in known:
        if known[key] and isinstance(config.get(key), DictConfig):
            typed += [(key, str(inner)) for inner in config[key]]
    for group, key in typed:
        allowed = known[group] if group else tuple(known)
        if key not in allowed:
            raise UserError(
                f"{'.'.join(filter(None, (group, key)))} is not a setting: nothing reads it"
                f"{suggestion(key, allowed)}; there are {', '.join(allowed)}"
            )
    read = read_places(HydraConfig.instance().cfg)
    for name in map(key_of, HydraConfig.get().overrides.task):
        if name.startswith("paths.") and not is_read(tuple(name.split(".")), read):
            raise UserError(f"{name} is not read by {HydraConfig.get().job.name}.py; leave it out")


def _text(config: DictConfig, key: str, or_null: str = "") -> str:
    value = config[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # a name may look like a number
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise UserError(f"{key}={_shown(value)} must be a text{or_null}")
    return value


def _folders(config: DictConfig, key: str) -> list[Path]:
    """Return a setting that is a folder or a list of folders, all of which exist."""
    value = config[key]
    several = list(value) if isinstance(value, ListConfig) else [value]
    if not several or not all(isinstance(one, str) and one.strip() for one in several):
        raise UserError(
            f"{key}={_shown(value)} must be a folder, or a list of folders such as [logs/a,logs/b]"
        )
    for one in several:
        if not Path(one).is_dir():
            if study := _study_of(Path(one)):
                raise UserError(
                    f"study={study} has no runs: there is no folder {one}; make study NAME={study} runs it"
                )
            raise UserError(
                f"{key}={one} is not a folder; name one that holds run folders, such as logs/train"
            )
    return [Path(one) for one in several]


def _study_of(folder: Path) -> str:
    """Return the study whose runs a folder is for, which `study=` of report.py stands for; empty if there is none."""
    return folder.name if folder.parent.name == "studies" else ""


def _output(config: DictConfig, key: str, what: str) -> Path:
    """Return a setting that is a file or a folder (`what`) to write to; nothing is made."""
    value = config[key]
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key}={_shown(value)} must be the name of a {what}")
    path = Path(value)
    if os.path.lexists(path) and not (path.is_dir() if what == "folder" else path.is_file()):
        raise UserError(f"{key}={value} is there already and is not a {what}")
    places = [path, *path.parents] if what == "folder" else path.parents
    above = next(place for place in places if os.path.lexists(place))
    if not above.is_dir():
        raise UserError(f"{key}={value}: {above} is not a folder")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UserError(f"{key}={value} cannot be written: {above} is read-only for you")
    return path


def _shown(value: object) -> str:
    text = "null" if value is None else str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 100 else text[:100] + "…"
