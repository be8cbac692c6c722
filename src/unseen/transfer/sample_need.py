"""How many images the measures of a task need: their values on random subsets of its images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unseen.transfer.inputs import Integers, Matrix
from unseen.transfer.scoring import Scored, chosen_scores, score_task
from unseen.transfer.table import SCORES, Needs
from unseen.transfer.task import Task
from unseen.wording import count

SHARES = (0.01, 0.05, 0.1, 0.5, 1.0)
DRAWS = 10
_STREAM = 3  # of random numbers of its own


@dataclass(frozen=True)
class SampleNeed:
    """A measure on random subsets of a task's images, all of one size.

    Attributes:
        share: Of the images.
        images: That the measure used in a subset; fewer than the share where it is slow and takes no more.
        measure: Name, as in `unseen.transfer.table.SCORES`.
        mean: Over the subsets; NaN where one of them has no value.
        sd: Standard deviation over the subsets (ddof 1); NaN below two.
        deviation: `mean` less the value on all images: what the number of images alone shifts.
        draws: Number of subsets; 1 of all images.
        seconds: Mean time of a value.
        reason: One sentence where there is no value.
    """

    share: float
    images: int
    measure: str
    mean: float
    sd: float = math.nan
    deviation: float = math.nan
    draws: int = 1
    seconds: float = math.nan
    reason: str = ""


def sample_need(
    images: Matrix,
    labels: Matrix,
    *,
    texts: Matrix | None = None,
    probabilities: Matrix | None = None,
    label_embeddings: Sequence[Matrix] = (),
    names: Iterable[str] | None = None,
    shares: Sequence[float] = SHARES,
    draws: int = DRAWS,
    seed: int = 0,
) -> list[SampleNeed]:
    """Return each measure on random subsets of the images, for each share of them.

    A subset is a simple random sample without replacement, whatever the classes; of one draw, the smaller is part of
    the larger. So a mean over images or over pairs of them, such as IIMM, inter, intra and correct, has the value on
    all images as its expectation; a sample with as many of each class would hold too few pairs of one class. Other
    scores need every class, and have no value at a share of which a draw lost one.

    The subsets are of these images: their spread vanishes at share 1, and at a share s it is about √(1 - s) times that
    of fresh images. How far all of the images are from others is what the intervals of `score_all` say.

    Args:
        images: (N, D) image embeddings; rows are divided by their length.
        labels: (N,) integers; with `texts` or `label_embeddings` their rows, 0..C-1.
        texts: (C, D) caption embeddings, for IIMM and its parts.
        probabilities: (N, Z) zero-shot probabilities, for LEEP.
        label_embeddings: Arrays (C, E) of vectors of the class names, for EMMS.
        names: Of the measures; None: all that there is input for. Text-text similarity, which takes no image, is left
            out.
        shares: Of the images, each above 0 and at most 1; one image is taken at least.
        draws: Subsets of each share, 2 or more.
        seed: Of the subsets, and of what `score_all` draws.

    Raises:
        ValueError: In one sentence and before anything is computed: a share or a number of draws out of range, or what
            `score_all` refuses.
    """
    wrong = [share for share in shares if not 0 < share <= 1]
    if wrong or not shares:
        raise ValueError(f"shares must be numbers above 0 and at most 1, got {wrong or 'none'}")
    if draws < 2:
        raise ValueError(f"draws of subsets must be 2 or more, got {draws}")
    task = Task.checked(images, labels, texts, probabilities, label_embeddings)
    chosen = [name for name in chosen_scores(task, names) if name != "inter_text"]
    whole = score_task(task, chosen, 0, seed)
    n = len(task.labels)
    orders = [np.random.default_rng([seed, _STREAM, number]).permutation(n) for number in range(draws)]
    rows: list[SampleNeed] = []
    for share in sorted(set(shares)):
        size = max(1, round(share * n))
        if size == n:
            rows += (_row(share, name, [whole[name]], whole[name]) for name in chosen)
            continue
        drawn = [_values(task, np.sort(order[:size]), chosen, seed) for order in orders]
        rows += (_row(share, name, [one[name] for one in drawn], whole[name]) for name in chosen)
    return rows


def _values(task: Task, images: Integers, names: Sequence[str], seed: int) -> dict[str, Scored]:
    """Return the values on a subset (n,) of a task's images."""
    part = task.take(images)
    n, lost = len(images), np.setdiff1d(task.labels, part.labels)
    no_pair, no_class = "", ""
    if n < 2:
        no_pair = "one image makes no pair"
    if len(lost) > 0:
        no_class = (
            f"{count(n, 'image')} of {len(np.unique(task.labels))} classes, and none of class {lost[0]}"
        )
    why_not = {name: no_pair if SCORES[name].needs is Needs.TEXTS else no_class for name in names}
    found = {name: Scored(math.nan, images=n, reason=reason) for name, reason in why_not.items() if reason}
    return found | score_task(part, [name for name in names if name not in found], 0, seed)


def _row(share: float, name: str, found: Sequence[Scored], whole: Scored) -> SampleNeed:
    """Return the row of a measure at a share, of its values on the subsets."""
    values = np.array([one.value for one in found])
    reasons = [one.reason for one in found if one.reason]
    mean = float(values.mean())
    reason = ""
    if reasons:
        reason = reasons[0] if len(found) == 1 else f"in {len(reasons)} of {len(found)} draws: {reasons[0]}"
    return SampleNeed(
        share=float(share),
        images=found[0].images,
        measure=name,
        mean=mean,
        sd=float(values.std(ddof=1)) if len(values) > 1 else math.nan,
        deviation=mean - whole.value,
        draws=len(found),
        seconds=float(np.mean([one.seconds for one in found])),
        reason=reason,
    )
