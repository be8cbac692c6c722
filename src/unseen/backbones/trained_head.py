"""A network with the head that its weights were trained with, as a classifier of those classes.

Shapes: B batch, S image size, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from unseen.backbones.spec import NetworkSpec

if TYPE_CHECKING:
    from torch import Tensor

    from unseen.backbones.protocol import Backbone

UNTRAINED_CLASSES = 1000  # ImageNet's


class TrainedClassifier(NamedTuple):
    """The network in eval mode, and what a user should know of its weights; "" for nothing."""

    backbone: Backbone
    notice: str


def trained_classifier(spec: NetworkSpec, image_size: int, file: Path | None = None) -> TrainedClassifier:
    """Return the network with its own head, all weights loaded strictly.

    Args:
        spec: The network; one that is not `pretrained` has random weights and 1,000 classes, unless there is a file.
        image_size: S.
        file: Weights of one's own, the head's among them.

    Raises:
        ValueError: Settings that describe no network, or weights that do not fit; the tensors are named.
        unseen.backbones.weights.WeightsUnavailable: The weights are not here and cannot be fetched.
    """
    import torch

    from unseen.backbones.discovery import survey
    from unseen.backbones.protocol import Backbone
    from unseen.backbones.weights import transplant

    spec._check_settings()
    taps = survey(spec, image_size)
    state: Mapping[str, Tensor] | None = None
    notice = ""
    with torch.random.fork_rng(devices=[]):
        if file is not None:
            state, notice = _of_file(spec, image_size, file)
        elif spec.pretrained and (weights := spec._pretrained_weights(image_size)) is not None:
            state = weights[0]
        else:
            notice = f"{spec.shown} has random weights (model.pretrained=false)"
        classes = UNTRAINED_CLASSES if state is None else _classes(spec, image_size, state)
    network = spec.create(image_size, num_classes=classes)
    if state is not None:
        try:
            transplant(state, network, ())
        except RuntimeError as error:
            raise ValueError(f"model.checkpoint={file}: {error}" if file else str(error)) from error
    backbone = Backbone(
        network, taps, num_classes=classes, image_size=image_size, mean=spec.mean, std=spec.std
    )
    return TrainedClassifier(backbone.eval(), notice)


def _of_file(spec: NetworkSpec, image_size: int, file: Path) -> tuple[dict[str, Tensor], str]:
    from unseen.backbones.files import network_tensors
    from unseen.wording import count, listing

    state, outside = network_tensors(spec.create(image_size, num_classes=2), file)
    left_out = f"{count(len(outside), 'tensor')} of other parts left out ({listing(outside, shown=3)})"
    return state, f"weights of {file.name}: {left_out}" if outside else ""


def _classes(spec: NetworkSpec, image_size: int, state: Mapping[str, Tensor]) -> int:
    """Return how many classes weights are of: the size of the tensors that grow with the number of classes."""
    import torch

    with torch.device(spec.traced_on):
        two, three = (spec.create(image_size, num_classes=number).state_dict() for number in (2, 3))
    for name, tensor in two.items():
        for axis, (size, larger) in enumerate(zip(tensor.shape, three[name].shape, strict=True)):
            if size != larger and name in state and state[name].ndim == tensor.ndim:
                return int(state[name].shape[axis])
    raise ValueError(
        f"the weights of {spec.shown} hold no head, so it is no classifier and cannot be measured as one; load weights "
        "with a head (model.checkpoint=FILE), or a network of the main job (ckpt_path=)"
    )
