"""Features that repeat others for every sample: the three channels of a grey image, units that never fire.

m equal features x with weights of equal size are one feature sqrt(m) x: the same logits for the same penalty, and
the optimum of a penalised linear model does give equal features equal weights. So merging them changes no classifier.

Shapes: N samples, D features, M of them that differ, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unseen.probes.inputs import Float64Array, FloatArray, IntArray

_SAMPLES = 64  # that are compared first; of two features equal in these, all samples are


@dataclass(frozen=True)
class Repeats:
    """Which features are equal.

    Attributes:
        first: The features that differ, (M,).
        group: Which of them each feature is equal to, (D,).
    """

    first: IntArray
    group: IntArray

    @property
    def found(self) -> bool:
        """Whether there are any."""
        return len(self.first) < len(self.group)

    def merged(self, features: FloatArray) -> FloatArray:
        """Return features (N, D) as (N, M)."""
        merged: FloatArray = features[:, self.first] * self._roots
        return merged

    def spread(self, weights: Float64Array) -> Float64Array:
        """Return weights (C, M) of merged features as those of all, (C, D)."""
        spread: Float64Array = (weights / self._roots)[:, self.group]
        return spread

    @property
    def _roots(self) -> Float64Array:
        return np.sqrt(np.bincount(self.group))  # (M,)


def repeated_features(features: FloatArray) -> Repeats:
    """Return which of the features (N, D) are equal for every sample.

    Features that differ, but in none of a few samples, may hide that one of them repeats a third: they are
    then kept apart, which is slower and no less right.
    """
    num_features = features.shape[1]
    some = np.unique(np.linspace(0, len(features) - 1, _SAMPLES).astype(np.int64))
    _, first, group = np.unique(features[some].T, axis=0, return_index=True, return_inverse=True)
    alike = first[group.reshape(-1)]  # (D,), the first feature that agrees in the few samples
    suspects = np.flatnonzero(alike != np.arange(num_features))
    differ = (features[:, suspects] != features[:, alike[suspects]]).any(axis=0)
    alike[suspects[differ]] = suspects[differ]
    kept, group = np.unique(alike, return_inverse=True)
    return Repeats(kept, group.reshape(-1))
