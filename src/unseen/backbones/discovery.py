"""Finding a network's layers, and whether it takes an image size, by running it once, mostly without memory.

Shapes: B batch, S image size, D features.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache

import torch
from torch import nn

from unseen.backbones.protocol import Layout, Tap
from unseen.backbones.spec import NetworkSpec
from unseen.backbones.taps import first_tensor
from unseen.wording import suggestion

_BATCH = 2
_CONTAINERS = ("stages", "blocks", "layers")
_CLASS_TOKEN = re.compile(r"(cls|class)_?(token|embed|embedding)s?_?\d*")
_NUMBERED = re.compile(r"(layer|stage|level|s)\d+")


class UnusableTapsError(ValueError):
    """The patterns, or the automatic rule, do not lead to layers that can be read."""


@dataclass(frozen=True)
class Firing:
    """What one module did in a forward pass: how often it ran, and the shape that it returned last."""

    calls: int
    shape: tuple[int, ...] | None


def trace(
    network: nn.Module,
    image_size: int,
    device: torch.device | str = "meta",
    *,
    channels: int = 3,
    dtype: torch.dtype | None = None,
) -> dict[str, Firing]:
    """What every module of a network does with images (2, channels, S, S), in the order in which they end.

    Modules inside the network that are never called are absent.

    Args:
        network: Left in eval mode.
        image_size: S.
        device: Where the network is.
        channels: Of its images.
        dtype: Of its images; None: torch's default.

    Raises:
        Exception: Whatever the network raises when it cannot take this size.
    """
    firings: dict[str, Firing] = {}

    def watch(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            calls = firings.pop(name).calls + 1 if name in firings else 1
            try:
                shape = tuple(first_tensor(output).shape)
            except TypeError:
                shape = None
            firings[name] = Firing(calls, shape)

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in network.named_modules() if name]
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(_BATCH, channels, image_size, image_size, device=device, dtype=dtype))
    finally:
        for handle in handles:
            handle.remove()
    return firings


def find_taps(
    network: nn.Module,
    firings: dict[str, Firing],
    patterns: Sequence[str] = (),
    *,
    prefix_tokens: int | None = None,
) -> tuple[Tap, ...]:
    """The layers of a network, in the order in which they end.

    With patterns: every module whose path matches one, dot by dot (`blocks.*` is `blocks.3`, not `blocks.3.mlp`).

    Without, the rule is: the children of `stages`, `blocks` or `layers`, else the numbered modules (`layer1`,
    `s2`, `stage3`), else the modules of timm's `feature_info`; in front of them the embedding, that is the last
    module of the top level that ends before the first of them (`maxpool` of a ResNet, `norm_pre` of a ViT, which
    is after the position embedding). What is not called exactly once, or does not return one map or token
    sequence per image, is left out.

    Args:
        network: The traced network.
        firings: What `trace` returned for it.
        patterns: Module paths with `*` and `?`; every one of them must match.
        prefix_tokens: Tokens in front of the patches, where a layer has them; None: one if the network has a
            parameter that is called a class token, else none.

    Raises:
        UnusableTapsError: A pattern that matches nothing, a layer that cannot be read or whose tokens are no square
            of patches behind those in front, or no layer found.
    """
    names = _matching(firings, patterns) if patterns else _automatic(network, firings)
    if not names:
        raise UnusableTapsError(
            "no layers found automatically, name them with model.backbone.taps (patterns of module paths, "
            f"its top level is {', '.join(name for name, _ in network.named_children())})"
        )
    class_token = _has_class_token(network)
    if prefix_tokens is None:
        prefix_tokens = int(_names_class_token(network))
    taps = []
    for layer, name in enumerate(names):
        firing = firings[name]
        if not _readable(firing):
            shown = "nothing like a tensor" if firing.shape is None else f"shape {firing.shape}"
            raise UnusableTapsError(
                f"model.backbone.taps: {name!r} cannot be read: it ran {firing.calls} times for one batch of "
                f"{_BATCH} and returned {shown}; a layer runs once and returns (B, tokens, D), (B, D, H, W) "
                "or (B, H, W, D)"
            )
        assert firing.shape is not None
        layout = layout_of(firing.shape)
        taps.append(
            Tap(
                layer=layer,
                name=name,
                depth=layer / (len(names) - 1) if len(names) > 1 else 0.0,
                layout=layout,
                prefix_tokens=_prefix_in(name, firing.shape[1], prefix_tokens) if layout == "tokens" else 0,
                class_token=class_token,
            )
        )
    return tuple(taps)


def main_layers(network: nn.Module, firings: dict[str, Firing]) -> list[str]:
    """Paths of layers where nothing is named as `find_taps` expects; empty where there are none either.

    They are the members of the `Sequential` or `ModuleList` that holds at least half of the modules that run, the list
    with the most readable members where several do; else the modules of the top level.

    Args:
        network: The traced network.
        firings: What `trace` returned for it.
    """

    def members(path: str) -> list[str]:
        inside = {f"{path}.{name}".lstrip(".") for name, _ in network.get_submodule(path).named_children()}
        return [name for name in firings if name in inside and _readable(firings[name])]

    lists = [
        path
        for path, module in network.named_modules()
        if isinstance(module, nn.Sequential | nn.ModuleList)
        and 2 * sum(name.startswith(f"{path}.".lstrip(".")) for name in firings) >= len(firings)
    ]
    longest = max(map(members, lists), key=len, default=[])
    return longest if len(longest) > 1 else members("")


def layout_of(shape: tuple[int, ...] | None) -> Layout:
    """How to read a layer's output: images are square, so the side that differs from the two equal ones is D."""
    assert shape is not None
    if len(shape) == 3:
        return "tokens"
    _, second, third, fourth = shape
    return "nhwc" if second == third != fourth else "nchw"


