"""What of a vision-language encoder is trained: the techniques that arXiv 2407.15731 compares.

Each function takes an encoder as it was loaded and returns the one to train, mostly the same one, changed in place.
What a technique does not train is frozen, the scale of the logits too. Numbers of weights are those of CLIP ViT-B-32.
Legend: D features, R rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import nn
from torch.nn.utils import parametrize

from unseen.backbones.tuning import biases_of
from unseen.encoders.added_layers import AdaptedEncoder, ProbedEncoder
from unseen.encoders.encoder import Encoder
from unseen.encoders.low_rank import LowRank, keep_updates, merge_low_rank
from unseen.encoders.projections import first_of_mlp, projections

__all__ = ["Technique", "adapter", "attention", "bitfit", "full", "lora", "merge_low_rank", "probe"]

Technique = Callable[..., Encoder]  # of an encoder; `probe` also needs `classes`


def full(encoder: Encoder) -> Encoder:
    """Train everything, the scale of the logits included: 151,277,313 weights."""
    encoder.requires_grad_(True)
    return encoder


def bitfit(encoder: Encoder, *, n_blocks: int | None = None) -> Encoder:
    """Train the biases of the first blocks of both towers, those of norms included: 168,960 weights in 12 blocks.

    BitFit (Ben Zaken et al., arXiv 2106.10199) without the biases outside blocks.

    Args:
        encoder: Changed in place.
        n_blocks: Of each tower that has blocks; None: all.

    Raises:
        ValueError: The encoder has no blocks, or not as many.
    """
    blocks = _blocks_of(encoder, "bitfit", n_blocks)
    return _train_only(encoder, (block.get_parameter(name) for block in blocks for name in biases_of(block)))


def attention(encoder: Encoder, *, n_blocks: int | None = None) -> Encoder:
    """Train the weights of queries, keys and values in the first blocks of both towers: 30,670,848 in 12 blocks.

    Neither their biases nor the projection of the output, which Touvron et al. (arXiv 2203.09795) train as well.

    Args:
        encoder: Changed in place.
        n_blocks: Of each tower that has blocks; None: all.

    Raises:
        ValueError: The encoder has no blocks, not as many, or blocks whose attention is not known.
    """
    blocks = _blocks_of(encoder, "attention", n_blocks)
    found = [projection for block in blocks for projection in projections(block)]
    return _train_only(encoder, (getattr(one.module, one.name) for one in found))


def lora(
    encoder: Encoder, *, rank: int = 4, scale: float = 0.2, mlp: bool = False, accumulate: bool = False
) -> Encoder:
    """Train a low-rank update W + scale (A B)^T of queries and values in all blocks: 61,440 R weights.

    With the MLPs 138,240 R. LoRA (Hu et al., arXiv 2106.09685) with a fixed scale. The encoder begins as it was, since
    B begins at 0. `merge_low_rank` writes the trained updates into the weights.

    Args:
        encoder: Changed in place.
        rank: R.
        scale: Of the update.
        mlp: Whether the first matrix of every MLP is updated, too.
        accumulate: Make the fault of the published code, for comparison only: every forward pass, evaluation included,
            adds the update once more to the weight and keeps it, in checkpoints too. The weight drifts.

    Raises:
        ValueError: A rank below 1, or the encoder has no blocks, or blocks whose attention is not known.
    """
    if rank < 1:
        raise ValueError(f"technique.rank={rank} must be at least 1")
    blocks = _blocks_of(encoder, "lora", None)
    found = [
        (one.module, one.name, one.stacked, one.queries_values)
        for block in blocks
        for one in projections(block)
        if one.queries_values
    ]
    if mlp:
        found += [(first_of_mlp(block), "weight", 1, (0,)) for block in blocks]
    encoder.requires_grad_(False)
    for module, name, stacked, changed in found:
        update = LowRank(
            getattr(module, name),
            stacked=stacked,
            changed=changed,
            rank=rank,
            scale=scale,
            accumulate=accumulate,
        )
        parametrize.register_parametrization(module, name, update)
    if accumulate:
        for block in blocks:
            block.register_forward_hook(keep_updates)
    return encoder


def adapter(encoder: Encoder, *, reduction: int = 4, ratio: float = 0.2) -> Encoder:
    """Train a bottleneck behind each tower: 4 D^2 / reduction weights, 262,144 at 4 (see `AdaptedEncoder`).

    Args:
        encoder: Frozen in place, and part of the result.
        reduction: Of the width.
        ratio: Share of the bottleneck in the embedding.

    Raises:
        ValueError: `reduction` does not divide D, or `ratio` is no share.
    """
    adapted = AdaptedEncoder(encoder, reduction=reduction, ratio=ratio)
    encoder.requires_grad_(False)
    return adapted


def probe(encoder: Encoder, *, classes: int) -> Encoder:
    """Train a linear layer on frozen image embeddings: 51,300 weights for 100 classes (see `ProbedEncoder`).

    Args:
        encoder: Frozen in place, and part of the result.
        classes: Of the task, in the order of its labels.

    Raises:
        ValueError: Fewer than two classes.
    """
    probed = ProbedEncoder(encoder, classes=classes)
    encoder.requires_grad_(False)
    return probed


# ------------------------------------------------------------------ what the functions share
def _train_only(encoder: Encoder, parameters: Iterable[nn.Parameter]) -> Encoder:
    encoder.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    return encoder


def _blocks_of(encoder: Encoder, technique: str, n_blocks: int | None) -> list[nn.Module]:
    """Return the first blocks of each tower that has any."""
    towers = {
        name: list(blocks) for name, blocks in zip(("image", "text"), encoder.blocks, strict=True) if blocks
    }
    if not towers:
        raise ValueError(
            f"tuning={technique} trains weights of transformer blocks, and {encoder.name} has none; use "
            "tuning=full, adapter or probe"
        )
    for name, blocks in towers.items():
        if n_blocks is not None and not 1 <= n_blocks <= len(blocks):
            raise ValueError(
                f"technique.n_blocks={n_blocks} must lie between 1 and {len(blocks)}, the number of transformer "
                f"blocks in the {name} tower of {encoder.name}"
            )
    return [block for blocks in towers.values() for block in blocks[:n_blocks]]
