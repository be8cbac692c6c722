"""Silhouette: whether images are nearer to their own class than to the next one (Rousseeuw 1987)."""

from __future__ import annotations

from sklearn.metrics import silhouette_score

from unseen.transfer.inputs import Matrix, classes_of, finite


def silhouette(features: Matrix, labels: Matrix) -> float:
    """Return the mean silhouette coefficient of the images, -1..1, by Euclidean distance; larger is better.

    It is scikit-learn's, and takes all pairs of images: O(N² D) time.

    Args:
        features: (N, D).
        labels: (N,) integers.

    Raises:
        ValueError: In one sentence: NaN, one class, as many classes as images, labels that do not match.
    """
    rows = finite(features, "features")
    targets = classes_of(labels, len(rows))
    if targets.max() + 1 == len(rows):
        raise ValueError("each image is a class of its own, so none has another of its class near")
    return float(silhouette_score(rows, targets))
