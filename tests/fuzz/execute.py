"""Running a line as a user does: a process of its own, a folder of its own, the variables of a clean shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cli.conftest import ROOT, environment
from tests.cli.warm_python import WarmPython
from tests.fuzz.line import HERE, Line
from tests.fuzz.oracle import Ended, judge

_LAST_LETTERS = 3_000


@dataclass(frozen=True)
class Verdict:
    """What came of a line.

    Attributes:
        kind: Of the line.
        fate: That it must have.
        typed: The command.
        complaints: What is wrong; empty: nothing.
        code: Its exit code; None: killed after the longest time.
        seconds: It took.
        tail: The end of what it wrote.
    """

    kind: str
    fate: str
    typed: str
    complaints: Sequence[str]
    code: int | None
    seconds: float
    tail: str

    def json(self) -> str:
        """One line of a JSONL file."""
        return json.dumps(asdict(self), ensure_ascii=True)


def warm() -> WarmPython:
    """An interpreter for lines that run one after the other."""
    # one thread: several lines run at once, and no line is long
    threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    return WarmPython(dict(os.environ) | threads)


def run_line(line: Line, place: Path, python: WarmPython, *, timeout: float, keep: bool = False) -> Verdict:
    """Run a line in a fresh folder `place`, judge how it ended, and take the folder away again.

    Where it does not end, it is killed together with `python`, which the caller must replace.
    """
    cwd, logs = place / "cwd", place / "logs"
    cwd.mkdir(parents=True)
    env = environment(logs) | {"UNSEEN_DATA_DIR": str(place.parent / "data"), "OMP_NUM_THREADS": "1"}
    for name, value in line.environment.items():
        env.pop(name, None)
        if value is not None:
            env[name] = value.replace(HERE, str(place))
    arguments = [argument.replace(HERE, str(place)) for argument in line.arguments]
    began = time.monotonic()
    code: int | None = None
    try:
        done = python.run(ROOT / "src" / line.entry, arguments, cwd=cwd, env=env, timeout=timeout)
        code, out, err = done.returncode, done.stdout, done.stderr
    except subprocess.TimeoutExpired as expired:
        out, err = str(expired.output or ""), str(expired.stderr or "")
    seconds = time.monotonic() - began
    ended = Ended(code, out, err, [place], sorted(path.name for path in cwd.iterdir()))
    try:
        complaints = judge(line, ended, place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        complaints = [f"its files cannot be read: {type(error).__name__}: {error}"]
    consoles = [path.read_text(errors="replace") for path in place.rglob("console.log")] if complaints else []
    if not keep:
        shutil.rmtree(place, ignore_errors=True)
    tail = "\n".join(
        [out[-_LAST_LETTERS:], err[-_LAST_LETTERS:], *(text[-_LAST_LETTERS:] for text in consoles)]
    )
    return Verdict(line.kind, line.fate, line.typed, complaints, code, round(seconds, 2), tail)
