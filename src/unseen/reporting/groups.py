"""Runs to configurations: which runs differ only in their seed, and in which settings configurations differ."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unseen.reporting.collect import LeftOut, Run, duplicate, written
from unseen.reporting.configuration import Configuration
from unseen.reporting.texts import digest, file_name
from unseen.scores import is_control
from unseen.settings import IMAGE_ROOTS, effect_of, flatten

_ANY_PLACE = {"output_dir": "<run folder>", "data_dir": "<data>"}
_SHORTEST_FOLDER = 4  # a path such as "/" must not be replaced inside other settings
# What affects the scores of a trained network.
_AFFECTS_SCORES = (
    "probe.", "data.", "model.pooling", "(model)", "(data)", "(size)", "(classes)", "(images)", "(layers)",
)  # fmt: skip
# Networks that are compared should not differ in these; in settings of their own they may.
_SHARED = ("data.", "probe.", "trainer.max_steps", "trainer.max_epochs", "(classes)", "(images)", "(script)")
_NAMED_LAST = ("callbacks.", "(")  # often repeat another setting
_LONGEST_VALUE = 100  # characters of a setting in a label


def result_settings(run: Run) -> dict[str, str]:
    """Return the settings that affect a run's result, without the seed: dotted keys, values as JSON."""
    facts = run.facts
    paths = run.config.get("paths") or {}
    places = {str(paths[key]): stand_in for key, stand_in in _ANY_PLACE.items() if paths.get(key)}
    # a resumed training is the same run; runs of earlier versions wrote no hash of their images
    left_out = {"seed", "ckpt_path"} if facts.entry == "train" else {"seed"}
    kept = set() if facts.images_hash else {f"data.{key}" for key in IMAGE_ROOTS}
    settings = {}
    for name, value in flatten(run.config).items():
        if name in kept or (effect_of(name) == "result" and name not in left_out):
            settings[name] = json.dumps(value)
            for place, stand_in in places.items():
                if len(place) >= _SHORTEST_FOLDER:
                    settings[name] = settings[name].replace(place, stand_in)
    about = {
        "model": facts.model, "data": facts.data, "size": facts.size, "script": facts.entry,
        "classes": facts.split_hash, "images": facts.images_hash, "layers": len(run.scores.layer_names),
    }  # fmt: skip
    return settings | {f"({key})": json.dumps(value) for key, value in about.items()}


def group_runs(runs: Iterable[Run]) -> tuple[tuple[Configuration, ...], tuple[LeftOut, ...]]:
    """Put runs together that differ only in their seed.

    Returns:
        The configurations, ordered by data, size and label; and runs left out because they score another run's
        network again, or because the configuration has their seed already or shares no scored step with them.
    """
    counted, left_out = merge_reevaluations(list(runs))
    members: dict[str, list[Run]] = {}
    families: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for run in counted:
        settings, facts = result_settings(run), run.facts
        key = json.dumps(settings, sort_keys=True)
        members.setdefault(key, []).append(run)
        families.setdefault((facts.model, facts.data, facts.size), {})[key] = settings
    configs = []
    for family, of_key in families.items():
        differing = _differing(list(of_key.values()))
        for key, settings in of_key.items():
            kept, dropped = _one_each_seed(members[key])
            left_out += dropped
            variant = tuple(f"{name.strip('()')}={_plain(settings.get(name))}" for name in differing)
            configs.append(
                Configuration(tuple(kept), variant, f"{file_name('-'.join(family))}-{digest(key)}")
            )
    return tuple(sorted(configs, key=lambda config: (config.data, config.size, config.label))), tuple(
        left_out
    )


def merge_reevaluations(runs: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    """Take out evaluations that score a network again as its own training run did: it must not count twice.

    What such an evaluation measured beyond that (chance, k-means noise, destroyed images) goes to the training run,
    at the step of the checkpoint.

    Returns:
        The runs that count, and the evaluations with their reason.
    """
    kept: dict[Path, Run] = {run.folder.resolve(): run for run in runs}
    left_out = []
    for run in sorted(runs, key=written):
        checkpoint = run.facts.checkpoint or run.config.get("ckpt_path")
        if run.facts.entry != "eval" or not checkpoint:
            continue
        folder = Path(checkpoint).resolve().parent.parent
        trained = kept.get(folder)
        if trained is None or not _scored_alike(run, trained):
            continue
        del kept[run.folder.resolve()]
        kept[folder], added = _with_controls_of(run, trained)
        reason = f"it scores a checkpoint of {trained.name} again, which counts already"
        if added:
            reason += f"; its {', '.join(added)} are shown with that run"
        left_out.append(duplicate(run, reason))
    return list(kept.values()), left_out


def _scored_alike(run: Run, trained: Run) -> bool:
    if trained.facts.entry != "train" or run.scores.steps[-1] not in trained.scores.steps:
        return False
    ours, theirs = (
        {name: value for name, value in result_settings(each).items() if name.startswith(_AFFECTS_SCORES)}
        for each in (run, trained)
    )
    return ours == theirs


def _with_controls_of(run: Run, trained: Run) -> tuple[Run, list[str]]:
    """Return the training run with the controls that only the evaluation has, and their names."""
    place = int(np.searchsorted(trained.scores.steps, run.scores.steps[-1]))
    layers, added = dict(trained.scores.layers), set()
    for key, values in run.scores.layers.items():
        if not is_control(key[1]):
            continue
        filled = layers.get(key, np.full_like(trained.scores.layers["unseen", "nmi"], np.nan)).copy()
        if np.isnan(filled[place]).all():
            filled[place] = values[-1]
            layers[key] = filled
            added.add(key[1])
    return replace(trained, scores=replace(trained.scores, layers=layers)), sorted(added)


def _one_each_seed(members: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    newest: dict[int, Run] = {}
    dropped: list[LeftOut] = []
    for run in sorted(members, key=written):
        if run.facts.seed in newest:
            reason = f"the same configuration and seed were run again: {run.name} is used"
            dropped.append(duplicate(newest[run.facts.seed], reason))
        newest[run.facts.seed] = run
    kept: list[Run] = []
    for run in sorted(newest.values(), key=lambda run: run.facts.seed):
        if Configuration((*kept, run)).steps:
            kept.append(run)
        else:
            reason = "it shares no scored step with the other seeds of its configuration"
            dropped.append(duplicate(run, reason))
    return kept, dropped


def shared_settings_that_differ(configurations: Sequence[Configuration]) -> tuple[str, ...]:
    """Return the settings of data, probing and training length in which compared configurations differ.

    A network's own settings may differ; these should not.
    """
    settings = [result_settings(config.runs[0]) for config in configurations]
    texts = []
    for name in sorted({name for flat in settings for name in flat if name.startswith(_SHARED)}):
        values = sorted({_plain(flat.get(name)) for flat in settings})
        if len(values) > 1:
            texts.append(f"{name.strip('()')} is {' or '.join(values)}")
    return tuple(texts)


def _differing(settings: Sequence[dict[str, str]]) -> list[str]:
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


def _plain(value: str | None) -> str:
    if value is None:
        return "(absent)"
    text = value.strip('"')
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… #{digest(text)}"
