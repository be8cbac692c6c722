"""Against forgetting: weights between zero-shot and fine-tuned, a penalty on leaving the start, and replay.

Legend: B images of a batch, M images of another task, C classes.
"""

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
        fine_tuned: State dict of the same encoder after training; LoRA must be merged into the weights before.
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


def between(model: nn.Module, zero_shot: Weights, alphas: Sequence[float]) -> Iterator[float]:
    """Yield each alpha, the fine-tuned model having the weights of `interpolated`; in the end it is as before.

    Raises:
        ValueError: As `interpolated`.
    """
    fine_tuned = {name: value.detach().clone() for name, value in model.state_dict().items()}
    try:
        for alpha in alphas:
            model.load_state_dict(interpolated(zero_shot, fine_tuned, alpha))
            yield alpha
    finally:
        model.load_state_dict(fine_tuned)


def trained_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return copies of the weights that are trained."""
    return {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}


def l2_to_init(model: nn.Module, start: Weights) -> Tensor:
    """Return ½ Σ (w - w_start)² over the trained weights, a scalar to be weighted and added to the loss.

    L2-SP (Li et al., arXiv 1802.01483). Of LoRA and adapters it is over the small matrices that are trained.

    Args:
        model: In training.
        start: `trained_weights` of it before training.

    Raises:
        ValueError: Other weights are trained than at the start.
    """
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if differing := trained.keys() ^ start.keys():
        raise ValueError(
            f"the penalty needs the same trained weights as at the start, unlike {listing(sorted(differing), 4)}"
        )
    terms = [((value - start[name].to(value)) ** 2).sum() for name, value in trained.items()]
    return 0.5 * torch.stack(terms).sum()


def with_replay(
    batch: tuple[Tensor, Tensor],
    memory: tuple[Tensor, Tensor],
    *,
    share: float,
    classes: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return a batch followed by images of another task (experience replay: Chaudhry et al., arXiv 1902.10486).

    Labels of the other task are shifted by C, so that the texts of both tasks one after the other are the classes.

    Args:
        batch: Images (B, ...) and labels (B,) of the task.
        memory: Images (M, ...) and labels (M,) of the other one, drawn from without replacement.
        share: Images to add, as a share of B, rounded.
        classes: C of the task.
        generator: On the CPU.

    Raises:
        ValueError: A negative share, images of different sizes, or fewer in memory than are to be added.
    """
    (images, labels), (others, their_labels) = batch, memory
    if share < 0:
        raise ValueError(f"share={share} of replayed images must be at least 0")
    if images.shape[1:] != others.shape[1:]:
        raise ValueError(
            f"images of the task are {tuple(images.shape[1:])}, and those to be replayed {tuple(others.shape[1:])}"
        )
    added = round(share * len(images))
    if added > len(others):
        raise ValueError(
            f"share={share} of {len(images)} images replays {added}, and memory holds only {len(others)}"
        )
    drawn = torch.randperm(len(others), generator=generator)[:added].to(others.device)
    return (
        torch.cat([images, others[drawn].to(images)]),
        torch.cat([labels, their_labels[drawn].to(labels) + classes]),
    )
