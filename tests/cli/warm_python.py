"""An interpreter that has loaded the libraries already and forks for each command, as a sweep does for each job.

What a command does after its imports is what it does when typed: a process of its own, with its own arguments,
folder, environment and output. Our own code is not loaded here, so each command imports it itself. Variables that are
read while libraries load (HF_HUB_OFFLINE, OMP_NUM_THREADS) are those of this interpreter.
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
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

_PR_SET_CHILD_SUBREAPER = 36
LIBRARIES = ("lightning.pytorch", "sklearn.cluster", "sklearn.datasets", "hydra")


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
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            out.touch()
            err.touch()
            request = {
                "script": str(script), "arguments": arguments, "cwd": str(cwd), "env": env,
                "out": str(out), "err": str(err),
            }  # fmt: skip
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                readable, _, _ = select.select([self._process.stdout], [], [], timeout)
                if not readable:
                    raise subprocess.TimeoutExpired(
                        [str(script), *arguments], timeout, out.read_text(), err.read_text()
                    )
                code = int(self._process.stdout.readline())
            except BaseException:  # or the next command would read this one's answer
                self.end()
                warm_python.cache_clear()
                raise
            return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())

    def end(self) -> None:
        """Kill it and a command that may be running."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()


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
    del sys.modules["wandb"]
    if sys.platform.startswith("linux"):  # what a command leaves behind becomes ours, to be waited for
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    gc.enable()
    gc.freeze()  # a command looks for garbage in what is its own
    while line := sys.stdin.readline():
        request = json.loads(line)
        pid = os.fork()
        if not pid:
            become(request)
            return
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        print(code, flush=True)


def become(request: dict[str, Any]) -> None:
    """Be the command."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    np.random.seed()  # noqa: NPY002 - or two commands would draw the same where a user's would not
    for descriptor, path, how in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
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
