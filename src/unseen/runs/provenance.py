"""What made a checkpoint, stored inside it, and what a resumed run must have in common with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unseen.data.splits import ClassSplit
from unseen.run_folder import RunFolder
from unseen.scores import ScoreTable

_SCHEMA = 1
# A run may go on elsewhere: these do not change what it computes.
_FREE = ("data.root", "data.source", "data.skip_bad", "data.eval_batch_size")
_CACHE = "cache_gb"  # of the machine that runs, never of the one that trained


def make_provenance(plain: dict[str, Any], split: ClassSplit, num_classes: int) -> dict[str, Any]:
    """Return plain containers that say what a network was trained as; they go into every checkpoint."""
    return {
        "schema": _SCHEMA,
        "model": plain["model"],
        "data": {key: value for key, value in plain["data"].items() if key != _CACHE},
        "size": plain["size"],
        "seed": plain["seed"],
        "image_size": plain["data"]["image_size"],
        "num_classes": num_classes,
        "split": split.to_dict(),
        "split_hash": split.hash(),
    }


def read_provenance(checkpoint: Path) -> dict[str, Any]:
    """Return what made the checkpoint.

    Raises:
        ValueError: The file is missing, unreadable, or not one of ours.
    """
    import pickle

    import torch

    if not checkpoint.is_file():
        raise ValueError(f"ckpt_path={checkpoint} is not a file")
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError) as error:
        raise ValueError(f"ckpt_path={checkpoint} cannot be read as a checkpoint: {error}") from error
    if not isinstance(content, dict) or "unseen" not in content:
        raise ValueError(f"ckpt_path={checkpoint} was not written by this program")
    provenance: dict[str, Any] = content["unseen"]
    if provenance.get("schema") != _SCHEMA:
        raise ValueError(
            f"ckpt_path={checkpoint} has schema {provenance.get('schema')}, this version reads {_SCHEMA}"
        )
    return provenance | {"global_step": content["global_step"], "epoch": content["epoch"]}


def check_resumable(provenance: dict[str, Any], stored: dict[str, Any], checkpoint: Path) -> None:
    """Refuse to go on as something else: the result would be neither run's.

    Raises:
        ValueError: The sentence names the first settings that differ.
    """
    differing = []
    for key in ("seed", "num_classes", "split_hash", "model", "data"):
        differing += _differences(key, stored[key], provenance[key])
    differing = [line for line in differing if not line.startswith(_FREE)]
    if differing:
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise ValueError(
            f"ckpt_path={checkpoint} was trained with other settings: {'; '.join(differing[:4])}{more}; "
            "type the settings it was started with"
        )


def _differences(path: str, stored: Any, now: Any) -> list[str]:
    if isinstance(stored, dict) and isinstance(now, dict):
        keys = sorted(stored.keys() | now.keys())
        return [line for key in keys for line in _differences(f"{path}.{key}", stored.get(key), now.get(key))]
    stored, now = (list(value) if isinstance(value, tuple) else value for value in (stored, now))
    return [] if stored == now else [f"{path}={stored} (now {now})"]


def scored_as_trained(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the configuration with the checkpoint's network, and its data unless other data were typed.

    Args:
        plain: The composed configuration.
        stored: What made the checkpoint.
        typed: Names of the settings on the command line.

    Raises:
        ValueError: What was typed contradicts the checkpoint.
    """
    if "model" in typed and plain["model"]["name"] != stored["model"]["name"]:
        raise ValueError(
            f"the checkpoint holds {stored['model']['name']}, not model={plain['model']['name']}; leave model= out"
        )
    model = stored["model"] | {"backbone": stored["model"]["backbone"] | {"pretrained": False}}
    if "model.pooling" in typed:
        model = model | {"pooling": plain["model"]["pooling"]}
    other_data = any(key == "data" or key.startswith("data.") for key in typed - {f"data.{_CACHE}"})
    data = plain["data"] if other_data else stored["data"] | {_CACHE: plain["data"][_CACHE]}
    if "data.image_size" in typed and data["image_size"] != stored["image_size"]:
        raise ValueError(
            f"the checkpoint was trained at data.image_size={stored['image_size']}, "
            f"not {data['image_size']}; leave data.image_size out"
        )
    callbacks = plain["callbacks"]
    if callbacks.get("layer_probe"):
        callbacks = callbacks | {"layer_probe": callbacks["layer_probe"] | {"pooling": model["pooling"]}}
    return plain | {
        "model": model,
        "data": data | {"image_size": stored["image_size"]},
        "size": stored["size"],
        "callbacks": callbacks,
    }


def resume_scores(folder: RunFolder, checkpoint: Path, step: int) -> None:
    """Carry the scores of the checkpoint's run over, up to its step."""
    origin = checkpoint.resolve().parent.parent
    scores, summary = origin / "scores.csv", origin / "summary.json"
    if scores.is_file() and summary.is_file():
        seconds = json.loads(summary.read_text(encoding="utf-8")).get("seconds", 0.0)
        folder.continue_from(ScoreTable.read(scores), step, seconds)
