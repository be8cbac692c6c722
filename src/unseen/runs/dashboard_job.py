"""The dashboard of the command line: a file always, an upload where there is a key."""

from __future__ import annotations

import os

from omegaconf import DictConfig

from unseen.atomic_files import write_json
from unseen.runs.console import console, notice, shown_path
from unseen.runs.errors import UserError, user_errors
from unseen.runs.loggers import has_key
from unseen.runs.typed_words import typed_output, typed_text
from unseen.wording import one_line


def dashboard_job(config: DictConfig) -> None:
    """Build the dashboard that `config` asks for, write its specification, and save it on W&B if there is a key.

    Raises:
        UserError: A setting is no text, the file cannot be written, the package that builds it is not installed, or
            W&B refuses it.
    """
    project, name = typed_text(config, "project"), typed_text(config, "name")
    entity = typed_text(config, "entity", optional=True)
    out = typed_output(config, "out", folder=False)
    try:
        import wandb
        import wandb_workspaces  # noqa: F401  (only whether it is there)
    except ModuleNotFoundError as error:
        raise UserError("the dashboard needs wandb-workspaces: pip install 'unseen[dashboard]'") from error
    from unseen.runs.dashboard import specification, workspace

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
