"""The settings of a run that change its result, flat, so that runs can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from unseen.reporting.records import Run
from unseen.settings import IMAGE_ROOTS, effect_of

_ANY_PLACE = {"output_dir": "<run folder>", "data_dir": "<data>"}
_SHORTEST_FOLDER = 4  # a path such as "/" must not be replaced inside other settings


def flat_settings(run: Run) -> dict[str, str]:
    """Return what changes a run's result, seed left out: a dotted key for each setting, values as JSON."""
    paths = run.config.get("paths") or {}
    places = {str(paths[key]): text for key, text in _ANY_PLACE.items() if paths.get(key)}
    places = {place: text for place, text in places.items() if len(place) >= _SHORTEST_FOLDER}
    # a resumed training is the same run; runs of before wrote no hash of their images
    left_out = {"seed", "ckpt_path"} if run.entry == "train" else {"seed"}
    kept = set() if run.facts.images_hash else {f"data.{key}" for key in IMAGE_ROOTS}
    flat = {
        name: value
        for name, value in _flatten(run.config, places)
        if name in kept or (effect_of(name) == "result" and name not in left_out)
    }
    facts = {
        "model": run.model,
        "data": run.data,
        "size": run.size,
        "script": run.entry,
        "classes": run.facts.split_hash,
        "images": run.facts.images_hash,
        "layers": len(run.scores.layer_names),
    }
    return flat | {f"({key})": json.dumps(value) for key, value in facts.items()}


def _flatten(value: Any, places: dict[str, str], prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flatten(item, places, f"{prefix}.{key}" if prefix else str(key))
        return
    text = json.dumps(value, default=str)
    for place, name in places.items():
        text = text.replace(place, name)
    yield prefix, text
