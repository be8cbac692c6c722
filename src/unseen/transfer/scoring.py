"""All transfer scores of a task, each with an interval, its time, and its place among those of shuffled labels."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import t as student

from unseen.transfer.iimm import iimm
from unseen.transfer.iimm_draws import resampled_parts, shuffled_parts
from unseen.transfer.inputs import Floats, Matrix
from unseen.transfer.leep import mixture_probabilities
from unseen.transfer.table import SCORES, Needs, TransferScore
from unseen.transfer.task import Task, groups_of, shuffle
from unseen.wording import listing, suggestion

CONFIDENCE = 0.95
_GROUPS = 20


@dataclass(frozen=True)
class Scored:
    """A score of a task.

    Attributes:
        value: NaN where the task does not allow it.
        low: Lower end of the 95 % interval; NaN where there is none.
        high: Upper end.
        percentile: Share, 0..100, of shuffled labels whose score is lower; 50 for labels that tell nothing. NaN where
            the score does not depend on labels.
        seconds: That the value took, without interval and percentile.
        draws: Shuffled labels, and of IIMM and its parts resamples.
        images: Number of images used.
        reason: One sentence where there is no value.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    percentile: float = math.nan
    seconds: float = math.nan
    draws: int = 0
    images: int = 0
    reason: str = ""


def score_all(
    images: Matrix,
    labels: Matrix,
    *,
    texts: Matrix | None = None,
    probabilities: Matrix | None = None,
    label_embeddings: Sequence[Matrix] = (),
    names: Iterable[str] | None = None,
    draws: int | None = None,
    seed: int = 0,
) -> dict[str, Scored]:
    """Return the scores of a task by name; the names and what each needs are in `unseen.transfer.table.SCORES`.

    The interval is value ± t · SD, as far as the score has a range, the spread of the images alone: another choice of
    classes, captions or networks is another source, which it says nothing of. For IIMM and its parts, SD is that of 100
    bootstrap resamples, drawn with replacement within classes. The other scores take the copies in a resample for well
    separated classes, which changes value and spread; there, it is the jackknife's of 20 groups of images (Shao and Wu
    1989), each left out once, class by class, and mostly somewhat too wide: `benchmarks/transfer_intervals.py` compares
    both with fresh images.

    The percentile says whether a score of this size could come from labels that have nothing to do with the images: a
    score that is not beyond those of shuffled labels tells nothing of the task. IIMM depends on labels by wrong-label
    alignment alone, and captions that fit lower it: its percentile is near 0 then, and no judgement of it.

    Args:
        images: (N, D) image embeddings; rows are divided by their length, as in arXiv 2407.15731.
        labels: (N,) integers; with `texts` or `label_embeddings` their rows, 0..C-1.
        texts: (C, D) caption embeddings, for IIMM and its parts.
        probabilities: (N, Z) zero-shot probabilities, for LEEP.
        label_embeddings: Arrays (C, E) of vectors of the class names, for EMMS.
        names: Which; None: all that there is input for.
        draws: At most so many resamples or groups, and shuffled labels; None: as above, and of shuffled labels 100, or
            20 where a score is slow; 0: neither interval nor percentile.
        seed: Of the draws, of NLEEP's clusters and of the images that slow scores are limited to.

    Raises:
        ValueError: In one sentence and before anything is computed: bad input (see `Task.checked`), an unknown name, or
            a name without its input. A score that the task does not allow, such as NCTI of 10 images, raises nothing:
            it is NaN, with the reason.
    """
    task = Task.checked(images, labels, texts, probabilities, label_embeddings)
    if draws is not None and draws < 0:
        raise ValueError(f"draws must be 0 or more, got {draws}")
    return score_task(task, chosen_scores(task, names), draws, seed)


def score_task(task: Task, names: Sequence[str], draws: int | None, seed: int) -> dict[str, Scored]:
    """Return these scores of a checked task; arguments as in `score_all`."""
    found: dict[str, Scored] = {}
    parts = [name for name in names if SCORES[name].needs is Needs.TEXTS]
    if parts:
        found = _score_iimm(task, parts, draws, seed)
    for name in names:
        if name not in found:
            found[name] = _score(SCORES[name], task, draws, seed)
    return {name: found[name] for name in names}


def chosen_scores(task: Task, names: Iterable[str] | None) -> list[str]:
    """Return the names to score, in the order of the table; those asked for are checked.

    Raises:
        ValueError: A name that is not in the table, or whose input the task has not.
    """
    given = {
        Needs.IMAGES: True,
        Needs.TEXTS: task.texts is not None,
        Needs.PROBABILITIES: task.probabilities is not None,
        Needs.LABEL_EMBEDDINGS: len(task.label_embeddings) > 0,
    }
    if names is None:
        return [name for name, score in SCORES.items() if given[score.needs]]
    asked = list(names)
    for name in asked:
        if name not in SCORES:
            raise ValueError(
                f"there is no score {name!r}{suggestion(name, SCORES)}; there are {listing(SCORES, 99)}"
            )
        if not given[SCORES[name].needs]:
            raise ValueError(f"{name} needs {SCORES[name].needs}, which were not given")
    return [name for name in SCORES if name in asked]


