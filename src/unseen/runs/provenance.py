"""How a network was trained, as its checkpoints say: written, taken over by a run that goes on or scores, compared."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unseen.data.splits import ClassSplit
from unseen.run_folder import RunFolder
from unseen.runs.checkpoints import HASH_DIGITS, SCHEMA, TRAINING_PARTS, Checkpoint
from unseen.scores import ScoreTable
from unseen.settings import ADDED, IMAGE_ROOTS, effect_of, flatten, value_at

_MACHINE = ("cache_gb", "decode", "workers")  # of the machine that runs, never of the one that trained
_READING = ("pooling", "channels_last")  # how a network is read and laid out, not what it is
# how long and in which steps was trained; the rest of the trainer is the machine's
_LENGTH = ("max_steps", "max_epochs", "val_check_interval", "gradient_clip_val", "accumulate_grad_batches")
_PRECISION = {"trainer.eval_precision", "recipe.eval_precision"}


def make_provenance(
    plain: dict[str, Any], split: ClassSplit, num_classes: int, trained_on: Sequence[str] = ()
) -> dict[str, Any]:
    """Return plain containers that describe how a network was trained; they are stored in every checkpoint.

    Args:
        plain: The resolved configuration.
        split: Seen and unseen classes.
        num_classes: Outputs of the head.
        trained_on: References of the training images; a check sum of each is kept.
    """
    data = {key: value for key, value in plain["data"].items() if key not in _MACHINE}
    if "source" in data:
        data["source"] = _with_absolute_roots(data["source"])
    return {
        "schema": SCHEMA,
        "model": plain["model"],
        "data": _with_absolute_roots(data),
        "probe": plain.get("probe"),
        "size": plain["size"],
        "seed": plain["seed"],
        "image_size": plain["data"]["image_size"],
        "num_classes": num_classes,
        "eval_precision": plain["trainer"]["eval_precision"],
        "training": {
            key: value
            for key, value in flatten(
                {name: plain.get(name, {}) for name in ("trainer", "callbacks")}
            ).items()
            if effect_of(key) == "result" and key != "trainer.eval_precision"
        },
        "split": split.to_dict(),
        "split_hash": split.hash(),
        "trained_on": "".join(map(_check_sum, trained_on)),
    }


def training_of(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return what summary.json says of a scored network's training; None for checkpoints of earlier versions."""
    made_by = checkpoint.made_by
    if made_by.get("training") is None:
        return None
    classes = {key: made_by["split"][key] for key in ("seen", "unseen")}
    facts = {"data": made_by["data"]["name"], "split_hash": made_by["split_hash"]}
    return {"settings": made_by["training"]} | facts | classes


def seen_in_training(checkpoint: Checkpoint, data: str, unseen: Sequence[str]) -> list[str]:
    """Return which of the unseen classes of a data set the checkpoint's network was trained on, by their names."""
    trained = training_of(checkpoint)
    return [name for name in unseen if trained and trained["data"] == data and name in trained["seen"]]


def trained_before(checkpoint: Checkpoint, references: Sequence[str]) -> int:
    """Return on how many of the images the checkpoint's network was trained, judged by their names."""
    digits: str = checkpoint.made_by.get("trained_on", "")
    known = {digits[place : place + HASH_DIGITS] for place in range(0, len(digits), HASH_DIGITS)}
    return sum(_check_sum(reference) in known for reference in references)


def check_resumable(checkpoint: Checkpoint, provenance: dict[str, Any]) -> None:
    """Refuse to go on with other settings or images: the result would be neither run's.

    Args:
        checkpoint: Where training would go on.
        provenance: Of the run that would go on.

    Raises:
        ValueError: The sentence names the first settings that differ.
    """
    stored, keys = checkpoint.made_by, ("seed", "num_classes", "split_hash", "model", "data")
    differing = [line for key in keys for line in _differences(key, stored[key], provenance[key])]
    if differing:
        more = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
        raise checkpoint.refused(
            f"was trained with other settings: {'; '.join(differing[:4])}{more}; type the settings it was started with"
        )
    now, then = (one.get("trained_on", "") for one in (provenance, stored))
    if now and then and now != then:
        raise checkpoint.refused(
            f"was trained on other images ({len(then) // HASH_DIGITS} then, {len(now) // HASH_DIGITS} now, by their "
            "names): files were added, removed or renamed since"
        )


def resume_scores(checkpoint: Checkpoint, folder: RunFolder) -> None:
    """Copy the scores of the checkpoint's run, up to its step, into the folder."""
    origin = checkpoint.path.resolve().parent.parent
    scores, summary = origin / "scores.csv", origin / "summary.json"
    if scores.is_file() and summary.is_file():
        seconds = json.loads(summary.read_text(encoding="utf-8")).get("seconds", 0.0)
        folder.continue_from(ScoreTable.read(scores), checkpoint.at[0], seconds)


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
    _check_not_contradicted(plain, stored, typed)
    model = stored["model"] | {"backbone": stored["model"]["backbone"] | {"pretrained": False}}
    model |= {key: plain["model"][key] for key in _READING if f"model.{key}" in typed}
    data = plain["data"] if "data" in typed else _with_typed("data", stored["data"], plain["data"], typed)
    if "data.image_size" in typed and data["image_size"] != stored["image_size"]:
        raise ValueError(
            f"the checkpoint was trained at data.image_size={stored['image_size']}, "
            f"not {data['image_size']}; leave data.image_size out"
        )
    probe = plain.get("probe")
    if stored.get("probe") is not None and "probe" not in typed:
        # those of before a setting existed have it as it is here
        probe = _with_typed("probe", plain["probe"] | stored["probe"], plain["probe"], typed)
    precision = {} if _PRECISION & typed else {"eval_precision": stored.get("eval_precision", 32)}
    return plain | {
        "model": model,
        "data": _of_this_machine(data, plain) | {"image_size": stored["image_size"]},
        "probe": probe,
        "size": stored["size"],
        "seed": stored["seed"],
        "trainer": plain["trainer"] | precision,
        "callbacks": _reading_alike(plain["callbacks"], model),
    }


