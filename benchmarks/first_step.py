"""A callback that writes when the first evaluation began, the first training step ended, and the trainer was done."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback


class FirstStep(Callback):
    """Writes {"evaluation": time, "step": time} after the first training step, and "end" when the trainer is done.

    Args:
        path: Where; the times are seconds since the epoch.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._times: dict[str, float] = {}

    def on_validation_start(self, *_: Any) -> None:
        """Note the first evaluation."""
        self._times.setdefault("evaluation", time.time())

    def on_train_batch_end(self, *_: Any) -> None:
        """Note the first step, and write."""
        if "step" not in self._times:
            self._write("step")

    def teardown(self, *_: Any, **__: Any) -> None:
        """Note the end; after several calls of the trainer the last one counts."""
        self._write("end")

    def _write(self, moment: str) -> None:
        self._times[moment] = time.time()
        if "step" in self._times:
            partial = self._path.with_suffix(".part")
            partial.write_text(json.dumps(self._times), encoding="utf-8")
            partial.replace(self._path)
