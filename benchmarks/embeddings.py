"""Made-up embeddings that are as hard for a probe as a network's: overlapping classes, uneven directions, an offset.

The numbers are those of a pretrained EfficientNet-Lite0's middle and last layers on calligraphy: the standard
deviation of the j-th principal direction falls about as j^-0.75 (0.65 to 0.9) from about 10, and the mean is four
times as long as the largest of them. scikit-learn's logistic regression took 300 to 1,100 iterations there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LARGEST_DEVIATION = 10.0
DECAY = 0.75
OFFSET = 40.0
AMBIGUOUS = 0.1  # share of the samples that lie between their own class and another one


def made_up_embeddings(
    num_samples: int, num_features: int, num_classes: int, *, seed: int = 0, separation: float = 1.5
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return (N, D) float32 embeddings and (N,) labels, the classes equally large.

    Args:
        num_samples: N.
        num_features: D.
        num_classes: C.
        seed: Fixes everything.
        separation: Distance of class centres, in standard deviations, along each of the leading 2 C directions.
    """
    rng = np.random.default_rng(seed)
    deviations = LARGEST_DEVIATION * np.arange(1, num_features + 1) ** -DECAY  # (D,)
    leading = min(num_features, 2 * num_classes)
    centres = np.zeros((num_classes, num_features))
    centres[:, :leading] = separation * rng.normal(size=(num_classes, leading))
    labels = np.arange(num_samples) % num_classes
    others = rng.integers(num_classes, size=num_samples)
    share = np.where(rng.random(num_samples) < AMBIGUOUS, rng.uniform(0.3, 0.7, num_samples), 0.0)[:, None]
    points = (1 - share) * centres[labels] + share * centres[others]
    points += rng.normal(size=points.shape)
    points *= deviations
    rotation, _ = np.linalg.qr(rng.normal(size=(num_features, num_features)))  # features mix the directions
    offset = rng.normal(size=num_features)
    points = points @ rotation + OFFSET * offset / np.linalg.norm(offset)
    return points.astype(np.float32), labels
