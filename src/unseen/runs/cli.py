"""The command line: Hydra composes the configuration; an error is one sentence and an exit code."""

from __future__ import annotations

import gc
import io
import logging
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path

import hydra
from dotenv import load_dotenv
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unseen.regular_files import MEBIBYTE, read_text
from unseen.runs.biases.trained_networks import trained_networks
from unseen.runs.console import fail
from unseen.runs.ending import interruption
from unseen.runs.errors import UserError, configuration_sentence, failure_sentence
from unseen.runs.identity import run_label, scored_run
from unseen.runs.project import CONFIGS, IN_CLONE, PROJECT_ROOT, entry_of
from unseen.runs.sweeps.jobs import job_folder
from unseen.runs.sweeps.other_launchers import failed_jobs, is_worker, run_job
from unseen.runs.sweeps.processes import follow_parent, leave_allocation
from unseen.runs.typed_line import prepare
from unseen.threads import settle_threads
from unseen.wording import as_typed, one_line


def command_line(job: Callable[[DictConfig], None], config_name: str) -> None:
    """Run `job` with the composed configuration, then end the process.

    Exit codes: 0 done; 1 a mistake in what was typed, or a failed job; 2 flags that do not exist; 130 interrupted;
    143 terminated.
    """
    follow_parent()
    leave_allocation()
    try:
        load_environment(PROJECT_ROOT / ".env")
        sys.argv[1:] = prepare(sys.argv[1:], CONFIGS, config_name)
    except UserError as error:
        sys.exit(_failed(str(error), error.exit_code))
    settle_threads()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors are raised to us, who print them in a sentence
    if IN_CLONE:  # workers of other launchers import us by name, installed or not
        os.environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(PROJECT_ROOT / "src"), os.environ.get("PYTHONPATH")))
        )
    register_resolvers()
    codes: list[int] = []

    def guarded(config: DictConfig) -> None:
        if is_worker():
            codes.append(run_job(config, entry_of(config_name)))
        else:
            codes.append(_guard(lambda: job(config), composing=False))

    main = hydra.main(config_path=str(CONFIGS), config_name=config_name, version_base="1.3")
    with _as_typed() if "--help" in sys.argv else nullcontext():
        codes.append(_guard(main(guarded), composing=True))
    codes += [_failed(sentence) for sentence in failed_jobs()]
    gc.freeze()  # or Python would search all that the libraries hold for garbage once more: a second or two
    sys.exit(max(abs(code) for code in codes))


@contextmanager
def _as_typed() -> Iterator[None]:
    """Print what is written to the standard output inside with commands as they were typed."""
    with redirect_stdout(io.StringIO()) as written:
        yield
    # files that begin with _ serve the others, and cannot be chosen
    chosen = re.sub(r"(?m)(?<=: |, )_\w+(?:, |$)", "", written.getvalue())
    sys.stdout.write(as_typed(chosen))


def _guard(task: Callable[[], object], *, composing: bool) -> int:
    """Run `task`; return its exit code, after printing what went wrong."""
    try:
        task()
    except UserError as error:
        return _failed(str(error), error.exit_code)
    except KeyboardInterrupt as error:
        reason, code = interruption()
        return _failed(f"{reason}; {str(error) or 'nothing was begun'}", code)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except Exception as error:
        of_settings = composing or isinstance(error, OmegaConfBaseException)
        sentence = configuration_sentence(error) if of_settings else None
        if sentence is not None:
            return _failed(sentence)
        sentence = failure_sentence(error)
        logs = [one for one in logging.getLogger().handlers if isinstance(one, logging.FileHandler)]
        if logs:  # without a file, logging would print the stack trace
            logging.getLogger(__name__).error("the command failed", exc_info=True)
        if sentence is None:
            where = logs[0].baseFilename if logs else _traceback_file()
            sentence = f"{type(error).__name__}: {one_line(error)} (the stack trace is in {where})"
        return _failed(sentence)
    return 0


def _traceback_file() -> str:
    """Write the stack trace of the error in hand into a file of its own; return its path."""
    with tempfile.NamedTemporaryFile("w", prefix="unseen-", suffix=".log", delete=False) as file:
        traceback.print_exc(file=file)
    return file.name


def load_environment(path: Path) -> None:
    """Set the variables that a .env file names, where they are not set already.

    Raises:
        UserError: It cannot be read, is no regular file (a named pipe would be waited for), or no UTF-8 text.
    """
    if not path.exists():
        return
    try:
        text = read_text(path, MEBIBYTE)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UserError(f"{path}: {reason}; it must hold lines such as WANDB_API_KEY=...") from error
    if "\0" in text:
        raise UserError(f"{path} holds a zero byte, which no variable can; save it as text")
    load_dotenv(stream=io.StringIO(text))


def _failed(sentence: str, code: int = 1) -> int:
    fail(sentence)
    return code


def register_resolvers() -> None:
    """Make ${project_root:}, ${job_folder:...}, ${trained_networks:...} and names of runs known to OmegaConf."""
    OmegaConf.register_new_resolver("project_root", lambda: str(PROJECT_ROOT), replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
    OmegaConf.register_new_resolver("run_label", run_label, replace=True)
    OmegaConf.register_new_resolver("scored_run", scored_run, replace=True)
    OmegaConf.register_new_resolver("trained_networks", trained_networks, replace=True)
    OmegaConf.register_new_resolver(
        "measured",
        lambda study, checkpoint, name: (
            f"{study}_study" if isinstance(study, str) else ("checkpoint" if checkpoint else _in_name(name))
        ),
        replace=True,
    )
    OmegaConf.register_new_resolver(
        "transferred",
        lambda study, file, name: (
            f"{study}_study" if isinstance(study, str) else _in_name(Path(str(file)).stem if file else name)
        ),
        replace=True,
    )
    # what a run's folder is named after: a checkpoint's own network and data are not known yet
    OmegaConf.register_new_resolver(
        "scored",
        lambda checkpoint, names: "checkpoint" if checkpoint else _in_name(names),
        replace=True,
    )


def _in_name(names: object) -> str:
    return re.sub(r"[^\w.+-]+", "-", str(names))
