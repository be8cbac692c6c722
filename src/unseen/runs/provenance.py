"""What made a checkpoint, stored inside it, and what a resumed run must have in common with it."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unseen.data.splits import ClassSplit
from unseen.run_folder import RunFolder
from unseen.runs.stored import HASH_DIGITS, SCHEMA, read_checkpoint
from unseen.scores import ScoreTable
from unseen.settings import IMAGE_ROOTS, effect_of

_MACHINE = ("cache_gb", "decode", "workers")  # of the machine that runs, never of the one that trained


def make_provenance(
    plain: dict[str, Any], split: ClassSplit, num_classes: int, trained_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Return plain containers that say what a network was trained as; they go into every checkpoint.

    Args:
        plain: The resolved configuration.
        split: Seen and unseen classes.
        num_classes: Outputs of the head.
        trained_on: References of the training images; a check sum of each is kept.
    """
    data = {key: value for key, value in plain["data"].items() if key not in _MACHINE}
    if "source" in data:
        data["source"] = _with_absolute_places(data["source"])
    return {
        "schema": SCHEMA,
        "model": plain["model"],
        "data": _with_absolute_places(data),
        "probe": plain.get("probe"),
        "size": plain["size"],
        "seed": plain["seed"],
        "image_size": plain["data"]["image_size"],
        "num_classes": num_classes,
        "eval_precision": plain["trainer"]["eval_precision"],
        "split": split.to_dict(),
        "split_hash": split.hash(),
        "trained_on": "".join(map(_check_sum, trained_on)),
    }


def read_provenance(checkpoint: Path, *, resume: bool = False) -> dict[str, Any]:
    """Return what made the checkpoint.

    Raises:
        ValueError: The file is missing, unreadable, damaged, or not one of ours.
    """
    content = read_checkpoint(checkpoint, resume=resume)
    provenance: dict[str, Any] = content["unseen"]
    return provenance | {"global_step": content["global_step"], "epoch": content["epoch"]}


def trained_before(stored: dict[str, Any], references: Sequence[str]) -> int:
    """Return how many of the images the checkpoint's network was trained on, as far as their names tell."""
    digits: str = stored.get("trained_on", "")
    known = {digits[place : place + HASH_DIGITS] for place in range(0, len(digits), HASH_DIGITS)}
    return sum(_check_sum(reference) in known for reference in references)


def _check_sum(reference: str) -> str:
    return hashlib.sha256(reference.encode("utf-8", "surrogateescape")).hexdigest()[:HASH_DIGITS]


