"""Fine-tuning on the seen classes."""

from unseen.training.module import SeenClassifier

__all__ = ["SeenClassifier"]
