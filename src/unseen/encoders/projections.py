"""Where the transformer blocks of different libraries keep the weights of their queries, keys and values."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

# of a linear layer, by its name: how many matrices are stacked in its weight, and which of them make queries and values
_STACKED = {
    "qkv": (3, (0, 2)),  # timm
    "q_proj": (1, (0,)),  # timm's EVA, transformers
    "k_proj": (1, ()),
    "v_proj": (1, (0,)),
    "query": (1, (0,)),  # transformers' BERT
    "key": (1, ()),
    "value": (1, (0,)),
}


@dataclass(frozen=True)
class Projection:
    """A weight that makes queries, keys or values, or all three when they are stacked.

    Attributes:
        module: That owns the weight.
        name: Of the weight in `module`.
        stacked: How many matrices of equal size lie above each other in the weight.
        queries_values: Places of those that make queries and values.
    """

    module: nn.Module
    name: str
    stacked: int
    queries_values: tuple[int, ...]

    @property
    def weight(self) -> Tensor:
        """The weight, (stacked x outputs, inputs)."""
        weight: Tensor = getattr(self.module, self.name)
        return weight


def projections(block: nn.Module) -> list[Projection]:
    """Return the projections of a block, in its order.

    Known are `nn.MultiheadAttention` (as in open_clip's CLIP), and linear layers called as in timm and transformers.

    Raises:
        ValueError: There are none.
    """
    found = []
    for path, module in block.named_modules():
        name = path.rpartition(".")[2]
        if getattr(module, "in_proj_weight", None) is not None:
            found.append(Projection(module, "in_proj_weight", 3, (0, 2)))
        elif isinstance(module, nn.Linear) and name in _STACKED:
            found.append(Projection(module, "weight", *_STACKED[name]))
    if not found:
        raise ValueError(
            f"{type(block).__name__} has no projections of queries, keys and values that are known"
        )
    return found


def first_of_mlp(block: nn.Module) -> nn.Linear:
    """Return the first linear layer that widens its input and is no projection of the attention.

    Raises:
        ValueError: There is none.
    """
    of_attention = {id(projection.module) for projection in projections(block)}
    for module in block.modules():
        if not isinstance(module, nn.Linear) or id(module) in of_attention:
            continue
        if module.out_features > module.in_features:
            return module
    raise ValueError(f"{type(block).__name__} has no linear layer that widens its input, as an MLP does")
