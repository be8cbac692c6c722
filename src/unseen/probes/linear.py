"""Accuracy of a linear classifier on one layer's embeddings."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from unseen.probes.inputs import LabelWarning, ProbeWarning, checked_embeddings, checked_labels
from unseen.probes.logistic import fit_logistic
from unseen.probes.threads import one_thread

TEST_SHARE = 0.2
_LARGEST = 1e150  # sums of squares are within the range of float64


def linear_probe_accuracy(
    embeddings: torch.Tensor | npt.ArrayLike,
    labels: torch.Tensor | npt.ArrayLike,
    *,
    seed: int = 42,
    standardize: bool = False,
) -> float:
    """Test accuracy, 0..1, of a logistic regression fitted on 80 % of the samples.

    The definition is ours: arXiv 2402.14095 and 2405.01524 report a linear probe without defining it. A
    stratified 80/20 split, multinomial logistic regression with an L2 penalty (C = 1) on the 80 %,
    accuracy on the 20 %. The regression is strictly convex and solved to its optimum (see `logistic.py`);
    scikit-learn's default tolerance stops a little earlier, which can move single predictions. Another split gives
    another accuracy: the binomial error of the test samples, `linear_probe_se` of `linear_probe`, is the least of it.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        seed: Seed of the split; 0 is a seed.
        standardize: Scale each feature to mean 0 and variance 1, as measured on the 80 %.

    Returns:
        The accuracy. NaN for a single class. NaN with a warning where the split is impossible: a class
        has a single sample, or there are more classes than test samples, or values are beyond 1e150.

    Raises:
        ValueError: If the inputs are malformed or not finite.
    """
    return _probe(embeddings, labels, seed, standardize).accuracy


class _Tested(NamedTuple):
    """The test: share of right answers, of its largest class, and standard error of the first."""

    accuracy: float = math.nan
    chance: float = math.nan
    error: float = math.nan


def _probe(
    embeddings: torch.Tensor | npt.ArrayLike,
    labels: torch.Tensor | npt.ArrayLike,
    seed: int,
    standardize: bool,
) -> _Tested:
    features = checked_embeddings(embeddings)  # (N, D)
    names, targets = checked_labels(labels, len(features), features.device)
    if len(names) == 1:
        return _Tested()
    lonely = names[(targets.bincount() < 2).cpu().numpy()]
    if len(lonely):
        shown = ", ".join(str(name) for name in lonely[:5]) + (", ..." if len(lonely) > 5 else "")
        return _undefined(f"classes with a single sample cannot be split (labels {shown})")
    num_test = math.ceil(TEST_SHARE * len(features))
    if num_test < len(names):
        return _undefined(f"{num_test} test samples cannot hold {len(names)} classes")
    if (largest := float(features.abs().max())) > _LARGEST:
        warnings.warn(
            f"linear probe is undefined: values of {largest:.0e} are too large to be squared",
            ProbeWarning,
            stacklevel=3,
        )
        return _Tested()
    train, test = train_test_split(
        np.arange(len(features)), test_size=TEST_SHARE, stratify=targets.cpu().numpy(), random_state=seed
    )
    if standardize:
        scaler = StandardScaler().fit(features[train].double().cpu().numpy())
        features = features.double() / torch.from_numpy(scaler.scale_).to(
            features.device
        )  # centred by the fit
    with one_thread(features.device):
        model = fit_logistic(features[train], targets[train])
        right = model.logits(features[test]).argmax(1) == targets[test]
    hits, tested = int(right.sum()), len(right)
    return _Tested(hits / tested, int(targets[test].bincount().max()) / tested, binomial_error(hits, tested))


def binomial_error(hits: int, trials: int) -> float:
    """Return the standard error of a share of hits, sqrt(p (1 - p) / n).

    Two hits and two misses are added first (Agresti and Coull 1998), else it would be 0 where all are hits.
    """
    share = (hits + 2) / (trials + 4)
    return math.sqrt(share * (1 - share) / (trials + 4))


def linear_probe(
    features: torch.Tensor, labels: torch.Tensor | npt.ArrayLike, *, seed: int, standardize: bool
) -> dict[str, float]:
    """`linear_probe_accuracy` as scores by name: its chance level, and its standard error on the test samples."""
    tested = _probe(features, labels, seed, standardize)
    return {
        "linear_probe": tested.accuracy,
        "linear_probe_chance": tested.chance,
        "linear_probe_se": tested.error,
    }


def _undefined(reason: str) -> _Tested:
    warnings.warn(f"linear probe is undefined: {reason}", LabelWarning, stacklevel=4)
    return _Tested()
