"""Against forgetting: weights between zero-shot and fine-tuned, and a penalty on leaving the start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from unseen.wording import listing

Weights = Mapping[str, Tensor]


def interpolated(zero_shot: Weights, fine_tuned: Weights, alpha: float) -> dict[str, Tensor]:
    """Return (1 - alpha) zero_shot + alpha fine_tuned (WiSE-FT: Wortsman et al., arXiv 2109.01903).

    The ends are exact copies. What is no real number (counters, places of tokens) is the fine-tuned one's, but at 0.

    Args:
        zero_shot: State dict of the encoder as it was loaded.
        fine_tuned: State dict of the same encoder after training, on the same device; LoRA must be merged into the
            weights before.
        alpha: Between 0 and 1.

    Raises:
        ValueError: An alpha outside 0..1, or weights that are called differently, as those of adapters are.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} must lie between 0 (zero-shot) and 1 (fine-tuned)")
    if differing := zero_shot.keys() ^ fine_tuned.keys():
        raise ValueError(
            f"only the same weights before and after training can be interpolated, and {listing(sorted(differing), 4)} "
            "are on one side alone: merge LoRA first; adapters and probes have no zero-shot weights"
        )
    if alpha in {0, 1}:  # lerp would lose the sign of -0
        return {name: value.detach().clone() for name, value in (fine_tuned if alpha else zero_shot).items()}
    return {
        name: torch.lerp(start.detach(), fine_tuned[name].detach(), alpha)
        if start.is_floating_point()
        else fine_tuned[name].clone()
        for name, start in zero_shot.items()
    }


def copied(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the model's weights and buffers on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}


def between(model: nn.Module, zero_shot: Weights, alphas: Sequence[float]) -> Iterator[float]:
    """Yield each alpha, the fine-tuned model having the weights of `interpolated`; in the end it is as before.

    Args:
        model: Fine-tuned, on any device.
        zero_shot: State dict of it as it was loaded, on the CPU.
        alphas: Between 0 and 1.

    Raises:
        ValueError: As `interpolated`.
    """
    fine_tuned = copied(model)
    try:
        for alpha in alphas:
            model.load_state_dict(interpolated(zero_shot, fine_tuned, alpha))
            yield alpha
    finally:
        model.load_state_dict(fine_tuned)


class L2ToInit:
    """½ Σ (w - w_start)² over the trained weights, to be weighted and added to the loss.

    L2-SP (Li et al., arXiv 1802.01483) without its decay of new layers. Of LoRA it is over the small matrices that are
    trained, so its weight is no measure beside that of other techniques.

    Args:
        model: As it is before training, what is trained requiring gradients.
    """

    def __init__(self, model: nn.Module) -> None:
        self._trained = [value for value in model.parameters() if value.requires_grad]
        self._start = [value.detach().clone() for value in self._trained]

    def __call__(self) -> Tensor:
        """Return the penalty as the model stands, a scalar; gradients pass."""
        pairs = zip(self._trained, self._start, strict=True)
        return 0.5 * torch.stack([((value - start.to(value)) ** 2).sum() for value, start in pairs]).sum()
