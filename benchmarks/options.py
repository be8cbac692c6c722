"""What torch's own options gain: channels_last, torch.compile, a fused optimiser, bfloat16.

    python benchmarks/options.py                          ConvNeXtV2-atto at 64 pixels, batches of 72
    python benchmarks/options.py --model vit_tiny_patch16_224 --rounds 7

A training step and a forward pass with one option against the same without it, in turn, in this process, on random
images. `compile` needs a C++ compiler; what it takes before the first step and the first forward pass is shown beside.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from unseen.threads import settle_threads  # noqa: E402  (a checkout needs no installation)

settle_threads()  # before torch is loaded, as every command does

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from benchmarks.timing import PAIRS, Pair, alternate, seconds, spread, timed  # noqa: E402
from unseen.backbones.protocol import prefers_channels_last  # noqa: E402
from unseen.backbones.timm import TimmSpec  # noqa: E402

CLASSES = 15
OPTIONS = ("channels_last", "compile", "fused", "bfloat16")


class Side:
    """A network that trains on one batch, with the options named."""

    def __init__(self, asked: argparse.Namespace, *options: str) -> None:
        torch.manual_seed(0)
        network: nn.Module = TimmSpec(asked.model).build(CLASSES, asked.size)
        # the other options are judged in the memory order that a run would choose
        innermost = "channels_last" in options or (
            "contiguous" not in options and prefers_channels_last(network)
        )
        layout = torch.channels_last if innermost else torch.contiguous_format
        self.images: Tensor = torch.rand(asked.batch, 3, asked.size, asked.size).to(memory_format=layout)
        self.labels = torch.arange(asked.batch) % CLASSES
        self.network = network.to(memory_format=layout)
        self.parameters = list(network.parameters())
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-5, fused="fused" in options)
        self.run: Callable[[Tensor], Tensor] = (
            torch.compile(self.network) if "compile" in options else self.network
        )
        self.half = "bfloat16" in options

    def _logits(self) -> Tensor:
        context: Any = torch.autocast("cpu", torch.bfloat16) if self.half else nullcontext()
        with context:
            return self.run(self.images).float()

    def step(self) -> None:
        """Train one step."""
        self.network.train()
        self.optimizer.zero_grad()
        nn.functional.cross_entropy(self._logits(), self.labels).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()

    def forward(self) -> None:
        """Embed the batch."""
        self.network.eval()
        with torch.no_grad():
            self._logits()


def shown(pairs: list[Pair]) -> str:
    """Return the speed-up, median and range."""
    found = spread([pair.reference / pair.ours for pair in pairs])
    return f"x {found.median:.2f} ({found.least:.2f} .. {found.most:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="convnextv2_atto", help="an architecture of timm")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=72)
    parser.add_argument("--rounds", type=int, default=PAIRS)
    parser.add_argument("--options", nargs="+", choices=OPTIONS, default=OPTIONS)
    asked = parser.parse_args()
    try:
        TimmSpec(asked.model).check(asked.size)
    except ValueError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        # what an earlier run compiled must not make this one's first step short
        if "compile" in asked.options:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = scratch
        compare(asked)


def compare(asked: argparse.Namespace) -> None:
    """Print a line for each option."""
    print(
        f"{datetime.now():%Y-%m-%d}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}; "
        f"{asked.model}, {asked.batch} images of {asked.size} px, {asked.rounds} pairs: median (least .. most)"
    )
    for option in asked.options:
        with_it = Side(asked, option)
        without = Side(asked, "contiguous") if option == "channels_last" else Side(asked)
        line = f"{option:14}"
        for name in ("step", "forward"):
            ours, reference = getattr(with_it, name), getattr(without, name)
            reference()
            first = seconds(ours)
            began = time.perf_counter()
            pairs = alternate(timed(ours), timed(reference), pairs=asked.rounds)
            each = (time.perf_counter() - began) / len(pairs)
            line += f" | {name} {shown(pairs)}" + (f", first {first:.0f} s" if first > 5 * each else "")
        print(line, flush=True)


if __name__ == "__main__":
    main()
