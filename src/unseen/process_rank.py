"""Which process of a run this is, known before any process group exists."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Return whether this is rank 0; Lightning and SLURM say it in the environment."""
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((rank for rank in ranks if rank is not None), "0") == "0"
