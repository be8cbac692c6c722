"""A callback that writes when the first evaluation and the first training step happened."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback


class FirstStep(Callback):
    """Writes {"evaluation": time, "step": time} as soon as the first training step has ended.

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
            self._times["step"] = time.time()
            partial = self._path.with_suffix(".part")
            partial.write_text(json.dumps(self._times), encoding="utf-8")
            partial.replace(self._path)
