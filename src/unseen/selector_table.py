"""The table of layer selectors: scores that choose a layer without labels of the unseen classes.

Runs, commands and the report read it. To add a selector, write a function of embeddings (N, D) in
`unseen/layer_selection` and add its entry here. What each is worth is in the report: the regret of its choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Selector:
    """A score of a layer by which one is chosen.

    Attributes:
        name: For `probe.selectors`.
        heading: In tables.
        meaning: One sentence.
        split: The images that it is computed from: of `unseen` classes without their labels, or test images of the
            `seen` classes with them.
        larger_is_better: Whether the layer with the largest value is chosen, else that with the smallest.
        source: Paper, and who says which direction is better.
        function: Import path "module:name" of a function (embeddings, **arguments) -> float; "": a probe computes it.
        arguments: Which of labels, num_classes (of the unseen set), n_init and seed (of k-means) it takes.
        score: Name of its rows in scores.csv.
        needs: A package beside the required ones.
    """

    name: str
    heading: str
    meaning: str
    split: Literal["unseen", "seen"]
    larger_is_better: bool
    source: str
    function: str
    arguments: tuple[str, ...] = ()
    score: str = ""
    needs: str = ""

    @property
    def row(self) -> str:
        """Name of its rows in scores.csv."""
        return self.score or self.name

    @property
    def rule(self) -> str:
        """What it chooses by, as a sentence names it."""
        return f"{'largest' if self.larger_is_better else 'smallest'} {self.heading}"


_KMEANS = ("num_classes", "n_init", "seed")
_OF_RUNS = "for runs of one method, not for layers, which differ in width"
_EVERY = (
    Selector(
        "subset_nmi", "NMI of seen subsets",
        "mean NMI of k-means in subsets of as many seen classes as are unseen; the network was trained on all of them",
        "seen", True, "as g, arXiv 2402.14095",
        "unseen.layer_selection.clusters:subset_nmi", ("labels", *_KMEANS),
    ),
    Selector(
        "seen_nmi", "NMI of seen classes", "NMI of k-means and the seen classes, all at once; a row of the probes",
        "seen", True, "as g, arXiv 2402.14095", "", score="nmi",
    ),
    Selector(
        "nc1", "neural-collapse ratio", "variation within the seen classes relative to that between them",
        "seen", False, "NC1, Papyan, Han and Donoho, PNAS 2020",
        "unseen.layer_selection.discriminant:neural_collapse", ("labels",),
    ),
    Selector(
        "lidar", "LiDAR", "effective rank of the discriminant analysis of the seen classes",
        "seen", True, f"Thilak et al., ICLR 2024, arXiv 2312.04000; {_OF_RUNS}",
        "unseen.layer_selection.discriminant:lidar", ("labels",),
    ),
    Selector(
        "silhouette", "silhouette", "mean silhouette of k-means clusters, as many as there are unseen classes",
        "unseen", True, "Rousseeuw 1987; Lowe et al., arXiv 2406.02465",
        "unseen.layer_selection.clusters:kmeans_silhouette", _KMEANS,
    ),
    Selector(
        "silhouette_umap", "silhouette in UMAP space", "silhouette of the same clusters, in 50 dimensions of UMAP",
        "unseen", True, "Lowe et al., arXiv 2406.02465",
        "unseen.layer_selection.clusters:umap_silhouette", _KMEANS, needs="umap",
    ),
    Selector(
        "start_agreement", "agreement of k-means starts", "mean adjusted Rand index of the pairs of k-means starts",
        "unseen", True, "stability, von Luxburg 2010",
        "unseen.layer_selection.clusters:start_agreement", _KMEANS,
    ),
    Selector(
        "rankme", "RankMe", "exponential of the entropy of the singular values",
        "unseen", True, f"Garrido et al., ICML 2023, arXiv 2210.02885; {_OF_RUNS}",
        "unseen.layer_selection.ranks:rankme",
    ),
    Selector(
        "effective_rank", "effective rank", "exponential of the entropy of the eigenvalues of the covariance",
        "unseen", True, "Roy and Vetterli, EUSIPCO 2007; the direction is RankMe's",
        "unseen.layer_selection.ranks:effective_rank",
    ),
    Selector(
        "participation_ratio", "participation ratio",
        "squared sum of the eigenvalues of the covariance by the sum of their squares",
        "unseen", True, "Gao et al., bioRxiv 214262; the direction is RankMe's",
        "unseen.layer_selection.ranks:participation_ratio",
    ),
    Selector(
        "intrinsic_dimension", "intrinsic dimension", "by the distances of the two nearest neighbours",
        "unseen", False, "Facco et al. 2017; direction by Ansuini et al., NeurIPS 2019, arXiv 1905.12784",
        "unseen.layer_selection.intrinsic_dimension:two_nn",
    ),
)  # fmt: skip
SELECTORS = {selector.name: selector for selector in _EVERY}
DEFAULT = tuple(selector.name for selector in _EVERY if not selector.needs)  # the first recommends
# rows of scores.csv that no probe has
ROWS = tuple(selector.row for selector in _EVERY if selector.function)


def chosen(names: str | list[str] | tuple[str, ...]) -> tuple[Selector, ...]:
    """Return the selectors of the setting `probe.selectors`; the first of them recommends a layer.

    >>> [selector.name for selector in chosen(["rankme", "nc1"])], chosen("none")
    (['rankme', 'nc1'], ())
    """
    if isinstance(names, str):
        names = {"default": DEFAULT, "none": ()}[names]
    return tuple(SELECTORS[name] for name in names)
