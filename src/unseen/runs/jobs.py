"""One job of the command line, from its configuration to its finished folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from unseen.process_rank import is_first_process
from unseen.runs.console import fail, shown_path
from unseen.runs.ending import begin_ending, end_on_signals, interruption, say_what_is_left
from unseen.runs.errors import UserError, failure_sentence
from unseen.runs.ranks import Ranks, leave_word
from unseen.wording import one_line

if TYPE_CHECKING:
    from unseen.runs.build import Parts, Run


def train_job(config: DictConfig) -> None:
    """Fine-tune and probe as `config` says; print the table and the answer."""
    with _run(config, training=True) as (run, parts):
        from unseen.runs.train import train

        train(
            module=parts.module,
            datamodule=parts.datamodule,
            trainer=parts.trainer,
            run_folder=run.folder,
            probe=parts.probe,
            probe_at_start=parts.probe_at_start,
            checkpoint=parts.checkpoint,
        )


def eval_job(config: DictConfig) -> None:
    """Score the network that `config` names, without training; print the table and the answer."""
    with _run(config, training=False) as (run, parts):
        from unseen.runs.evaluate import evaluate

        evaluate(
            module=parts.module, datamodule=parts.datamodule, trainer=parts.trainer, run_folder=run.folder
        )


def command_of(config_name: str) -> Callable[[], None]:
    """Return what a fresh process runs for a job of `train` or `eval`; it ends by SystemExit."""
    from hydra.core.global_hydra import GlobalHydra

    from unseen.runs.cli import command_line

    def command() -> None:
        GlobalHydra.instance().clear()  # the sweep's, in whose image this process began
        command_line({"train": train_job, "eval": eval_job}[config_name], config_name)

    return command


@contextmanager
def _run(config: DictConfig, *, training: bool) -> Iterator[tuple[Run, Parts]]:
    """Give a run and its parts; write how it ended into its folder, whatever happens, and show what it found."""
    from unseen.runs.build import Run

    run = Run(config)

    def give_up(reason: str, code: int) -> None:
        """End from a thread: the main one waits inside a library."""
        with suppress(OSError):
            run.folder.write_summary("failed", reason)
        ranks.kill()
        fail(reason)
        os._exit(code)

    ranks = Ranks(run.folder.path, give_up)
    end_on_signals(give_up)
    try:
        parts = run.build(training=training)
        ranks.look_after(parts.trainer)
        yield run, parts
    except BaseException as error:
        begin_ending()
        say_what_is_left(_left_in(run.folder.path, training=training))
        other = ranks.word_of(error)
        reason = other or _reason(error)
        if not is_first_process():
            leave_word(run.folder.path, reason)
        run.end("failed", reason)
        if other:
            raise UserError(other) from error
        raise
    run.end("finished")
    run.show()


def _left_in(folder: Path, *, training: bool) -> str:
    """Return what an interrupted run leaves in its folder, and how to go on from it."""
    if not (folder / "scores.csv").is_file():
        return f"nothing was evaluated yet ({shown_path(folder)})"
    checkpoint = folder / "checkpoints" / "last.ckpt"
    on = (
        f"; the same line with ckpt_path={shown_path(checkpoint)} goes on"
        if training and checkpoint.is_file()
        else ""
    )
    return f"what was evaluated is in {shown_path(folder)}{on}"


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return interruption()[0]
    return failure_sentence(error) or f"{type(error).__name__}: {one_line(error)}"
