"""What composing a job's configuration costs: python benchmarks/composing.py.

The sweep composes it to check it and to know its hash; the job composes it again, as any line that is typed. Prints the
processor time of both, which other programs on the machine move less than the time that passes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

from hydra import initialize_config_dir  # noqa: E402
from hydra.core.global_hydra import GlobalHydra  # noqa: E402
from hydra.types import RunMode  # noqa: E402

from unseen.runs.cli import register_resolvers  # noqa: E402

TYPED = ["model=vit", "data=digits", "seed=0"]
ROUNDS = 7


def main() -> int:
    """Run the command."""
    register_resolvers()
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        sweep = loader.load_configuration("train", TYPED, RunMode.MULTIRUN)
        sides: dict[str, Callable[[], object]] = {
            "in the sweep": lambda: loader.load_sweep_config(sweep, TYPED),
            "in the job": lambda: loader.load_configuration("train", TYPED, RunMode.RUN),
        }
        for side, compose in sides.items():
            took = sorted(seconds(compose) for _ in range(ROUNDS))
            print(f"{side}: {1000 * median(took):.0f} ms ({1000 * took[0]:.0f}–{1000 * took[-1]:.0f})")
    return 0


def seconds(task: Callable[[], object]) -> float:
    """Return the processor seconds of a task."""
    began = time.process_time()
    task()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
