"""Where a run stands in the design of an experiment: its network and training, its task, its classes, its seed.

Runs with the same network and task are one configuration: they differ in their classes and seed only. Configurations
with the same task are compared. The tables below say what belongs where; a setting that is in none is the network's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from unseen.reporting.by_key import by_key
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.texts import class_names, digest
from unseen.settings import ADDED, IMAGE_ROOTS, effect_of, flatten

_SPLIT = ("data.unseen", "data.num_unseen", "data.seen", "data.split_seed")  # choose classes and images
_TASK = ("data.", "probe.", "trainer.eval_precision")
# of `data.`, what changes the training only; a rotation that evaluation repeats changes the task
_TRAINING = tuple(
    f"data.{key}"
    for key in (
        *("batch_size", "train_size", "num_labels", "rotation", "imbalance", "views", "augment"),
        *("class_balanced", "keep", "keep_share"),
    )
)
_OF_TRAINING = (
    "trainer.",
    "callbacks.",
)  # settings that an evaluation of a checkpoint has from the checkpoint
_ANY_PLACE = {"output_dir": "<run folder>", "data_dir": "<data>"}
_SHORTEST_FOLDER = 4  # a path such as "/" must not be replaced inside other settings
_HOW_TRAINED = (
    "trainer.", "data.", "model.optimizer", "model.scheduler", "model.pretrained", "model.pooling", "(script)",
    "(step)",
)  # fmt: skip
_NAMED_LAST = ("callbacks.", "(")  # often repeat another setting
_LONGEST_VALUE = 40  # characters of a setting in a label

Settings = dict[str, str]  # dotted keys or (facts): values as JSON


@dataclass(frozen=True, eq=False)
class Place:
    """The place of one run; two runs are the same run where all four are equal."""

    network: Settings  # the network, how it was trained, how its layers are read
    task: Settings  # what is measured, on which images, but for the choice of classes
    split: str  # which classes are seen and unseen, and which images of them: a key
    seed: int  # of the training

    @property
    def configuration(self) -> str:
        """A key that is equal for the runs of one configuration."""
        return json.dumps([self.network, self.task], sort_keys=True)


NOWHERE = Place({}, {}, "", 0)  # of a run that is shown alone


def place_of(run: Run) -> Place:
    """Return where a run stands."""
    facts, settings = run.facts, _settings(run)
    network: Settings = {}
    task: Settings = {}
    rotates = settings.get("data.eval_deterministic") == "false"
    for name, value in settings.items():
        if name in _SPLIT and facts.split_hash:
            continue
        trains = any(name == one or name.startswith(f"{one}.") for one in _TRAINING)
        is_task = name.startswith(_TASK) and (not trains or (name == "data.rotation" and rotates))
        (task if is_task else network)[name] = value
    network |= _facts(model=facts.model, script=facts.entry, layers=len(run.scores.layer_names))
    task |= _facts(data=facts.data, size=facts.size, images=facts.images_hash)
    task |= {"(unseen classes)": json.dumps(facts.unseen_classes)}
    if settings.get("data.seen", "null") != "null":  # else their number follows from the unseen ones
        task |= {"(seen classes)": json.dumps(facts.seen_classes)}
    if scored(run):
        network |= _facts(step=int(run.scores.steps[-1]))
        trained = facts.trained
        if trained is None:  # by an earlier version: how it was trained is not known
            network["ckpt_path"] = json.dumps(scored(run))
        elif trained.split_hash != facts.split_hash:
            network["(trained without)"] = json.dumps(class_names(trained.unseen))
    return Place(network, task, facts.split_hash or "", facts.seed)


def scored(run: Run) -> str:
    """Return the checkpoint that an evaluation scored, "" for a training and for weights as they came."""
    return "" if run.facts.entry == "train" else run.facts.checkpoint or run.config.get("ckpt_path") or ""


def _settings(run: Run) -> Settings:
    """Return the settings that affect a run's result, without the seed."""
    paths, flat = run.config.get("paths") or {}, (ADDED if run.config else {}) | flatten(run.config)
    places = {str(paths[key]): stand_in for key, stand_in in _ANY_PLACE.items() if paths.get(key)}
    if scored(run):
        flat = {
            key: value
            for key, value in flat.items()
            if not key.startswith(_OF_TRAINING) or key.startswith(_TASK)
        }
        flat["model.backbone.pretrained"] = flat.get("model.pretrained")
        if run.facts.trained:
            flat |= run.facts.trained.settings
    # runs of earlier versions wrote no hash of their images
    kept = set() if run.facts.images_hash else {f"data.{key}" for key in IMAGE_ROOTS}
    found = {}
    for name, value in flat.items():
        if name in kept or (effect_of(name) == "result" and name not in {"seed", "ckpt_path"}):
            found[name] = json.dumps(value)
            for place, stand_in in places.items():
                if len(place) >= _SHORTEST_FOLDER:
                    found[name] = found[name].replace(place, stand_in)
    return found


def _facts(**facts: object) -> Settings:
    return {f"({name})": json.dumps(value) for name, value in facts.items()}


def split_names(runs: Sequence[Run]) -> dict[str, str]:
    """Return a short name for each class split of some runs, such as "7, 8, 9", by its key."""
    first = {run.facts.split_hash or "": run for run in reversed(runs)}
    plain = {key: run.classes or "unknown" for key, run in first.items()}
    named = {}
    for key, run in first.items():
        alike = [other for other in plain if plain[other] == plain[key]]
        seeds = {split.seed for other in alike if (split := first[other].split)}
        if len(alike) == 1:
            named[key] = plain[key]
        elif run.split and len(seeds) == len(alike):  # the same classes, other images of them
            named[key] = f"{plain[key]} (split seed {run.split.seed})"
        else:
            named[key] = f"{plain[key]} (split {sorted(alike).index(key) + 1})"
    return named


def trained_otherwise(places: Sequence[Place]) -> list[str]:
    """Return in which settings of training different networks differ, other than by a sweep over each of them."""
    by_network = by_key([place.network for place in places], lambda network: network["(model)"])
    texts = []
    for name in differing([place.network for place in places]):
        if name.startswith(_HOW_TRAINED):
            values = [{plain(flat.get(name)) for flat in of_one} for of_one in by_network.values()]
            if any(one != values[0] for one in values):
                texts.append(f"{name.strip('()')} is {' or '.join(sorted(set.union(*values)))}")
    return texts


def differing(settings: Sequence[Settings]) -> list[str]:
    """Return the settings that differ, without those that only repeat another (an interpolation of it)."""
    names = sorted({name for flat in settings for name in flat})
    names.sort(key=lambda name: (name.startswith(_NAMED_LAST), name.count(".")))
    kept: dict[tuple[int, ...], str] = {}
    for name in names:
        values = [flat.get(name) for flat in settings]
        pattern = tuple(values.index(value) for value in values)
        if any(pattern):
            kept.setdefault(pattern, name)
    return list(kept.values())


def plain(value: str | None) -> str:
    """Return a setting's value as a label shows it."""
    if value is None:
        return "(absent)"
    text = value.strip('"')
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… #{digest(text)}"


def told(settings: Settings, names: Sequence[str]) -> str:
    """Return some settings as a label has them, by the last part of their names.

    >>> told({"data.train_size": "100"}, ["data.train_size", "limit"])
    'train_size=100, limit=(absent)'
    """
    return ", ".join(f"{name.rpartition('.')[2]}={plain(settings.get(name))}" for name in names)
