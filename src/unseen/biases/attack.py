"""Accuracy under attack: projected gradient descent (PGD) in the maximum norm (arXiv 1706.06083, section 2.1).

Legend: B batch, H and W image height and width, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from unseen.biases.measure import Array, Batch, Classifier

_PUBLISHED_IMAGES, _PUBLISHED_ROWS = 50_000, 50_048  # ImageNet's validation images; 391 batches of 128


def check_attack(epsilon: float, step: float, steps: int) -> None:
    """Refuse settings that make no attack.

    Args:
        epsilon: Largest change of a pixel, in 1/255 of the range.
        step: Size of a step, in 1/255 of the range.
        steps: Number of steps.

    Raises:
        ValueError: A size is not in (0, 255], or there is no step.
    """
    for name, value in (("epsilon", epsilon), ("step", step)):
        if not 0 < value <= 255:
            raise ValueError(f"{name}={value} must be in (0, 255]: it is in 1/255 of the range")
    if steps < 1:
        raise ValueError(f"steps={steps} must be at least 1")


def attack(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    start: Tensor,
    *,
    epsilon: float,
    step: float,
    steps: int,
) -> Tensor:
    """Return images that are within `epsilon` of the given ones, and in [0, 1], with more loss.

    Each step adds `step` times the sign of the gradient of the cross-entropy, then returns to both bounds. The last
    iterate is taken, not the best. Weights get no gradients.

    Args:
        classifier: Differentiable in its images.
        images: (B, 3, H, W) in [0, 1].
        labels: (B,) int64, the classes to lead away from.
        start: (B, 3, H, W), where the search begins: within both bounds.
        epsilon: Largest change of a pixel, on the scale of the images.
        step: Size of a step, on the same scale. Beyond 2 epsilon, each step ends at a bound.
        steps: Number of steps.
    """
    moved = start
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(
                classifier(moved), labels, reduction="sum"
            )  # a sum: no image weighs on another
            (gradient,) = torch.autograd.grad(loss, moved)
        moved = moved.detach() + step * gradient.sign()
        moved = (images + (moved - images).clamp(-epsilon, epsilon)).clamp(0, 1)
    return moved.detach()


def random_start(images: Tensor, indices: Tensor, *, epsilon: float, seed: int) -> Tensor:
    """Return images with uniform noise in [-epsilon, epsilon], in [0, 1], drawn for each by its number.

    Args:
        images: (B, 3, H, W) in [0, 1].
        indices: (B,) int64 on the CPU.
        epsilon: Bound of the noise.
        seed: Of the noise, not negative.
    """
    shape = images.shape[1:]
    noise = [np.random.default_rng((seed, index)).random(shape, np.float32) for index in indices.tolist()]
    uniform = torch.from_numpy(np.stack(noise)).to(images.device)  # (B, 3, H, W) in [0, 1)
    return (images + epsilon * (2 * uniform - 1)).clamp(0, 1)


@dataclass(frozen=True)
class AdversarialAccuracy:
    """Share of images that are right before and after PGD; the defaults are the study's (arXiv 2404.01509).

    An image that is wrong before the attack is broken, and is not attacked. (The study looks at the last iterate alone,
    which differs where an attack makes a wrong image right.) The value is an upper bound of the accuracy under the
    worst change of that size: another attack may find more.

    Attributes:
        epsilon: Largest change of a pixel, in 1/255 of the range.
        step: Size of a step, in 1/255 of the range.
        steps: Number of steps.
        seed: Of the random start, which is drawn for each image by its number.
        faithful: Count as the published table does: it divides by 50,048, the rows of its padded batches, instead of
            the 50,000 images, and takes the 48 empty rows as robust. An accuracy a becomes 1 - (1 - a) 50,000 / 50,048,
            so that a network that is always broken has 0.00096. That is for the full validation set of ImageNet; on
            other numbers of images it is the same map.
    """

    epsilon: float = 0.5
    step: float = 2.0
    steps: int = 40
    seed: int = 0
    faithful: bool = False

    columns: ClassVar[tuple[str, ...]] = ("clean", "attacked")
    needs_textures: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse settings that make no attack.

        Raises:
            ValueError: See `check_attack`; or the seed is negative.
        """
        check_attack(self.epsilon, self.step, self.steps)
        if self.seed < 0:
            raise ValueError(f"a seed must not be negative: {self.seed}")

    @property
    def passes(self) -> int:
        """One before the attack, one after it, and each step forward and backward; fewer where images are wrong."""
        return 2 + 3 * self.steps

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right before, and before and after the attack, (B, 2) of 0 and 1."""
        with torch.no_grad():
            right = batch.right(classifier(batch.images).argmax(dim=1))  # (B,)
        robust = right.clone()
        if right.any():
            kept = Batch(batch.images[right], batch.accepted[right], batch.indices[right.cpu()])
            epsilon, step = self.epsilon / 255, self.step / 255
            start = random_start(kept.images, kept.indices, epsilon=epsilon, seed=self.seed)
            attacked = attack(
                classifier, kept.images, kept.labels, start, epsilon=epsilon, step=step, steps=self.steps
            )
            with torch.no_grad():
                robust[right] = kept.right(classifier(attacked).argmax(dim=1))
        return torch.stack([right, robust], dim=1).float()

    def values(self, means: Array) -> dict[str, Array]:
        """Return `adversarial_accuracy`, (R,), of means (R, 2)."""
        robust = means[:, 1]
        if self.faithful:
            robust = 1 - (1 - robust) * _PUBLISHED_IMAGES / _PUBLISHED_ROWS
        return {"adversarial_accuracy": robust}
