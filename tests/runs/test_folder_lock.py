"""A folder belongs to one process."""

import subprocess
import sys

import pytest

from unseen.runs.folder_lock import FolderLock, is_locked


def test_a_second_process_is_refused_and_a_killed_one_lets_go(tmp_path) -> None:
    assert not is_locked(tmp_path)
    code = f"""
import time
from pathlib import Path
from unseen.runs.folder_lock import FolderLock
lock = FolderLock(Path({str(tmp_path)!r}))
print("held", flush=True)
time.sleep(60)
"""
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=_with_source()
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert is_locked(tmp_path)
    with pytest.raises(ValueError, match="another process is running in"):
        FolderLock(tmp_path)
    holder.kill()
    holder.wait()
    assert not is_locked(tmp_path)
    FolderLock(tmp_path)


def _with_source() -> dict[str, str]:
    import os
    from pathlib import Path

    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
