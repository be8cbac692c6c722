"""What this machine can do at best: rates of matrix products and of copying, and the work a network asks for.

A floor is a bound from below, not a goal: FLOPs over the measured rate of large matrix products, or bytes over the
measured rate of a large copy, whichever says more.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn

from benchmarks.timing import seconds

REPEATS = 5


@dataclass(frozen=True)
class Floors:
    """Rates, each the fastest of a few.

    Attributes:
        float32_gflops: Of a square float32 matrix product, 10^9 additions and multiplications a second.
        bfloat16_gflops: The same in bfloat16.
        copy_gbytes: 10^9 bytes a second, read and written, of a copy that no cache holds.
    """

    float32_gflops: float
    bfloat16_gflops: float
    copy_gbytes: float

    def matmul_seconds(self, flops: float, *, bfloat16: bool = False) -> float:
        """Return the least time for so many operations."""
        return flops / (self.bfloat16_gflops if bfloat16 else self.float32_gflops) / 1e9

    def copy_seconds(self, num_bytes: float) -> float:
        """Return the least time to read and write so many bytes."""
        return num_bytes / self.copy_gbytes / 1e9

    def to_dict(self) -> dict[str, float]:
        """Return plain values."""
        return asdict(self)


def measure_floors(*, side: int = 2048, megabytes: int = 256) -> Floors:
    """Return the rates of this machine with the threads that torch uses.

    Args:
        side: Rows and columns of the matrices.
        megabytes: What is copied.
    """
    rates = []
    for dtype in (torch.float32, torch.bfloat16):
        left, right = (
            torch.randn(side, side, generator=torch.Generator().manual_seed(0)).to(dtype) for _ in "ab"
        )
        product = left @ right
        fastest = min(seconds(lambda: torch.mm(left, right, out=product)) for _ in range(REPEATS))  # noqa: B023
        rates.append(2 * side**3 / fastest / 1e9)
    source = torch.ones(megabytes * 2**18)
    target = torch.zeros_like(source)
    fastest = min(seconds(lambda: target.copy_(source)) for _ in range(REPEATS))
    return Floors(*rates, 2 * source.nbytes / fastest / 1e9)


def forward_flops(network: nn.Module, image_size: int) -> float:
    """Return the FLOPs of one image's forward pass: matrix products and convolutions, a multiply-add counted as two."""
    from torch.utils.flop_counter import FlopCounterMode

    was_training = network.training
    network.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, image_size, image_size))
    network.train(was_training)
    return float(counter.get_total_flops())


def job_flops(per_image: float, *, trained: int, embedded: int) -> float:
    """Return the FLOPs of training on and embedding so many images; a backward pass takes twice its forward."""
    return per_image * (3 * trained + embedded)


def suite_flops(num_samples: int, num_features: int, num_classes: int) -> float:
    """Return the least FLOPs of all probes of one layer.

    One distance matrix (2 N^2 D), one step of Lloyd's k-means (2 N D C), and for the linear probe one gradient
    (4 N D C) on four fifths of the samples: no solver of ours or theirs gets by with less.
    """
    n, d, c = num_samples, num_features, num_classes
    return 2.0 * n * n * d + 2.0 * n * d * c + 0.8 * 4.0 * n * d * c
