"""What a person sees: lines, notes, errors, and the settings as a tree."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from unseen.process_rank import is_first_process
from unseen.wording import as_typed

WIDTH_IN_FILES = 140  # without a terminal rich would fold everything to 80 columns
_NOISY_LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.distributed",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch",
)
_IGNORED_WARNINGS = (
    ".*does not have many workers.*",  # the images are in memory
    ".*This DataLoader will create .* worker processes.*",  # as many as the user typed
    ".*Checkpoint directory .* exists and is not empty.*",  # a resumed run continues in its folder
    ".*The dirpath has changed from.*",  # a run that goes on in a folder of its own has its own best.ckpt
    ".*`isinstance\\(treespec, LeafSpec\\)` is deprecated.*",  # between Lightning and torch
    ".*module\\(s\\) in eval mode at the start of training.*",  # batch norms that are not trained
    ".*smaller than the logging interval.*",  # a short run logs its first step
    ".*It is recommended to use `self.log\\(.*sync_dist=True.*",  # what is logged is the same in all processes
    ".*Encountered `nan` values in tensor.*",  # a diverged run is an error of its own
)


def console(*, stderr: bool = False) -> Console:
    """Return a console that does not truncate tables in log files."""
    made = Console(stderr=stderr, highlight=False, markup=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, markup=False, width=WIDTH_IN_FILES)
    return made


def say(text: str) -> None:
    """Print a line of any length; once, however many processes the run has."""
    if is_first_process():
        console().print(as_typed(text), soft_wrap=True)


def notice(text: str) -> None:
    """Print something that does not stop the run; once, however many processes the run has."""
    if not is_first_process():
        return
    text = as_typed(text)
    # a bar is shown: it makes room for what is written to sys.stderr
    if hasattr(sys.stderr, "rich_proxied_file"):
        print(f"note: {text}", file=sys.stderr)
    else:
        console(stderr=True).print(Text(f"note: {text}", style="yellow"))


def fail(text: str) -> None:
    """Print in a sentence why the command ends."""
    console(stderr=True).print(Text(f"error: {as_typed(text)}", style="bold red"), soft_wrap=True)


def quiet_libraries() -> None:
    """Turn off Lightning's tips and warnings that do not apply here; a warning of ours is a note, each text once."""
    import lightning.pytorch  # noqa: F401  (its import sets the levels that are changed here)

    from unseen.callbacks.layer_scores import PROBED
    from unseen.probes.inputs import LabelWarning

    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in _IGNORED_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    shown: set[str] = set()
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not category.__module__.startswith("unseen."):
            before(message, category, *place, **more)
            return
        about = PROBED.get()
        if issubclass(category, LabelWarning):  # of no layer in particular
            about = about.rpartition(", ")[2].partition(" with noise ")[0]
        text = ": ".join(filter(None, (about, str(message))))
        if text not in shown:
            shown.add(text)
            notice(text)

    warnings.showwarning = show


def shown_path(path: Path) -> str:
    """Return the path as seen from the current folder where it is below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def settings_tree(plain: dict[str, Any]) -> Tree:
    """Return resolved settings as a tree, a group a branch."""
    tree = Tree("settings", guide_style="dim")

    def grow(branch: Tree, values: dict[str, Any]) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and value:
                grow(branch.add(Text(str(key), style="bold")), value)
            else:
                branch.add(Text(f"{key}: {value}"))

    grow(tree, plain)
    return tree
