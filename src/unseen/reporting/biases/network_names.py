"""Names of the networks of bias runs, several of one network told apart by the settings in which the runs differ."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.layers.place import Settings, differing, told
from unseen.settings import effect_of, flatten

_MOST_IN_A_NAME = 2  # settings; more are too long for a figure


def telling_names(runs: Sequence[BiasRun], by_folder: Sequence[str]) -> list[str]:
    """Return the names of the networks of some runs.

    Args:
        runs: Any.
        by_folder: Their names with the parts of their folders that differ, which serve where no setting tells.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for place, run in enumerate(runs):
        members[run.label].append(place)
    names = list(by_folder)
    for label, places in members.items():
        settings = [_settings(runs[place]) for place in places]
        differ = differing(settings)
        texts = [told(one, differ) for one in settings]
        if differ and len(differ) <= _MOST_IN_A_NAME and len(set(texts)) == len(texts):
            for place, text in zip(places, texts, strict=True):
                names[place] = f"{label} ({text})"
    return names


def _settings(run: BiasRun) -> Settings:
    return {
        key: json.dumps(value)
        for key, value in flatten(run.config).items()
        if effect_of(key) == "result" and key != "ckpt_path"
    }
