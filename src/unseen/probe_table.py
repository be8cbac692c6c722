"""The table of probes: what runs on each layer, with which settings, and how its scores are shown.

The suite, the settings' check, the console, the report and W&B read this table. To add a probe, write a function in
`unseen/probes` that takes features (N, D) and labels (N,) and returns {score: value}, and add its entry here; a new
setting also needs its value in `configs/probe/default.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ProbeSetting:
    """A setting `probe.NAME`.

    Attributes:
        kind: int, float or bool; of a list that of its items.
        default: Of `ProbeSuite`; the value of a run is in its configuration.
        least: Smallest value allowed.
        most: Largest value allowed.
        optional: Whether None is allowed.
        adds: Whether it adds scores and leaves all others as they are.
        of_unseen: Whether these are scores of the unseen classes only.
        choices: Of a list: what it may hold, each once.
    """

    kind: type
    default: float | tuple[int, ...] | None
    least: float | None = None
    most: float | None = None
    optional: bool = False
    adds: bool = False
    of_unseen: bool = False
    choices: tuple[int, ...] = ()

    @property
    def says(self) -> str:
        """What a list must be."""
        return f"must be a list of some of {', '.join(map(str, self.choices))}, each once, or []"

    def check(self, name: str, value: object) -> None:
        """Raise a ValueError that names the value and what is allowed, if it is not allowed."""
        if self.choices:
            items = list(value) if isinstance(value, list | tuple) else [value]
            whole = all(type(item) is self.kind and item in self.choices for item in items)
            if not isinstance(value, list | tuple) or not whole or len(set(items)) < len(items):
                raise ValueError(f"{name} {self.says}; got {value!r}")
            return
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
class Chance:
    """The level that a score has without any information in the embeddings.

    Attributes:
        meaning: How it is found.
        level: Its value where that is a constant; else the name of the score that has it.
    """

    meaning: str
    level: float | str


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
        small_on_cpu: Whether many small steps make it slower on a GPU than on a CPU, unless the set is large.
    """

    name: str
    function: str
    settings: tuple[str, ...]
    scores: tuple[ScoreFacts, ...]
    small_on_cpu: bool = False


_NEIGHBOR_CHANCE = Chance("mean of (class size - 1) / (images - 1) over the images", "nn_chance")


def _image_sd(score: str, heading: str) -> ScoreFacts:
    return ScoreFacts(
        f"{score}_image_sd", f"standard deviation of {heading} over resampled images", control=True
    )


SHOTS = (1, 2, 5, 10, 20)  # labelled images a class

SETTINGS = {
    "n_init": ProbeSetting(int, 10, least=1, most=10_000),
    "seed": ProbeSetting(int, 42, least=0, most=2**32 - 1),
    "k": ProbeSetting(int, None, least=1, most=2**31 - 1, optional=True),
    "standardize": ProbeSetting(bool, False),
    "image_bootstrap": ProbeSetting(int, None, least=2, most=100_000, optional=True, adds=True),
    "few_shot": ProbeSetting(int, (), adds=True, of_unseen=True, choices=SHOTS),
    "discovery": ProbeSetting(bool, False, adds=True, of_unseen=True),
}

PROBES = (
    Probe(
        "clusters",
        "unseen.probes.clustering:cluster_scores",
        ("n_init", "seed", "image_bootstrap", "discovery"),
        (
            ScoreFacts(
                "nmi",
                "agreement of k-means clusters with the classes: normalised mutual information, arithmetic mean, 0..1",
                heading="NMI",
                screen=1,
                chance=Chance("the same clustering against permuted labels", "nmi_chance"),
            ),
            ScoreFacts(
                "ami",
                "adjusted mutual information of the same clusters: NMI moved and scaled so that permuted labels have 0 "
                "on average, whatever the number of classes and images, and equal partitions 1",
                heading="AMI",
                chance=Chance("zero by definition", 0.0),
                share=False,
            ),
            ScoreFacts(
                "nmi_chance", "NMI of the same clusters with permuted labels, on average", control=True
            ),
            ScoreFacts(
                "nmi_start_sd", "standard deviation of the NMI over single k-means starts", control=True
            ),
            _image_sd("nmi", "NMI"),
            ScoreFacts(
                "cluster_accuracy",
                "share of images whose k-means cluster stands for their class, at best, one cluster a class (ACC); as "
                "many clusters as classes",
            ),
            ScoreFacts(
                "cluster_accuracy_estimated", "the same with the number of clusters that is estimated"
            ),
            ScoreFacts("class_count_error", "estimated number of classes minus the true number", share=False),
        ),
    ),
    Probe(
        "neighbors",
        "unseen.probes.neighbors:neighbor_probe",
        ("k", "image_bootstrap"),
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
                screen=5,
                chance=_NEIGHBOR_CHANCE,
                ceiling="nnk_ceiling",
            ),
            ScoreFacts("nnk_ceiling", "mean of min(class size - 1, k) / k"),
            ScoreFacts(
                "r_precision",
                "as NN@k, with k the number of other images of the same class: its ceiling is always 1",
                heading="R-precision",
                screen=4,
                chance=Chance(
                    "mean of (class size - 1) / (images - 1) over the images of classes with two or more",
                    "r_precision_chance",
                ),
            ),
            ScoreFacts("nn_chance", "NN@1 and NN@k of neighbours drawn at random", control=True),
            ScoreFacts("r_precision_chance", "R-precision of neighbours drawn at random", control=True),
            _image_sd("nn1", "NN@1"),
            _image_sd("nnk", "NN@k"),
            _image_sd("r_precision", "R-precision"),
        ),
    ),
    Probe(
        "few_shot",
        "unseen.probes.few_shot:few_shot_scores",
        ("few_shot", "seed"),
        tuple(
            ScoreFacts(
                f"few_shot_{shots}",
                f"accuracy of the nearest class mean by {shots} labelled image{'s' * (shots > 1)} a class",
            )
            for shots in SHOTS
        ),
    ),
    Probe(
        "linear",
        "unseen.probes.linear:linear_probe",
        ("seed", "standardize"),
        (
            ScoreFacts(
                "linear_probe",
                "accuracy of logistic regression on a fifth of the images, trained on the other four; one split, whose "
                "luck linear_probe_se estimates",
                heading="linear probe",
                screen=3,
                chance=Chance(
                    "share of the largest class among the images it is tested on", "linear_probe_chance"
                ),
            ),
            ScoreFacts(
                "linear_probe_chance", "share of the largest class among the test images", control=True
            ),
            ScoreFacts(
                "linear_probe_se", "binomial standard error of the accuracy on the test images", control=True
            ),
        ),
        small_on_cpu=True,
    ),
)

SCORES = {score.name: score for probe in PROBES for score in probe.scores}
SHOWN = tuple(score for score in SCORES.values() if score.heading)  # have a curve of their own
HEADINGS = {score.name: str(score.heading) for score in SHOWN}
