"""A command ends when it is asked to, even where it waits in a library that does not come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

STUCK = """
import ctypes, os
from unseen.runs import ending
ending._GRACE_SECONDS = ending._CLOSING_SECONDS = 0.1
def give_up(reason, code):
    print(reason, flush=True)
    os._exit(code)
ending.end_on_signals(give_up)
library, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
library.pthread_mutex_lock(mutex)
try:
    print("waits", flush=True)
    library.pthread_mutex_lock(mutex)  # never returns, whatever signal comes
except KeyboardInterrupt:  # it came before
    library.pthread_mutex_lock(mutex)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_waits_in_a_library_is_ended_by_force(number: signal.Signals) -> None:
    source = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True, env=os.environ | source
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        process.send_signal(number)
        assert process.wait(timeout=20) == 128 + number
        assert process.stdout.read() == f"terminated ({number.name})\n"
