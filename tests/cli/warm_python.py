"""An interpreter that has loaded libraries and our code already and forks for each command, as a sweep does for jobs.

What a command does after its imports is what it does when typed: a process of its own, with its own arguments,
folder, environment and output. Variables that are read while libraries load (HF_HUB_OFFLINE, OMP_NUM_THREADS) are those
of this interpreter; our own code reads none while it loads. A script of another copy of the repository loads its own.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_PR_SET_CHILD_SUBREAPER = 36
ROOT = Path(__file__).parents[2]
LIBRARIES = ("lightning.pytorch", "sklearn.cluster", "sklearn.datasets", "hydra", "pydantic", "rich.console")
OURS = (
    "unseen.runs.cli", "unseen.runs.commands", "unseen.runs.build", "unseen.runs.trainer", "unseen.runs.recorded",
    "unseen.runs.biases.run", "unseen.runs.transfer.run",
)  # fmt: skip


class WarmPython:
    """The interpreter, seen from a test."""

    def __init__(self, env: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(
        self, script: Path, arguments: list[str], *, cwd: Path, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run `python script arguments` in a folder, with a whole environment, until it and all it started have ended.

        Raises:
            TimeoutExpired: It took more seconds than `timeout`; it and this interpreter are killed.
        """
        with tempfile.TemporaryDirectory() as folder:
            out, err = self._files(folder)
            try:
                answer = self._ask(
                    {"script": str(script), "arguments": arguments, "cwd": str(cwd), "env": env, "folder": folder},
                    timeout,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                raise subprocess.TimeoutExpired(
                    [str(script), *arguments], timeout, out.read_text(), err.read_text()
                ) from None
            return subprocess.CompletedProcess(arguments, answer, out.read_text(), err.read_text())

    def start(
        self, script: Path, arguments: list[str], *, cwd: Path, env: dict[str, str], folder: Path
    ) -> Started:
        """Start `python script arguments` as the leader of a group of processes, and do not wait.

        Nothing else may run until all that were started have ended.

        Args:
            script: What to run.
            arguments: What is typed after it.
            cwd: Where it is typed.
            env: All variables.
            folder: Receives what is printed, in the files out and err.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._files(str(folder))
        request = {
            "script": str(script),
            "arguments": arguments,
            "cwd": str(cwd),
            "env": env,
            "folder": str(folder),
        }
        return Started(self, self._ask(request | {"wait": False}, 60), folder)

    @staticmethod
    def _files(folder: str) -> tuple[Path, Path]:
        out, err = Path(folder) / "out", Path(folder) / "err"
        out.touch()
        err.touch()
        return out, err

    def _ask(self, request: dict[str, Any], timeout: float) -> int:
        """Send a request and return its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            readable, _, _ = select.select([self._process.stdout], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired([], timeout)
            return int(self._process.stdout.readline())
        except BaseException:  # or the next command would read this one's answer
            self.end()
            warm_python.cache_clear()
            raise

    def end(self) -> None:
        """Kill it and a command that may be running."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


@dataclass(frozen=True)
class Started:
    """A command that runs, and whose group has its number."""

    python: WarmPython
    pid: int
    folder: Path

    def wait(self, timeout: float = 240) -> int:
        """Wait for its end and return its exit code; that of a signal is negative.

        Raises:
            TimeoutExpired: It took more seconds; it and the interpreter are killed.
        """
        return self.python._ask({"pid": self.pid}, timeout)

    @property
    def out(self) -> str:
        """What it has printed."""
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        """What it has printed to the standard error."""
        return (self.folder / "err").read_text()


@cache
def warm_python() -> WarmPython:
    """Return the interpreter of this process."""
    warm = WarmPython(dict(os.environ) | {"HF_HUB_OFFLINE": "1"})
    atexit.register(warm.end)
    return warm


def serve() -> None:
    """Fork for each line of the standard input, and answer with the exit code."""
    gc.disable()
    for library in LIBRARIES:
        importlib.import_module(library)
    sys.modules["wandb"] = None  # type: ignore[assignment]  # timm would load it, and that is what commands decide
    importlib.import_module("timm")
    importlib.import_module("open_clip")
    del sys.modules["wandb"]
    sys.path[0:0] = [str(ROOT / "src"), str(ROOT)]
    for module in OURS:
        importlib.import_module(module)
    importlib.import_module("tests.parsed_once").parse_once()
    del sys.path[:2]
    if sys.platform.startswith("linux"):  # what a command leaves behind becomes ours, to be waited for
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    gc.enable()
    gc.freeze()  # a command looks for garbage in what is its own
    while line := sys.stdin.readline():
        request = json.loads(line)
        pid = request.get("pid") or os.fork()
        if not pid:
            become(request)
            return
        if request.get("wait", True):
            print(ended(pid, all_others="pid" not in request), flush=True)
        else:
            print(pid, flush=True)


def ended(pid: int, *, all_others: bool) -> int:
    """Wait for a command, and for what it left behind; return its exit code."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if all_others:
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
    return code


def become(request: dict[str, Any]) -> None:
    """Be the command."""
    if not request.get("wait", True):
        os.setsid()
    if not Path(request["script"]).is_relative_to(ROOT):
        for name in [name for name in sys.modules if name.partition(".")[0] == "unseen"]:
            del sys.modules[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    np.random.seed()  # noqa: NPY002 - or two commands would draw the same where a user's would not
    for descriptor, path, how in (
        (0, os.devnull, os.O_RDONLY),
        (1, f"{request['folder']}/out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, f"{request['folder']}/err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(path, how, 0o644)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = [request["script"], *request["arguments"]]
    sys.path[0] = str(Path(request["script"]).parent)
    sys.path[1:1] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    try:
        runpy.run_path(request["script"], run_name="__main__")
    except SystemExit as wanted:
        # Python's own end, without taking apart all that the libraries hold: half a second
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(wanted.code)  # type: ignore[arg-type]  # command_line gives a number


if __name__ == "__main__":
    serve()
