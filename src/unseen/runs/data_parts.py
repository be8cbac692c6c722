"""The images of a run from its configuration: source, split, and how they are shown."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.runs.objects import make
from unseen.runs.trainer import processes_to_fit

if TYPE_CHECKING:
    from unseen.backbones.protocol import BackboneSpec
    from unseen.data.cue import ColourCue
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.data.diet import Diet


def make_datamodule(
    plain: dict[str, Any], spec: BackboneSpec, *, training: bool = True
) -> SeenUnseenDataModule:
    """Return the data module of a configuration, with nothing read yet.

    Args:
        plain: The resolved configuration.
        spec: Of the network, for the scale of its images.
        training: Whether images are trained on: only then are they augmented, or left out (`data.keep`).

    Raises:
        ValueError: A setting that is not allowed.
    """
    from unseen.data.canvas_cache import CanvasCache
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.data.selection import SelectionRule
    from unseen.data.splits import choose_classes
    from unseen.data.transforms import View

    data = plain["data"]

    def settings(kind: Callable[..., object]) -> dict[str, Any]:
        return {
            key: data[key]
            for key in inspect.signature(kind).parameters.keys() & data.keys() - {"source", "augment"}
        }

    folder, limit = Path(plain["paths"]["data_dir"]).expanduser() / "cache", data["cache_gb"] * 2**30
    processes = processes_to_fit(plain["trainer"])
    return SeenUnseenDataModule(
        make(data["source"], "data.source", methods=("check", "list", "read")),
        View(**settings(View), seed=plain["seed"]),
        choose=partial(choose_classes, **settings(choose_classes), seed=data["split_seed"]),
        rule=SelectionRule(
            **settings(SelectionRule),
            seed=data["split_seed"],
            draws_classes=data["num_unseen"] is not None or data.get("num_seen") is not None,
        ),
        diet=_diet(data) if training else None,  # what is scored is not trained
        cue=_cue(data),
        **settings(SeenUnseenDataModule),
        augment=make(data["augment"], "data.augment") if training and data.get("augment") else None,
        mean=spec.mean,
        std=spec.std,
        cache=CanvasCache(folder, limit, processes) if limit > 0 else None,
        processes=processes,
    )


def _cue(data: dict[str, Any]) -> ColourCue | None:
    from unseen.data.cue import ColourCue

    agreement = data.get("cue_agreement")
    return None if agreement is None else ColourCue(agreement, data["split_seed"])


def _diet(data: dict[str, Any]) -> Diet:
    from unseen.data.diet import Diet

    file = Path(data["el2n"]).expanduser() if data.get("el2n") else None
    return Diet(data.get("keep", "all"), data.get("keep_share", 0.5), file, data["split_seed"])