def resumed_as_trained(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the configuration with the settings that the checkpoint was trained with, but for what was typed.

    A typed setting that makes another run is refused later (`check_resumable`). Where `size` or a part of `recipe` was
    typed, which stand for other settings, everything is as typed.

    Args:
        plain: The composed configuration.
        stored: What made the checkpoint.
        typed: Names of the settings and groups that were typed.
    """
    if "size" in typed or any(name.startswith("recipe.") for name in typed):
        return plain
    groups = {
        group: _with_typed(group, stored[group], plain[group], typed)
        for group in ("model", "data", "probe")
        if group not in typed and stored.get(group) is not None
    }
    for part in (*TRAINING_PARTS, "tuning"):  # groups of their own
        if part in typed and part in plain["model"] and "model" in groups:
            groups["model"][part] = plain["model"][part]
    if "augment" in typed and "data" in groups:
        groups["data"] |= {key: plain["data"][key] for key in ("augment", "rotation", "eval_deterministic")}
    training = stored.get("training") or {}
    length = {
        key: training[f"trainer.{key}"]
        for key in _LENGTH
        if f"trainer.{key}" in training and not {"trainer", f"trainer.{key}"} & typed
    }
    groups["trainer"] = plain["trainer"] | length
    if "data" in groups:
        groups["data"] = _of_this_machine(groups["data"], plain)
    callbacks = _reading_alike(plain["callbacks"], groups.get("model", plain["model"]))
    seed = {} if "seed" in typed else {"seed": stored["seed"]}
    return plain | groups | seed | {"size": stored["size"], "callbacks": callbacks}


def _of_this_machine(data: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """Return settings of data with what the machine that runs decides: where downloads are, how images are decoded."""
    here = data | {key: plain["data"][key] for key in _MACHINE}
    if "data_dir" in data.get("source", {}):
        here["source"] = data["source"] | {"data_dir": plain["paths"]["data_dir"]}
    return here


def _reading_alike(callbacks: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return callbacks that read the layers as the model's settings say."""
    if not callbacks.get("layer_probe"):
        return callbacks
    return callbacks | {"layer_probe": callbacks["layer_probe"] | {"pooling": model["pooling"]}}


def _check_not_contradicted(plain: dict[str, Any], stored: dict[str, Any], typed: set[str]) -> None:
    if "model" in typed and plain["model"]["name"] != stored["model"]["name"]:
        raise ValueError(
            f"the checkpoint holds {stored['model']['name']}, not model={plain['model']['name']}; leave model= out"
        )
    free = ("model.pretrained", *(f"model.{key}" for key in _READING))
    typed = typed | {f"model.{group}" for group in (*TRAINING_PARTS, "tuning") if group in typed}
    for name in sorted(name for name in typed if name.startswith("model.") and name not in free):
        now, then = (value_at(config, name.split(".")) for config in (plain, stored))
        if now != then:
            now, then = (value.get("_target_") if isinstance(value, dict) else value for value in (now, then))
            raise ValueError(
                f"the network comes from the checkpoint, which has {name}={then}, not {now}; leave {name} out"
            )
    for key in ("seed", "size"):
        if key in typed and plain[key] != stored[key]:
            raise ValueError(
                f"the checkpoint was trained with {key}={stored[key]}, not {plain[key]}; leave {key} out"
            )


def _with_typed(group: str, stored: dict[str, Any], plain: dict[str, Any], typed: set[str]) -> dict[str, Any]:
    """Return the stored settings of a group with the typed ones changed, and what its source was given of them."""
    changed = copy.deepcopy(stored)
    for name in sorted(name for name in typed if name.startswith(f"{group}.")):
        *parents, key = name.split(".")[1:]
        value, node = value_at(plain, [*parents, key]), changed
        for parent in parents:
            node = node.setdefault(parent, {})
        node[key] = value
        source = changed.get("source")
        if not parents and isinstance(source, dict) and key in source:
            source[key] = value
    return changed


def _with_absolute_roots(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose image roots do not depend on the current folder."""
    roots = {key: settings[key] for key in IMAGE_ROOTS if isinstance(settings.get(key), str)}
    return settings | {key: str(Path(root).expanduser().absolute()) for key, root in roots.items()}


def _differences(place: str, stored: Any, now: Any) -> list[str]:
    if isinstance(stored, dict) and isinstance(now, dict):
        keys = sorted(stored.keys() | now.keys())
        return [
            line for key in keys for line in _differences(f"{place}.{key}", stored.get(key), now.get(key))
        ]
    stored, now = (ADDED.get(place) if value is None else value for value in (stored, now))
    stored, now = (list(value) if isinstance(value, tuple) else value for value in (stored, now))
    return [f"{place}={stored} (now {now})"] if stored != now and effect_of(place) == "result" else []


def _check_sum(reference: str) -> str:
    return hashlib.sha256(reference.encode("utf-8", "surrogateescape")).hexdigest()[:HASH_DIGITS]
