"""ConvNeXtV2's global response normalisation, without the one operation that made it the slowest part of the network.

Shapes: B batch, H x W positions, D features.
"""

from timm.layers.grn import GlobalResponseNorm
from torch import Tensor, nn, promote_types
from torch import float32 as single

# Keeps the root's derivative finite where a feature is 0 everywhere; beside timm's eps of 1e-6 its root is nothing.
_LEAST_SUM = 1e-37


def with_quick_response_norms(network: nn.Module) -> nn.Module:
    """Return the network with a `ResponseNorm` of the same parameters for each of timm's `GlobalResponseNorm`."""
    slow = [name for name, module in network.named_modules() if type(module) is GlobalResponseNorm]
    for name in slow:
        network.set_submodule(name, ResponseNorm(network.get_submodule(name)))
    return network


class ResponseNorm(nn.Module):
    """x + weight x N(x) + bias; N is a feature's norm over the positions, by the mean of all norms (Woo et al. 2023).

    Equal to timm's `GlobalResponseNorm`, its parameters' names included, but for rounding. That calls `Tensor.norm`,
    which on a CPU takes five to a hundred times as long over outer dimensions as squaring and summing (torch 2.14).

    Args:
        original: Gives the parameters and the layout.
    """

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        assert isinstance(original, GlobalResponseNorm)
        self.weight: nn.Parameter = original.weight  # (D,)
        self.bias: nn.Parameter = original.bias  # (D,)
        self.eps = float(original.eps)
        self._positions: tuple[int, int] = original.spatial_dim
        self._features: int = original.channel_dim
        self._shape: tuple[int, ...] = original.wb_shape

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, D), or (B, D, H, W), to the same shape."""
        # Sums, and products with what may be as large as D, need float32's range; only half parameters make halves.
        squares = x.to(promote_types(x.dtype, single)).square().sum(self._positions, keepdim=True)
        norm = squares.clamp_min(_LEAST_SUM).sqrt()
        relative = norm / (norm.mean(self._features, keepdim=True) + self.eps)
        relative = relative.to(promote_types(x.dtype, self.weight.dtype))
        weight, bias = self.weight.view(self._shape), self.bias.view(self._shape)
        return x + bias.addcmul(weight, x * relative)
