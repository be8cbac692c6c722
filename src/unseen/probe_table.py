"""The table of probes: what runs on each layer, with which settings, and how its scores are shown.

The suite, the settings' check, the console, the report and W&B read this table. To add a probe, write a function in
`unseen/probes` that takes features (N, D) and labels (N,) and returns {score: value}, and add its entry here; a new
setting also needs its value in `configs/probe/default.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeSetting:
    """A setting `probe.NAME`.

    Attributes:
        kind: int, float or bool.
        default: Of `ProbeSuite`; the value of a run is in its configuration.
        least: Smallest value allowed.
        most: Largest value allowed.
        optional: Whether None is allowed.
    """

    kind: type
    default: float | None
    least: float | None = None
    most: float | None = None
    optional: bool = False

    def check(self, name: str, value: object) -> None:
        """Raise a ValueError that names the value and what is allowed, if it is not allowed."""
        if value is None and self.optional:
            return
        number = isinstance(value, int | float) and (isinstance(value, bool) == (self.kind is bool))
        if not number or (self.kind is int and not isinstance(value, int)):
            raise ValueError(f"{name} must be {self.kind.__name__}, got {value!r}")
        assert isinstance(value, int | float)
        if self.least is not None and value < self.least:
            raise ValueError(f"{name} must be at least {self.least}{' or None' * self.optional}, got {value}")
        if self.most is not None and value > self.most:
            raise ValueError(f"{name} must be at most {self.most}, got {value}")


@dataclass(frozen=True)
class Counts:
    """What the chance level of a score may depend on; None where it is not known.

    Attributes:
        images: N, of this set.
        classes: C.
        k: Neighbours looked at.
        ceiling: Value of the score that is the ceiling of NN@k.
    """

    images: int | None
    classes: int | None
    k: int | None
    ceiling: float | None


@dataclass(frozen=True)
class Chance:
    """The level that a score has without any information in the embeddings.

    Attributes:
        meaning: How it is found.
        level: Its value, None if something is not known; or the name of the score that measures it.
    """

    meaning: str
    level: Callable[[Counts], float | None] | str


@dataclass(frozen=True)
class ScoreFacts:
    """A score of a layer.

    Attributes:
        name: In scores.csv.
        meaning: One sentence.
        heading: Of its column and its curve; None: it is in scores.csv and the report's tables only.
        screen: Rank among the columns of the terminal's table, 1 for the most important; None: not there.
        chance: Level without information; None: not known.
        ceiling: Name of the score that this one cannot exceed.
        control: Whether it says how far another score can be trusted; loggers get no curve of it.
        share: Whether it lies between 0 and 1 by definition.
    """

    name: str
    meaning: str
    heading: str | None = None
    screen: int | None = None
    chance: Chance | None = None
    ceiling: str | None = None
    control: bool = False
    share: bool = True


@dataclass(frozen=True)
class Probe:
    """A function of one layer's embeddings.

    Attributes:
        name: For `ProbeSuite(probes=...)`.
        function: Import path "module:name" of a function (features, labels, **settings) -> {score: value}.
        settings: Which of SETTINGS it takes.
        scores: What it returns; it may leave a score out that its settings do not define.
    """

    name: str
    function: str
    settings: tuple[str, ...]
    scores: tuple[ScoreFacts, ...]


def neighbor_chance(counts: Counts) -> float | None:
    """Return NN@1, NN@k and R-precision of neighbours drawn at random: the mean of (n_c - 1) / (N - 1) over samples.

    The NN@k ceiling is the mean of min(n_c - 1, k) / k, so for k at least as large as every class the class sizes need
    not be known; for a smaller k this is a lower bound.

    >>> round(neighbor_chance(Counts(2500, 5, 500, 0.998)), 4)  # five classes of 500: 499 of 2499 others
    0.1997
    """
    if not counts.images or not counts.k or counts.ceiling is None:
        return None
    if counts.images < 2:
        return math.nan
    return counts.ceiling * min(counts.k, counts.images - 1) / (counts.images - 1)


_NEIGHBOR_CHANCE = Chance("mean of (class size - 1) / (images - 1)", neighbor_chance)

SETTINGS = {
    "n_init": ProbeSetting(int, 10, least=1, most=10_000),
    "seed": ProbeSetting(int, 42, least=0, most=2**32 - 1),
    "k": ProbeSetting(int, None, least=1, most=2**31 - 1, optional=True),
    "standardize": ProbeSetting(bool, False),
}

PROBES = (
    Probe(
        "clusters",
        "unseen.probes.clustering:cluster_scores",
        ("n_init", "seed"),
        (
            ScoreFacts(
                "nmi",
                "agreement of k-means clusters with the classes: normalised mutual information, arithmetic mean, 0..1",
                heading="NMI",
                screen=1,
                chance=Chance("the same clustering against permuted labels", "nmi_chance"),
            ),
            ScoreFacts(
                "nmi_chance", "NMI of the same clusters with permuted labels, on average", control=True
            ),
            ScoreFacts(
                "nmi_start_sd", "standard deviation of the NMI over single k-means starts", control=True
            ),
        ),
    ),
    Probe(
        "neighbors",
        "unseen.probes.neighbors:neighbor_probe",
        ("k",),
        (
            ScoreFacts(
                "nn1",
                "share of images whose nearest other image is of the same class",
                heading="NN@1",
                screen=2,
                chance=_NEIGHBOR_CHANCE,
            ),
            ScoreFacts(
                "nnk",
                "share of the k nearest other images that are of the same class; k is the size of the largest unseen "
                "class, so a smaller class cannot reach 1 (the ceiling)",
                heading="NN@k",
                screen=4,
                chance=_NEIGHBOR_CHANCE,
                ceiling="nnk_ceiling",
            ),
            ScoreFacts("nnk_ceiling", "mean of min(class size - 1, k) / k"),
            ScoreFacts(
                "r_precision",
                "as NN@k, with k the number of other images of the same class: its ceiling is always 1",
                heading="R-precision",
                chance=_NEIGHBOR_CHANCE,
            ),
        ),
    ),
    Probe(
        "linear",
        "unseen.probes.linear:linear_probe",
        ("seed", "standardize"),
        (
            ScoreFacts(
                "linear_probe",
                "accuracy of logistic regression on a fifth of the images, trained on the other four",
                heading="linear probe",
                screen=3,
                chance=Chance(
                    "1 / number of classes", lambda counts: 1 / counts.classes if counts.classes else None
                ),
            ),
        ),
    ),
)

SCORES = {score.name: score for probe in PROBES for score in probe.scores}
SHOWN = tuple(score for score in SCORES.values() if score.heading)  # have a curve of their own
HEADINGS = {score.name: str(score.heading) for score in SHOWN}
