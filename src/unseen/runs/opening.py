"""What a run says before anything slow: the network and its start, and then what trains on which device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.wording import count

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

    from unseen.backbones.protocol import Backbone


def opening_line(plain: Mapping[str, Any], *, training: bool, checkpoint: Path | None) -> str:
    """Return which network is scored on which data, and what its weights are at first; nothing need be loaded.

    >>> recipe = {"max_steps": 200, "max_epochs": None, "val_check_interval": 100}
    >>> plain = {"model": {"name": "vit", "pretrained": False}, "data": {"name": "digits"}, "trainer": recipe}
    >>> plain |= {"seed": 0}
    >>> opening_line(plain, training=True, checkpoint=None)
    'vit from scratch on digits, seed 0: 200 steps, scored at the start and every 100 steps'
    >>> opening_line(plain | {"probe": {"at_start": False}}, training=True, checkpoint=None)
    'vit from scratch on digits, seed 0: 200 steps, scored every 100 steps'
    >>> opening_line(plain, training=False, checkpoint=None)
    'vit from scratch on digits, seed 0: scored without training'
    """
    start = "from pretrained weights" if plain["model"]["pretrained"] else "from scratch"
    if plain["model"].get("checkpoint"):
        start = f"from {Path(plain['model']['checkpoint']).name}"
    if checkpoint is not None:
        start = f"from {checkpoint.name}"
    what = f"{plain['model']['name']} {start} on {plain['data']['name']}, seed {plain['seed']}"
    if not training:
        return f"{what}: scored without training"
    at_start = plain.get("probe", {}).get("at_start", True) and checkpoint is None
    return f"{what}: {_length(plain['trainer'], at_start=at_start)}"


def network_line(backbone: Backbone, trainer: Trainer, *, training: bool) -> str:
    """Return how many parameters the network has, how many of them train, and where."""
    import torch

    from unseen.backbones.tuning import counted

    total, trained = counted(backbone)
    parts = [f"{total:,} parameters"]
    if training and trained == total:
        parts = [f"{total:,} parameters, all are trained"]
    elif training:
        parts = [f"{trained:,} of {total:,} parameters are trained ({trained / total:.2%})"]
    device = trainer.strategy.root_device
    kind = "CPU" if device.type == "cpu" else device.type.upper()
    if device.type == "cuda":
        kind = torch.cuda.get_device_name(device)
    each = f"{trainer.world_size} × " if trainer.world_size > 1 else ""
    threads = f", {count(torch.get_num_threads(), 'thread')}" if device.type == "cpu" else ""
    return " · ".join([*parts, f"{each}{kind}{threads}, {trainer.precision}"])


def _length(trainer: Mapping[str, Any], *, at_start: bool) -> str:
    steps, epochs, every = (trainer[key] for key in ("max_steps", "max_epochs", "val_check_interval"))
    ends = [count(steps, "step")] if steps != -1 else []
    ends += [count(epochs, "epoch")] if epochs is not None else []
    often = (
        ("every step" if every == 1 else f"every {every} steps") if isinstance(every, int) else "every epoch"
    )
    if isinstance(every, float) and every < 1:
        often = f"every {every:g} epochs"
    return f"{' or '.join(ends)}, scored {'at the start and ' if at_start else ''}{often}"