def _with_absolute_places(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {
        key: str(Path(settings[key]).expanduser().absolute())
        for key in IMAGE_ROOTS
        if isinstance(settings.get(key), str)
    }


def check_resumable(provenance: dict[str, Any], stored: dict[str, Any], checkpoint: Path) -> None:
    """Refuse to go on as something else: the result would be neither run's.

    Raises:
        ValueError: The sentence names the first settings that differ.
    """
    differing: list[str] = []
    for key in ("seed", "num_classes", "split_hash", "model", "data"):
        differing += _differences(key, stored[key], provenance[key])
    if differing:
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise ValueError(
            f"ckpt_path={checkpoint} was trained with other settings: {'; '.join(differing[:4])}{more}; "
            "type the settings it was started with"
        )
    _check_same_images(provenance, stored, checkpoint)


def _check_same_images(provenance: dict[str, Any], stored: dict[str, Any], checkpoint: Path) -> None:
    now, then = (one.get("trained_on", "") for one in (provenance, stored))
    if now and then and now != then:
        raise ValueError(
            f"ckpt_path={checkpoint} was trained on other images ({len(then) // HASH_DIGITS} then, "
            f"{len(now) // HASH_DIGITS} now, by their names): files were added, removed or renamed since"
        )


def _differences(path: str, stored: Any, now: Any) -> list[str]:
    if isinstance(stored, dict) and isinstance(now, dict):
        keys = sorted(stored.keys() | now.keys())
        return [line for key in keys for line in _differences(f"{path}.{key}", stored.get(key), now.get(key))]
    stored, now = (list(value) if isinstance(value, tuple) else value for value in (stored, now))
    return [f"{path}={stored} (now {now})"] if stored != now and effect_of(path) == "result" else []


def scored_as_trained(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the configuration with the checkpoint's network, data and probes, changed where something was typed.

    Typing the group itself (`data=`, or an experiment that chooses one) takes all of it from the configuration.

    Args:
        plain: The composed configuration.
        stored: What made the checkpoint.
        typed: Names of the settings and groups that were typed.

    Raises:
        ValueError: What was typed contradicts the checkpoint.
    """
    if "model" in typed and plain["model"]["name"] != stored["model"]["name"]:
        raise ValueError(
            f"the checkpoint holds {stored['model']['name']}, not model={plain['model']['name']}; leave model= out"
        )
    _check_same_network(plain, stored, typed)
    for key in ("seed", "size"):
        if key in typed and plain[key] != stored[key]:
            raise ValueError(
                f"the checkpoint was trained with {key}={stored[key]}, not {plain[key]}; leave {key} out"
            )
    model = stored["model"] | {"backbone": stored["model"]["backbone"] | {"pretrained": False}}
    for key in _ANEW:
        if f"model.{key}" in typed:
            model[key] = plain["model"][key]
    data = plain["data"] if "data" in typed else _with_typed("data", stored["data"], plain["data"], typed)
    if "data.image_size" in typed and data["image_size"] != stored["image_size"]:
        raise ValueError(
            f"the checkpoint was trained at data.image_size={stored['image_size']}, "
            f"not {data['image_size']}; leave data.image_size out"
        )
    if "data_dir" in data.get("source", {}):  # where this machine keeps its downloads
        data["source"] = data["source"] | {"data_dir": plain["paths"]["data_dir"]}
    probe = plain.get("probe")
    if stored.get("probe") is not None and "probe" not in typed:
        probe = _with_typed("probe", stored["probe"], plain["probe"], typed)
    trainer = plain["trainer"]
    if (
        not {"trainer.eval_precision", "recipe.eval_precision"} & typed
    ):  # before there was a choice, it was 32
        trainer = trainer | {"eval_precision": stored.get("eval_precision", 32)}
    callbacks = plain["callbacks"]
    if callbacks.get("layer_probe"):
        callbacks = callbacks | {"layer_probe": callbacks["layer_probe"] | {"pooling": model["pooling"]}}
    return plain | {
        "model": model,
        "data": data | {"image_size": stored["image_size"]} | {key: plain["data"][key] for key in _MACHINE},
        "probe": probe,
        "size": stored["size"],
        "seed": stored["seed"],
        "trainer": trainer,
        "callbacks": callbacks,
    }


_ANEW = ("pooling", "channels_last")  # how a network is read and laid out, not what it is


def _check_same_network(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> None:
    free = ("model.pretrained", *(f"model.{key}" for key in _ANEW))
    for name in sorted(name for name in typed if name.startswith("model.") and name not in free):
        now, then = (_at(config, name.split(".")) for config in (plain, stored))
        if now != then:
            raise ValueError(
                f"the network comes from the checkpoint, which has {name}={then}, not {now}; leave {name} out"
            )


def _with_typed(group: str, stored: dict[str, Any], plain: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the stored settings of a group with the typed ones changed, and what its source was given of them."""
    changed = copy.deepcopy(stored)
    for name in sorted(name for name in typed if name.startswith(f"{group}.")):
        *parents, key = name.split(".")[1:]
        value, node = _at(plain, [*parents, key]), changed
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = value
        source = changed.get("source")
        if not parents and isinstance(source, dict) and key in source:
            source[key] = value
    return changed


def _at(node: Any, place: list[str]) -> Any:
    for key in place:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def resume_scores(folder: RunFolder, checkpoint: Path, step: int) -> None:
    """Carry the scores of the checkpoint's run over, up to its step."""
    origin = checkpoint.resolve().parent.parent
    scores, summary = origin / "scores.csv", origin / "summary.json"
    if scores.is_file() and summary.is_file():
        seconds = json.loads(summary.read_text(encoding="utf-8")).get("seconds", 0.0)
        folder.continue_from(ScoreTable.read(scores), step, seconds)
