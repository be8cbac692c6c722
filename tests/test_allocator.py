"""What is freed stays with the process, and a user's own setting is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import unseen

PROGRAM = """
import resource
from unseen.allocator import keep_freed_memory
keep_freed_memory()
import torch
def faults_of(arrays):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(arrays):
        torch.ones(2**24)  # 64 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults_of(20)  # until the heap has found its size
print(faults_of(10) / 10 / (2**26 / resource.getpagesize()))
"""


def share_of_pages_asked_for(**environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    clean["PYTHONPATH"] = str(Path(unseen.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=clean | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_an_array_as_large_as_the_last_one_costs_no_page_faults():
    assert share_of_pages_asked_for() < 0.05
    # 128 KiB is glibc's own threshold; set by hand it stays, and each array comes from the system page by page
    assert share_of_pages_asked_for(MALLOC_MMAP_THRESHOLD_="131072") > 0.9