def is_cube(shape: tuple[int, ...] | None) -> bool:
    """Whether a map is as deep as it is wide, so that its shape does not tell where D is."""
    return shape is not None and len(shape) == 4 and len(set(shape[1:])) == 1


def _matching(firings: dict[str, Firing], patterns: Sequence[str]) -> list[str]:
    matched: set[str] = set()
    for pattern in patterns:
        parts = pattern.split(".")
        hits = [
            name
            for name in firings
            if len(parts) == name.count(".") + 1
            and all(fnmatchcase(part, wanted) for part, wanted in zip(name.split("."), parts, strict=True))
        ]
        if not hits:
            raise UnusableTapsError(
                f"model.backbone.taps: {pattern!r} matches no module that runs"
                + suggestion(pattern, firings, most=3)
            )
        matched.update(hits)
    return [name for name in firings if name in matched]


def _automatic(network: nn.Module, firings: dict[str, Firing]) -> list[str]:
    for candidates in _candidate_lists(network):
        layers = {name for module in candidates for name in _called(network, module, firings)}
        names = [name for name in firings if name in layers and _readable(firings[name])]
        if len(names) > 1:
            break
    else:
        return []
    before_first = list(firings)[: list(firings).index(names[0])]
    embedding = [name for name in before_first if "." not in name and _readable(firings[name])][-1:]
    return embedding + names


def _candidate_lists(network: nn.Module) -> Iterable[list[str]]:
    children = dict(network.named_children())
    for container in _CONTAINERS:
        if container in children:
            yield [f"{container}.{name}" for name, _ in children[container].named_children()]
    yield [name for name in children if _NUMBERED.fullmatch(name)]
    feature_info = getattr(network, "feature_info", None) or []
    yield [str(feature["module"]) for feature in feature_info if "module" in feature]


def _called(network: nn.Module, name: str, firings: dict[str, Firing]) -> list[str]:
    """The module itself if it runs, else (a plain list of modules never does) those of its children that do."""
    if name in firings:
        return [name]
    try:
        module = network.get_submodule(name)
    except AttributeError:  # feature_info of some architectures names modules that are not there
        return []
    return [
        found
        for child, _ in module.named_children()
        for found in _called(network, f"{name}.{child}", firings)
    ]


def _readable(firing: Firing) -> bool:
    return (
        firing.calls == 1
        and firing.shape is not None
        and len(firing.shape) in (3, 4)
        and firing.shape[0] == _BATCH
    )


def _prefix_in(name: str, tokens: int, prefix_tokens: int) -> int:
    """The network's prefix tokens if this layer has them: some networks add theirs only in late layers.

    Raises:
        UnusableTapsError: The patches of an image, which is square, are no square: nothing says what the tokens are.
    """
    if _is_square(tokens - prefix_tokens):
        return prefix_tokens
    if _is_square(tokens):
        return 0
    in_front = f" behind {prefix_tokens} in front" if prefix_tokens else ""
    raise UnusableTapsError(
        f"layer {name!r} returns {tokens} tokens, which are no square of patches{in_front}, so that it cannot be told "
        "which of them is a class token; name other layers with model.backbone.taps"
    )


def _is_square(number: int) -> bool:
    return number > 0 and math.isqrt(number) ** 2 == number


def _has_class_token(network: nn.Module) -> bool:
    """False only for networks whose prefix tokens are registers alone."""
    names = {name.rpartition(".")[2] for name, _ in network.named_parameters()}
    return _names_class_token(network) or "reg_token" not in names


def _names_class_token(network: nn.Module) -> bool:
    """Whether a parameter of the network is called a class token: cls_token, cls_token_0, class_token."""
    return any(_CLASS_TOKEN.fullmatch(name.rpartition(".")[2]) for name, _ in network.named_parameters())


@lru_cache(maxsize=64)
def survey(spec: NetworkSpec, image_size: int) -> tuple[Tap, ...]:
    """The layers of a network that is built and run once; the global random state is left alone.

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
        with torch.random.fork_rng(devices=[]), torch.device(spec.traced_on):
            network = spec.create(size, num_classes=2)
            patch = patch_of(network)
            if size % patch:
                raise ValueError(f"its patches of {patch} x {patch} pixels tile multiples of {patch} only")
            prefix = spec.prefix_tokens
            if prefix is None:
                prefix = getattr(network, "num_prefix_tokens", None)
            firings = trace(network, size, spec.traced_on)
            taps = find_taps(network, firings, spec.taps, prefix_tokens=prefix)
            if _positions(taps[0], firings[taps[0].name]) == 1:
                raise ValueError(
                    f"already its first layer {taps[0].name} would see the image as a single position"
                )

            def at_twice_the_size() -> dict[str, Firing]:
                return trace(spec.create(2 * size, num_classes=2), 2 * size, spec.traced_on)

            return with_known_layout(taps, firings, at_twice_the_size)

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

    Raises:
        ValueError: One sentence.
    """
    if not isinstance(spec, NetworkSpec):
        return
    with torch.random.fork_rng(devices=[]), torch.device(spec.traced_on):
        network = spec.create(image_size, num_classes=2).train()
        try:
            network(torch.zeros(1, 3, image_size, image_size))
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


def with_known_layout(
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