# ------------------------------------------------------------------ one score
def _score(score: TransferScore, task: Task, draws: int | None, seed: int) -> Scored:
    """Return a score with everything."""
    task = task.at_most(score.most_images, seed)
    began = time.perf_counter()
    try:
        if (
            score is SCORES["nleep"]
        ):  # its clusters do not depend on labels: found once, and kept in resamples
            classes = len(np.unique(task.labels))
            task = replace(task, probabilities=mixture_probabilities(task.images, classes, seed))
            score = replace(SCORES["leep"], draws=score.draws)
        value = _value(score, task)
    except ValueError as error:
        return Scored(math.nan, images=len(task.labels), reason=str(error))
    seconds = time.perf_counter() - began
    count = score.draws if draws is None else min(draws, score.draws)
    shuffled = [_drawn(score, replace(task, labels=shuffle(task.labels, seed, k))) for k in range(count)]
    low, high = interval(value, *_jackknife(score, task, count, seed))
    low, high = max(low, score.least), min(high, score.most)
    return Scored(value, low, high, percentile(value, np.array(shuffled)), seconds, count, len(task.labels))


def _jackknife(score: TransferScore, task: Task, most: int, seed: int) -> tuple[float, int]:
    """Return the standard deviation by leaving out groups of images, and its degrees of freedom; NaN below two."""
    groups = min(_GROUPS, most, int((groups_of(task.labels, seed, 1) == 0).sum()))
    if groups < 2:
        return math.nan, 0
    out = groups_of(task.labels, seed, groups)
    values = [_drawn(score, task.take(np.flatnonzero(out != group))) for group in range(groups)]
    return math.sqrt(groups - 1) * float(np.std(values)), groups - 1


def _drawn(score: TransferScore, task: Task) -> float:
    """Return a score, NaN where the draw does not allow it, such as NCTI where 64 images lost a group."""
    try:
        return _value(score, task)
    except ValueError:
        return math.nan


def _value(score: TransferScore, task: Task) -> float:
    """Return a score of features or probabilities."""
    match score.needs:
        case Needs.IMAGES:
            return score.function(task.images, task.labels)
        case Needs.PROBABILITIES:
            return score.function(task.probabilities, task.labels)
        case Needs.LABEL_EMBEDDINGS:
            return score.function(task.images, task.labels, task.label_embeddings)
        case Needs.TEXTS:
            return score.function(task.images, task.texts, task.labels)


def _score_iimm(task: Task, names: Sequence[str], draws: int | None, seed: int) -> dict[str, Scored]:
    """Return IIMM and its parts: one pass for all values, and all draws at once."""
    assert task.texts is not None
    n, most = len(task.labels), SCORES["iimm"].draws
    count = most if draws is None else min(draws, most)
    began = time.perf_counter()
    whole = iimm(task.images, task.texts, task.labels)
    seconds = time.perf_counter() - began
    resampled, shuffled = resampled_parts(task, count, seed), shuffled_parts(task, whole, count, seed)
    found = {}
    # with one image of each class all resamples are the images themselves
    drawn = np.unique(task.labels, return_counts=True)[1].max() > 1
    for name in names:
        value = getattr(whole, name)
        draw = resampled.get(name, np.empty(0))  # (R,)
        sd = float(draw.std(ddof=1)) if drawn and len(draw) > 1 else math.nan
        low, high = interval(value, sd, len(draw) - 1)
        low, high = max(low, SCORES[name].least), min(high, SCORES[name].most)
        place = percentile(value, shuffled.get(name, np.empty(0)))
        found[name] = Scored(value, low, high, place, seconds, count, n)
    return found


# ------------------------------------------------------------------ what the draws say
def interval(value: float, sd: float, freedom: int) -> tuple[float, float]:
    """Return value ± t · SD, the ends of the 95 % interval; NaN without degrees of freedom.

    >>> [round(end, 3) for end in interval(0.0, 1.0, 19)]
    [-2.093, 2.093]
    """
    width = float(student.ppf((1 + CONFIDENCE) / 2, freedom) * sd) if freedom > 0 else math.nan
    return value - width, value + width


def percentile(value: float, shuffled: Floats) -> float:
    """Return the share, 0..100, of values (R,) below this one, equal ones counted by half; NaN without values.

    >>> percentile(2.0, np.array([1.0, 2.0, 3.0, 1.5]))
    62.5
    """
    if len(shuffled) == 0 or np.isnan(shuffled).any():
        return math.nan
    return float(100 * ((shuffled < value).mean() + (shuffled == value).mean() / 2))
