"""One job of the command line, from its configuration to its finished folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from unseen.allocator import keep_freed_memory
from unseen.runs.errors import failure_sentence, one_line

if TYPE_CHECKING:
    from unseen.runs.build import Run


def train_job(config: DictConfig) -> None:
    """Fine-tune and probe as `config` says; print the table and the answer."""
    with _run(config) as run:
        parts = run.build(training=True)
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
    with _run(config) as run:
        parts = run.build(training=False)
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
def _run(config: DictConfig) -> Iterator[Run]:
    """Give a run; write how it ended into its folder, whatever happens, and show what a finished one found."""
    from unseen.runs.build import Run

    keep_freed_memory()
    run = Run(config)
    try:
        yield run
    except BaseException as error:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else failure_sentence(error)
        reason = reason or f"{type(error).__name__}: {one_line(error)}"
        run.end("failed", reason)
        raise
    run.end("finished")
    run.show()
