"""What a run computes, as flat settings that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from unseen.reporting.records import Run

# They say where a run happens and who watches, not what it computes.
_ELSEWHERE = ("hydra", "paths", "logger", "resume", "plan", "seed")
# They add rows and files or say where images are kept; the scores of a run are the same with and without.
_ADDED = ("probe.noise_levels", "probe.save_embeddings", "data.cache_gb")
_ANY_PLACE = {"output_dir": "<run folder>", "data_dir": "<data>"}
_SHORTEST_FOLDER = 4  # a path such as "/" must not be replaced inside other settings


def flat_settings(run: Run) -> dict[str, str]:
    """Return what the run computes, seed left out: a dotted key for each setting, values as JSON."""
    config = {key: value for key, value in run.config.items() if key not in _ELSEWHERE}
    if run.entry == "train":
        config.pop("ckpt_path", None)  # a resumed run is the same run
    paths = run.config.get("paths") or {}
    places = {str(paths[key]): text for key, text in _ANY_PLACE.items() if paths.get(key)}
    places = {place: text for place, text in places.items() if len(place) >= _SHORTEST_FOLDER}
    flat = {name: value for name, value in _flatten(config, places) if name not in _ADDED}
    facts = {
        "model": run.model,
        "data": run.data,
        "size": run.size,
        "script": run.entry,
        "classes": run.facts.split_hash,
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
