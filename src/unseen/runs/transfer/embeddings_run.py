"""A run of `transfer.py` on the embeddings in a file: the measures alone, without encoder, images and training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from unseen.atomic_files import write_text
from unseen.runs.build import Run
from unseen.runs.console import console, notice, say, shown_path
from unseen.runs.errors import user_errors
from unseen.runs.run_loggers import make_loggers, named_anew
from unseen.runs.transfer.measures import DEMO_LABELS, measure
from unseen.runs.transfer.rows import Rows, log_rows
from unseen.runs.typed_line import key_of
from unseen.wording import count

_TARGET = "unseen.encoders.embeddings_file.read_embeddings"
_NAME = "embeddings_file"  # of its configuration, and of an encoder that the file does not name
_READ = (
    *("draws", "shares", "seed", "measure_only", "encoder", "logger"),
    *("paths", "hydra", "resume", "plan", "extras", "local"),
)


def is_of_embeddings(plain: dict[str, Any]) -> bool:
    """Return whether the settings choose a file of embeddings in place of an encoder."""
    return bool(plain["encoder"].get("_target_") == _TARGET)


def embeddings_run(run: Run, plain: dict[str, Any]) -> None:
    """Measure what is in the file.

    Raises:
        UserError: One sentence: what was typed is not read, or the file cannot be used.
    """
    from unseen.encoders.embeddings_file import read_embeddings

    path = plain["encoder"].get("path")
    # what was not typed would tell of images that are not read
    run.folder.add_facts(kind="transfer", model=_NAME, data=Path(str(path)).stem, technique="none")
    with user_errors():
        _check(plain, path)
        found = read_embeddings(path)
        if found.labels.min() == found.labels.max():
            raise ValueError(
                f"labels of {path} are all {found.labels[0]}; measures need images of two classes at least"
            )
    name = found.encoder or _NAME
    # the others tell of what was not there
    kept = {key: plain[key] for key in (*_READ, "size") if key in plain}
    plain = kept | {"model": {"name": name}, "data": {"name": found.task}, "measure_only": True}
    plain["logger"] = named_anew(run.config.logger, plain)
    run.folder.add_facts(
        model=name,
        encoder=name,
        composed=found.composed,
        label_models=None if found.label_embeddings is None else found.label_models or "not known",
        data=found.task,
        classes=len(found.names),
        train_images=len(found.labels),
        others=[],
        config_hash=run.config_hash,
    )
    write_text(run.folder.path / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(plain)))
    if found.composed:
        notice(f"{name}: two towers trained apart and joined, a demonstration and no CLIP")
    if found.label_models == "demo":
        notice(DEMO_LABELS)
    say(
        f"{path}: {found.task} by {name}, {count(len(found.labels), 'image')} of "
        f"{count(len(found.names), 'class', 'classes')}, measured without encoder; nothing is trained"
    )
    loggers, _ = make_loggers(run.folder, plain, job_type="transfer")
    rows = Rows(run.folder.path, name)
    measure(run, plain, found.task, found.arguments(), rows)
    log_rows(loggers, rows, 0)
    run.folder.write_summary("finished")
    console().print(rows.table(f"{name} on {found.task}"))
    say(f"files in {shown_path(run.folder.path)}")


def _check(plain: dict[str, Any], path: object) -> None:
    if not isinstance(path, str) or not path:
        raise ValueError(
            f"encoder.path={'null' if path is None else path} is no file of embeddings: type model=file.npz"
        )
    for key in plain["encoder"].keys() - {"_target_", "path"}:
        raise ValueError(f"encoder.{key} is not a setting of model={path}, which has encoder.path alone")
    for text in HydraConfig.get().overrides.task:
        key = key_of(text)
        if key.partition(".")[0] not in _READ:
            raise ValueError(
                f"{'tuning' if key == 'technique' else key} is not read with model={path}: its embeddings are measured "
                "as they are, without data and training; draws, shares, seed and logger are read"
            )
        if key == "measure_only" and not plain["measure_only"]:
            raise ValueError(
                f"measure_only=false: model={path} holds embeddings, and there is no encoder to fine-tune; leave it out"
            )
