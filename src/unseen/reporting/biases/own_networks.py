"""One's own networks, from the folders of bias runs, in the form of the published ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np

from unseen.reporting.biases.bias_runs import ACCURACY, BiasRun, read_bias_run
from unseen.reporting.biases.networks import BIASES, CUTOFFS, Networks
from unseen.reporting.texts import printable
from unseen.run_state import read_summary
from unseen.wording import listing

_NAMES = {  # of scores.csv, and of the published table
    "low_frequency_bias": "low_freq_bias",
    "high_frequency_bias": "high_freq_bias",
    "cb_center_frequency": "cb_center_freq",
    "cb_peak_noise_sensitivity": "cb_peak_noise_sens",
}
_WHOLE = {  # the benchmarks whose mean the published group is; a mean over others has another name
    "id": ("ID", {"imagenet", "imagenet_v2", "imagenet_real"}),
    "robustness": ("Robustness", {"imagenet_a", "imagenet_c", "imagenet_c_bar"}),
    "concepts": ("Concepts", {"imagenet_sketch", "imagenet_r", "stylized"}),
}
_ATTACKED, _VALIDATION = "adversarial_accuracy", "imagenet"
_CATEGORY = "own network"


def own_networks(folders: Sequence[Path]) -> Networks:
    """Return the networks of bias runs: a network for each folder.

    A bias has the name of the published one; where it was measured on several sets of images, one column is made of
    each, NAME@IMAGES. A group whose benchmarks are those of the paper has its name, a mean over others names them, such
    as `Robustness (imagenet_c)`; accuracy on a set without a group is a group of the set's name. A network that was
    fine-tuned here also has `g` of its run.

    Args:
        folders: Run folders of `biases.py`, or folders that hold such at any depth.

    Raises:
        ValueError: There is none that has ended, or one of them is damaged; one sentence.
    """
    runs = []
    for folder in dict.fromkeys(
        folder for root in folders for folder in sorted({path.parent for path in root.rglob("scores.csv")})
    ):
        summary = read_summary(folder)
        if (summary.get("kind"), summary.get("status")) == ("biases", "finished"):
            try:
                runs.append(read_bias_run(folder, str(folder), summary))
            except ValueError as error:
                raise ValueError(f"{printable(folder)}: {error}") from error
    if not runs:
        raise ValueError(f"no finished run of biases.py is in {listing(folders) or 'no folder'}")
    return networks_of(runs)


def networks_of(runs: Sequence[BiasRun]) -> Networks:
    """Return the networks of runs; see `own_networks`."""
    named = _names([(printable(run.label, 60), run.folder) for run in runs])
    measured = dict.fromkeys(key for run in runs for key in run.values if key[0] not in {ACCURACY, _ATTACKED})
    sets = Counter(measure for measure, _ in measured)
    biases = {
        _column(measure, images, sets[measure]): np.array(
            [value.mean if (value := run.values.get((measure, images))) else math.nan for run in runs]
        )
        for measure, images in measured
    }
    order = {name: place for place, name in enumerate(BIASES)}
    of_runs = [_groups(run) for run in runs]
    groups = dict.fromkeys(group for of_run in of_runs for group in of_run)
    return Networks(
        names=tuple(named),
        categories=(_CATEGORY,) * len(named),
        biases=dict(sorted(biases.items(), key=lambda item: order.get(item[0], len(order)))),
        groups={group: np.array([of_run.get(group, math.nan) for of_run in of_runs]) for group in groups},
        pass_curves={
            kind: np.array([run.curves.get(kind, [math.nan] * len(CUTOFFS)) for run in runs])
            for kind in ("low_pass", "high_pass")
        },
    )


def _names(networks: Sequence[tuple[str, Path]]) -> list[str]:
    """Return the names of the networks; where several share one, with the parts of their folders that differ."""
    folders: dict[str, list[tuple[str, ...]]] = {}
    for name, folder in networks:
        folders.setdefault(name, []).append(folder.parts)
    return [
        name if len(folders[name]) == 1 else f"{name} ({_what_differs(folder.parts, folders[name])})"
        for name, folder in networks
    ]


def _what_differs(folder: tuple[str, ...], folders: Sequence[tuple[str, ...]]) -> str:
    """Return one of some paths without the parts at its beginning and end that all of them share."""
    shortest = min(map(len, folders))
    start = min(_number_shared(folders), shortest - 1)
    end = min(_number_shared([parts[::-1] for parts in folders]), shortest - 1 - start)
    return printable("/".join(folder[start : len(folder) - end]))


def _number_shared(paths: Sequence[tuple[str, ...]]) -> int:
    """Return how many parts at the beginning are the same in all paths."""
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False)))


def _groups(run: BiasRun) -> dict[str, float]:
    """Return accuracies in percent, and g."""
    groups = {
        group_name(key, set(group.benchmarks)): 100 * group.accuracy
        for key, group in run.facts.groups.items()
    }
    grouped = {name for group in run.facts.groups.values() for name in group.benchmarks}
    for (measure, images), value in run.values.items():
        if measure == ACCURACY and not any(is_of(images, benchmark) for benchmark in grouped):
            groups[images] = 100 * value.mean
        if measure == _ATTACKED:
            groups["Adversarial" if images == _VALIDATION else f"Adversarial ({images})"] = 100 * value.mean
    if run.facts.g is not None:
        groups["g"] = run.facts.g
    return groups


def group_name(key: str, benchmarks: set[str]) -> str:
    """Return what a group of benchmarks is called: a mean over others than the published ones names them."""
    name, whole = _WHOLE.get(key, (key.capitalize(), set()))
    return name if benchmarks == whole else f"{name} ({', '.join(sorted(benchmarks))})"


def is_of(images: str, benchmark: str) -> bool:
    """Return whether a set is a part of a benchmark, as `imagenet_c-fog-3` is of `imagenet_c`."""
    return images == benchmark or images.startswith(f"{benchmark}-")


def _column(measure: str, images: str, sets: int) -> str:
    name = _NAMES.get(measure, measure)
    return name if sets == 1 else f"{name}@{images}"
