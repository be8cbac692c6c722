"""The table of transfer scores: what each needs and where it comes from.

Commands, tables and figures read it. To add a score, write a function in a file of its own and add its entry here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from unseen.transfer.emms import emms
from unseen.transfer.gbc import gbc
from unseen.transfer.h_score import h_score
from unseen.transfer.iimm import iimm
from unseen.transfer.inputs import Matrix
from unseen.transfer.leep import leep, nleep
from unseen.transfer.logme import logme
from unseen.transfer.ncti import ncti
from unseen.transfer.sfda import sfda
from unseen.transfer.silhouette import silhouette
from unseen.transfer.transrate import transrate


class Needs(StrEnum):
    """What a score is computed from, beside the labels; in brackets, how its function is called."""

    IMAGES = "image features"  # (images, labels)
    TEXTS = "image and text features"  # (images, texts, labels)
    PROBABILITIES = "zero-shot probabilities"  # (probabilities, labels)
    LABEL_EMBEDDINGS = "image features and label embeddings"  # (images, labels, label_embeddings)


@dataclass(frozen=True)
class TransferScore:
    """A score of a task before training.

    Attributes:
        heading: Of its column.
        function: Returns it; `needs` says of what.
        needs: What it is computed from.
        larger_is_better: Whether a larger value forecasts more gain of fine-tuning; None: its source does not say.
        of_labels: Whether it depends on the images' labels.
        source: Paper.
        draws: Shuffled labels for its percentile: 20, where it takes about a second on 10,000 images.
        most_images: More are not used, but so many drawn class by class; None: all are.
        least, most: Ends of its range, whatever the task; infinite where there is none.
    """

    heading: str
    function: Callable[..., float]
    needs: Needs
    larger_is_better: bool | None
    source: str
    of_labels: bool = True
    draws: int = 20
    most_images: int | None = None
    least: float = -math.inf
    most: float = math.inf


def _part(name: str, images: Matrix, texts: Matrix, labels: Matrix) -> float:
    """Return a part of the IIMM by the name of its attribute."""
    return float(getattr(iimm(images, texts, labels), name))


def _of_texts(name: str, heading: str, larger_is_better: bool | None, **other: bool) -> TransferScore:
    return TransferScore(
        heading,
        partial(_part, name),
        Needs.TEXTS,
        larger_is_better,
        _IIMM,
        draws=100,
        least=-1,
        most=1,
        **other,
    )


_IIMM = "Niss et al., ICCV 2025, arXiv 2407.15731"
_GBC = "Pándy et al., CVPR 2022, arXiv 2111.12780"
SCORES: dict[str, TransferScore] = {
    "iimm": _of_texts("iimm", "IIMM", True),
    "inter": _of_texts("inter", "wrong-label alignment", True),
    "intra": _of_texts("intra", "image-image similarity", True, of_labels=False),
    "correct": _of_texts("correct", "correct-label alignment", None),
    "inter_text": _of_texts("inter_text", "text-text similarity", None, of_labels=False),
    "gap": TransferScore(
        "modality gap", partial(_part, "gap"), Needs.TEXTS, None, "Liang et al., NeurIPS 2022, arXiv 2203.02053",
        of_labels=False, draws=100, least=0, most=2,
    ),
    "gbc": TransferScore("GBC (spherical)", gbc, Needs.IMAGES, True, _GBC, most=0),
    "gbc_diagonal": TransferScore(
        "GBC (diagonal)", partial(gbc, spherical=False), Needs.IMAGES, True, _GBC, most=0
    ),
    "h_score": TransferScore("H-score", h_score, Needs.IMAGES, True, "Bao et al., ICIP 2019", least=0),
    "transrate": TransferScore(
        "TransRate", transrate, Needs.IMAGES, True, "Huang et al., ICML 2022, arXiv 2106.09362"
    ),
    "sfda": TransferScore(
        "SFDA", sfda, Needs.IMAGES, True, "Shao et al., ECCV 2022, arXiv 2207.03036", least=0, most=1
    ),
    "ncti": TransferScore("NCTI", ncti, Needs.IMAGES, True, "Wang et al., ICCV 2023"),
    "emms": TransferScore("EMMS", emms, Needs.LABEL_EMBEDDINGS, True, "Meng et al., NeurIPS 2023", most=0),
    "logme": TransferScore("LogME", logme, Needs.IMAGES, True, "You et al., ICML 2021, arXiv 2102.11005"),
    "leep": TransferScore(
        "LEEP", leep, Needs.PROBABILITIES, True, "Nguyen et al., ICML 2020, arXiv 2002.12462, equation 2", draws=100,
        most=0,
    ),
    "nleep": TransferScore(
        "NLEEP", nleep, Needs.IMAGES, True, "Li et al., CVPR 2021, arXiv 2011.11200", draws=100, most_images=5000,
        most=0,
    ),
    "silhouette": TransferScore(
        "silhouette", silhouette, Needs.IMAGES, True, "Rousseeuw 1987", most_images=5000, least=-1, most=1
    ),
}  # fmt: skip
