"""Whether a network takes an image size, and which layers it has then: answered in a fraction of a second.

Shapes: S image size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

import torch
from torch import nn

from unseen.backbones.discovery import Firing, UnusableTapsError, find_taps, is_cube, layout_of, trace
from unseen.backbones.protocol import Tap


class Surveyed(Protocol):
    """What a survey asks of the description of a network.

    Attributes:
        shown: What messages call the network.
        taps: Patterns, see `find_taps`.
        options: What the network is made with, for messages.
        prefix_tokens: See `find_taps`; None for what the network itself says.
    """

    @property
    def shown(self) -> str: ...  # noqa: D102 - see Attributes
    @property
    def taps(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def options(self) -> Mapping[str, object]: ...  # noqa: D102
    @property
    def prefix_tokens(self) -> int | None: ...  # noqa: D102

    def create(self, image_size: int, *, num_classes: int) -> nn.Module:
        """The network, untrained."""


@lru_cache(maxsize=64)
def survey(spec: Surveyed, image_size: int) -> tuple[Tap, ...]:
    """The layers of a network that is built and run without memory; the global random state is left alone.

    They are remembered, so that building after checking does not look for them twice.

    Args:
        spec: Describes the network.
        image_size: S.

    Raises:
        ValueError: One sentence: the size cannot be taken (with the nearest that can), the options make no network,
            or the layers cannot be read.
    """
    if image_size < 1:
        raise ValueError(f"data.image_size={image_size} is not a positive number of pixels")

    def taps_at(size: int) -> tuple[Tap, ...]:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            network = spec.create(size, num_classes=2)
            patch = patch_of(network)
            if size % patch:
                raise ValueError(f"its patches of {patch} x {patch} pixels tile multiples of {patch} only")
            prefix = spec.prefix_tokens
            if prefix is None:
                prefix = getattr(network, "num_prefix_tokens", None)
            firings = trace(network, size)
            taps = find_taps(network, firings, spec.taps, prefix_tokens=prefix)
            if _positions(taps[0], firings[taps[0].name]) == 1:
                raise ValueError(
                    f"already its first layer {taps[0].name} would see the image as a single position"
                )
            return _settled(taps, firings, lambda: trace(spec.create(2 * size, num_classes=2), 2 * size))

    def works(size: int) -> bool:
        try:
            taps_at(size)
        except Exception:  # any of them means no
            return False
        return True

    try:
        return taps_at(image_size)
    except UnusableTapsError as error:
        raise ValueError(f"model {spec.shown!r}: {error}") from error
    except Exception as error:  # each library has its own way to refuse a size
        reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
        sizes = () if isinstance(error, TypeError) else nearest_sizes(image_size, works)
        if sizes:
            raise ValueError(
                f"model {spec.shown!r} cannot take data.image_size={image_size}: {reason}; "
                f"the nearest sizes that it takes: {' and '.join(map(str, sizes))}"
            ) from error
        raise ValueError(
            f"model {spec.shown!r} cannot be built with model.backbone.options={dict(spec.options)}: {reason}"
        ) from error


def check_single_images(spec: object, image_size: int) -> None:
    """Refuse to train on one image at a time where batch normalisation has a single value for each channel.

    Args:
        spec: Describes the network; one that cannot be made without its weights is not looked at.
        image_size: S.

    Raises:
        ValueError: One sentence.
    """
    create = getattr(spec, "create", None)
    if create is None:
        return
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        network = create(image_size, num_classes=2).train()
        try:
            network(torch.empty(1, 3, image_size, image_size))
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                "data.batch_size=1 is too few: this network normalises over the batch, and its last layers see an "
                "image as a single position; use at least 2"
            ) from error


def patch_of(network: nn.Module) -> int:
    """Pixels per side of the patches that the first convolution cuts without overlap or padding, else 1.

    An image that they do not tile would lose its right and bottom edge without a word.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            (height, width), stride = module.kernel_size, module.stride
            tiles = (height, width) == tuple(stride) and not any(_as_numbers(module.padding))
            return int(height) if tiles and height == width else 1
    return 1


def nearest_sizes(image_size: int, works: Callable[[int], bool]) -> tuple[int, ...]:
    """The nearest image size below and above that `works` accepts, among multiples of usual patches and strides."""
    units = (8, 7, 16, 14, 32, 64, 112, 224)
    below = {image_size // unit * unit for unit in units} | {image_size - image_size % 2}
    above = {(image_size // unit + 1) * unit for unit in units}
    found = []
    for candidates in (sorted(below, reverse=True), sorted(above)):
        found += [next((size for size in candidates if size > 0 and size != image_size and works(size)), 0)]
    return tuple(size for size in found if size)


def _settled(
    taps: tuple[Tap, ...], firings: dict[str, Firing], at_another_size: Callable[[], dict[str, Firing]]
) -> tuple[Tap, ...]:
    """The taps, where maps that are as deep as they are wide have their layout read off at another size.

    Raises:
        UnusableTapsError: The network takes no other size, so that nothing says which side the channels are.
    """
    cubes = {tap.name for tap in taps if is_cube(firings[tap.name].shape)}
    if not cubes:
        return taps
    try:
        other = at_another_size()
    except Exception as error:
        raise UnusableTapsError(
            f"cannot tell channels from positions in {', '.join(sorted(cubes))}"
        ) from error
    return tuple(
        replace(tap, layout=layout_of(other[tap.name].shape)) if tap.name in cubes else tap for tap in taps
    )


def _positions(tap: Tap, firing: Firing) -> int:
    shape = firing.shape or ()
    if tap.layout == "tokens":
        return shape[1] - tap.prefix_tokens
    return shape[2] * shape[3] if tap.layout == "nchw" else shape[1] * shape[2]


def _as_numbers(padding: str | tuple[int, ...]) -> tuple[int, ...]:
    return (0,) if padding == "valid" else (1,) if isinstance(padding, str) else tuple(padding)
