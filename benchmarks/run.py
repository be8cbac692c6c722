"""Measure what the speed claims rest on: python benchmarks/run.py --help."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from unseen.threads import settle_threads  # noqa: E402  (a checkout needs no installation)

settle_threads()  # before torch is loaded, as every command does

from benchmarks.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
