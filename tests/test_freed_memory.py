"""What a process frees, it keeps."""

import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from unseen.freed_memory import keep_freed_memory

if {keep}:
    keep_freed_memory()
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own")
def test_a_block_that_is_taken_again_costs_no_new_pages() -> None:
    kept, given_back = (
        int(
            subprocess.run(
                [sys.executable, "-c", CODE.format(keep=keep)], capture_output=True, text=True, check=True
            ).stdout
        )
        for keep in (True, False)
    )
    # 64 MB are 15,625 pages of 4 kB, or 31 huge ones
    assert kept < given_back / 4
