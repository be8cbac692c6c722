"""Reading layers: one vector per image from whatever a layer returns, while a forward pass runs anyway.

Shapes: B batch, H x W positions, D features, L layers.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from unseen.backbones.protocol import Backbone, Tap

Pooling = Literal["auto", "paper", "mean", "first"]


def pool(output: Tensor, tap: Tap, pooling: Pooling) -> Tensor:
    """One float32 vector per image, (B, D), that shares no memory with the layer's output.

    | pooling | tokens (B, tokens, D) | nhwc (B, H, W, D) | nchw (B, D, H, W) |
    |---|---|---|---|
    | auto  | class token where there is one, else mean over patches | mean | mean |
    | paper | token 0, even where that is only the top-left patch | top-left position | mean |
    | mean  | mean over patches, prefix tokens left out | mean | mean |
    | first | token 0 | top-left position | top-left position |

    Args:
        output: What the layer returned, in the layout that `tap` states.
        tap: The layer it came from.
        pooling: See the table; `paper` is the choice of arXiv 2402.14095 and 2405.01524.

    Raises:
        ValueError: An unknown pooling, or an output whose number of dimensions is not the tap's layout.
    """
    check_pooling(pooling)
    if output.ndim != (3 if tap.layout == "tokens" else 4):
        raise ValueError(
            f"layer {tap.name!r} is a {tap.layout} layer but returned shape {tuple(output.shape)}"
        )
    takes_first = pooling == "first" or (
        tap.has_class_token if pooling == "auto" else pooling == "paper" and tap.layout != "nchw"
    )
    if takes_first:
        first = output[:, :, 0, 0] if tap.layout == "nchw" else output[:, 0]  # (B, D), or (B, W, D) of nhwc
        first = first[:, 0] if tap.layout == "nhwc" else first  # (B, D)
        return first.to(torch.float32, copy=True)  # a view would keep the whole layer alive
    if tap.layout == "tokens":
        return output[:, tap.prefix_tokens :].mean(1, dtype=torch.float32)  # (B, D)
    return output.mean((2, 3) if tap.layout == "nchw" else (1, 2), dtype=torch.float32)  # (B, D)


def check_pooling(pooling: str) -> None:
    """Refuses a pooling that does not exist.

    Raises:
        ValueError: Names the value and the allowed set.
    """
    if pooling not in get_args(Pooling):
        raise ValueError(f"model.pooling={pooling!r} is not one of {', '.join(get_args(Pooling))}")


class Recorder:
    """Holds what the taps gave since the last `take`; made by `record_taps`."""

    def __init__(self, taps: tuple[Tap, ...], pooling: Pooling) -> None:
        self.taps = taps
        self.pooling: Pooling = pooling
        self._fired = [0] * len(taps)
        self._embeddings: list[Tensor | None] = [None] * len(taps)

    def take(self) -> list[Tensor]:
        """The L embeddings (B, D_l) of the one forward pass since the last call, shallow to deep.

        They are detached, float32 and stay on the device of the layer. Whatever happens, the recorder is empty
        afterwards.

        Raises:
            RuntimeError: Names each layer that did not fire exactly once: no forward pass, two of them, or a
                network that ran past the hooks.
        """
        fired, embeddings = self._fired, self._embeddings
        self._fired, self._embeddings = [0] * len(self.taps), [None] * len(self.taps)
        wrong = [
            f"{tap.name} ({times} times)" for tap, times in zip(self.taps, fired, strict=True) if times != 1
        ]
        if wrong:
            raise RuntimeError(
                "each layer must fire exactly once between two calls of take(), but these did not: "
                + ", ".join(wrong)
            )
        return [embedding for embedding in embeddings if embedding is not None]

    def _hook(self, index: int) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._fired[index] += 1
            self._embeddings[index] = pool(first_tensor(output).detach(), self.taps[index], self.pooling)

        return hook


def first_tensor(output: Any) -> Tensor:
    """The hidden state in what a module returned: the tensor itself, or the first one of a tuple.

    Raises:
        TypeError: There is none.
    """
    while isinstance(output, (tuple, list)) and output:
        output = output[0]
    if not isinstance(output, Tensor):
        raise TypeError(f"expected a tensor or a tuple that starts with one, got {type(output).__name__}")
    return output


@contextmanager
def record_taps(backbone: nn.Module, pooling: Pooling) -> Iterator[Recorder]:
    """A recorder that sees every layer of each forward pass inside the block.

    Hooks exist only inside the block and are removed whatever is raised; each pools at once, so nothing larger
    than (B, D) leaves a layer. Weights, buffers, train/eval mode and random state are not touched.

    A network compiled with `torch.compile(backbone)` or `.compile()`, itself or as part of a larger module, runs
    eagerly inside the block: compiled code does not see hooks that are registered after its first call.

    Args:
        backbone: A `Backbone`, or `torch.compile` of one. A DDP wrapper is refused: pass its `.module`.
        pooling: See `pool`.

    Raises:
        TypeError: Not a backbone.
        ValueError: An unknown pooling.

    Example:
        >>> stem = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(16, 5))
        >>> half = (0.5, 0.5, 0.5)
        >>> tap = Tap(layer=0, name="0", depth=0.0, layout="nchw")
        >>> backbone = Backbone(stem, (tap,), num_classes=5, image_size=16, mean=half, std=half)
        >>> with record_taps(backbone, "auto") as recorder:
        ...     logits = backbone(torch.zeros(2, 3, 16, 16))
        ...     embeddings = recorder.take()
        >>> [tuple(embedding.shape) for embedding in embeddings]
        [(2, 4)]
    """
    check_pooling(pooling)
    eager = getattr(backbone, "_orig_mod", backbone)
    if not isinstance(eager, Backbone):
        raise TypeError(f"record_taps reads a Backbone, got {type(eager).__name__}")
    recorder = Recorder(eager.taps, pooling)
    with ExitStack() as stack:
        if (
            "torch._dynamo" in sys.modules
        ):  # nothing is compiled where it was never imported, and it is slow to
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for index, tap in enumerate(eager.taps):
            module = eager.network.get_submodule(tap.name)
            stack.callback(module.register_forward_hook(recorder._hook(index)).remove)
        yield recorder
