"""Runs to configurations: which runs differ only in their seed and classes, and how configurations are told apart."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unseen.reporting.collect import LeftOut, duplicate, newest_of_each, written
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.place import Place, differing, place_of, plain, scored
from unseen.reporting.layers.scored_runs import Run
from unseen.reporting.texts import digest, file_name
from unseen.scores import is_control

_MOST_IN_A_LABEL = 2  # settings; where more differ, configurations are A, B, ... and a table has the settings


def group_runs(runs: Iterable[Run]) -> tuple[tuple[Configuration, ...], tuple[LeftOut, ...]]:
    """Put runs together that differ only in their seed and in which classes are unseen.

    Returns:
        The configurations, ordered by data, size and label; and runs left out because they score another run's
        network again, or because the configuration has their classes and seed already or shares no scored step with
        them.
    """
    counted, left_out = merge_reevaluations(list(runs))
    members: dict[str, list[Run]] = {}
    families: dict[str, dict[str, Place]] = {}  # configurations of one network, measured alike
    for run in counted:
        place = place_of(run)
        members.setdefault(place.configuration, []).append(run)
        family = json.dumps([run.facts.model, place.task], sort_keys=True)
        families.setdefault(family, {})[place.configuration] = place
    configs = []
    for of_key in families.values():
        names = differing([place.network for place in of_key.values()])
        for number, (key, place) in enumerate(sorted(of_key.items())):
            kept, dropped = _one_of_each(members[key])
            left_out += dropped
            facts = kept[0].facts
            configs.append(
                Configuration(
                    tuple(kept),
                    place,
                    {name.strip("()"): plain(place.network.get(name)) for name in names},
                    _letters(number) if len(names) > _MOST_IN_A_LABEL else "",
                    f"{file_name('-'.join((facts.model, facts.data, facts.size)))}-{digest(key)}",
                )
            )
    return tuple(sorted(configs, key=lambda config: (config.data, config.size, config.label))), tuple(
        left_out
    )


def _letters(number: int) -> str:
    """Return A to Z, then AA, AB, ..."""
    above, letter = divmod(number, len(string.ascii_uppercase))
    return (_letters(above - 1) if above else "") + string.ascii_uppercase[letter]


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
        checkpoint = scored(run)
        if not checkpoint:
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
    ours, theirs = place_of(run), place_of(trained)
    read = ("model.pooling", "(model)", "(layers)")
    return (ours.task, ours.split) == (theirs.task, theirs.split) and all(
        ours.network.get(name) == theirs.network.get(name) for name in read
    )


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


def _place_in_order(run: Run) -> tuple[int, str, int]:
    return (run.split.seed or 0 if run.split else 0, run.facts.split_hash or "", run.facts.seed)


def _one_of_each(members: Sequence[Run]) -> tuple[list[Run], list[LeftOut]]:
    newest, dropped = newest_of_each(
        members,
        lambda run: (run.facts.split_hash, run.facts.seed),
        "the same configuration and seed were run again: {} is used",
    )
    kept: list[Run] = []
    for run in sorted(newest, key=_place_in_order):
        if not kept or Configuration((*kept, run)).steps:
            kept.append(run)
        else:
            reason = "it shares no scored step with the other runs of its configuration"
            dropped.append(duplicate(run, reason))
    return kept, dropped
