"""What `biases.py` measures: the network as a classifier, the sets of images, and the measures.

Legend: B batch, N images, S image size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from unseen.biases.measure import Batch, Classifier, Measure
from unseen.run_state import read_summary
from unseen.runs.checkpoints import Checkpoint
from unseen.runs.objects import check_object, make
from unseen.runs.provenance import trained_before, training_of
from unseen.wording import listing, suggestion

if TYPE_CHECKING:
    import torch

    from unseen.backbones.protocol import Backbone
    from unseen.data.datamodule import SeenUnseenDataModule
    from unseen.image_sets.decisions import Decision
    from unseen.image_sets.image_set import ImageSet

IMAGENET_SIZE = 224
OWN_IMAGES = "own_test_images"  # the name of the set
# what measures that need any images are taken on: the first alone, or else the others
_CLEAN = ("imagenet", "silhouettes", "samples")
_OF_THE_RUN = ("g", "best_layer", "seen_accuracy")


@dataclass(frozen=True)
class Network:
    """A network to be measured.

    Attributes:
        backbone: In eval mode, on its device.
        device: Where it computes.
        channels_last: Memory order of its images.
        generalization: g, best layer and seen accuracy of the run that a checkpoint is from, and how it was trained;
            empty for others.
    """

    backbone: Backbone
    device: torch.device
    channels_last: bool
    generalization: dict[str, Any]

    def classifier(self, decision: Decision) -> Classifier:
        """Return images (B, 3, S, S) in [0, 1] to scores of the classes of a set of images, normalised inside."""
        import torch

        shape = (1, 3, 1, 1)
        mean, std = (
            torch.tensor(values, device=self.device).reshape(shape)
            for values in (self.backbone.mean, self.backbone.std)
        )

        def classify(images: torch.Tensor) -> torch.Tensor:
            inputs = (images - mean) / std
            if self.channels_last:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            return decision(self.backbone(inputs))

        return classify

    def fingerprint(self) -> str:
        """Return a hash of the weights and of what is done to the images."""
        import torch

        digest = hashlib.sha256(repr((self.backbone.mean, self.backbone.std)).encode())
        for name, tensor in self.backbone.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Task:
    """One measure on one set of images."""

    name: str  # of the measure's node in the configuration
    measure: Measure
    images: ImageSet

    @property
    def label(self) -> str:
        """A name that is a file name, too."""
        return f"{self.name}@{self.images.name}"

    @property
    def cost(self) -> int:
        """Forward passes."""
        return self.measure.passes * len(self.images)

    def identity(self, network: str) -> str:
        """Return a hash of all that the numbers depend on; `network` is its fingerprint."""
        parts = [network, self.images.fingerprint(), repr(self.measure)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]

    def batches(self, first: int, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """Yield the images from number `first` on."""
        import torch

        accepted = torch.from_numpy(self.images.accepted)
        textures = None if self.images.textures is None else torch.from_numpy(self.images.textures)
        for start in range(first, len(self.images), batch_size):
            numbers = range(start, min(start + batch_size, len(self.images)))
            some = slice(numbers.start, numbers.stop)
            yield Batch(
                self.images.read(numbers).to(device).float() / 255,
                accepted[some].to(device),
                torch.arange(numbers.start, numbers.stop),
                None if textures is None else textures[some].to(device),
            )


def device_of(accelerator: str) -> torch.device:
    """Return the device that `trainer.accelerator` names.

    Raises:
        ValueError: There is no such kind, or none on this machine.
    """
    import torch

    wanted = {"cpu": ["cpu"], "gpu": ["cuda", "mps"], "cuda": ["cuda"], "mps": ["mps"]}
    wanted["auto"] = [*wanted["gpu"], "cpu"]
    if accelerator not in wanted:
        raise ValueError(f"trainer.accelerator={accelerator} is not one of {', '.join(sorted(wanted))}")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    for kind in wanted[accelerator]:
        if there[kind]:
            return torch.device(kind)
    raise ValueError(f"trainer.accelerator={accelerator}: torch sees none on this machine; use trainer=cpu")


def network_of_settings(plain: dict[str, Any], device: torch.device) -> tuple[Network, str]:
    """Return the network of the model group with the head of its weights, and what to tell of them.

    Raises:
        ValueError: One sentence.
    """
    from unseen.backbones.spec import NetworkSpec
    from unseen.backbones.trained_head import trained_classifier

    file = plain["model"].get("checkpoint")
    spec = make(plain["model"]["backbone"], "model.backbone", NetworkSpec)
    backbone, notice = trained_classifier(spec, IMAGENET_SIZE, Path(file).expanduser() if file else None)
    return _placed(backbone, device, plain["model"]["channels_last"], {}), notice


def network_of_checkpoint(
    checkpoint: Checkpoint, plain: dict[str, Any], device: torch.device, trust: Collection[str]
) -> Network:
    """Return the network of a checkpoint of the main job, with what its run found.

    Args:
        checkpoint: As `read_checkpoint` returns it.
        plain: All settings.
        device: Where it computes.
        trust: Classes of the user's own that the configuration names.

    Raises:
        ValueError: One sentence.
    """
    from unseen.runs.embed import network_of

    backbone = network_of(checkpoint, trust)
    summary = read_summary(checkpoint.path.resolve().parent.parent)
    found: dict[str, Any] = {"trained": training_of(checkpoint)}
    if summary.get("steps") == checkpoint.at[0]:  # else the scores are of another state of the network
        found |= {name: summary[name] for name in _OF_THE_RUN if summary.get(name) is not None}
    return _placed(backbone, device, plain["model"]["channels_last"], found)


def _placed(
    backbone: Backbone, device: torch.device, order: bool | Literal["auto"], found: dict[str, Any]
) -> Network:
    import torch

    from unseen.backbones.protocol import prefers_channels_last

    channels_last = prefers_channels_last(backbone) if order == "auto" else order
    backbone = backbone.to(device).requires_grad_(False).eval()
    if channels_last:
        backbone = backbone.to(memory_format=torch.channels_last)
    return Network(backbone, device, channels_last, found)


# ------------------------------------------------------------------ images
def own_test_images(datamodule: SeenUnseenDataModule, checkpoint: Checkpoint) -> ImageSet:
    """Return the seen test images of a run, as its evaluation shows them to the network.

    Args:
        datamodule: Set up.
        checkpoint: Of the network; the labels are the first of its outputs.

    Raises:
        ValueError: The images are no test of the network: other classes, or images that it was trained on.
    """
    trained, now = (split["seen"] for split in (checkpoint.made_by["split"], datamodule.split.to_dict()))
    if trained != now:
        raise ValueError(
            f"the network was trained on other classes ({listing(trained, 5)}) than those of the images "
            f"({listing(now, 5)}); leave out what was typed of data="
        )
    if known := trained_before(checkpoint, datamodule.references("seen")):
        raise ValueError(
            f"{known:,} of the images were trained on, by their names, so they are no test: files were added, or "
            "the data are divided in another way"
        )
    outputs = checkpoint.made_by["num_classes"]
    from unseen.image_sets.decisions import AllClasses
    from unseen.image_sets.image_set import ImageSet

    pictures = TestPictures(datamodule, range(datamodule.num_images("seen")))
    labels = datamodule.test_labels().numpy()[:, None]
    return ImageSet(OWN_IMAGES, OWN_IMAGES, None, pictures, labels, AllClasses(outputs))


@dataclass(frozen=True, eq=False)
class TestPictures:
    """Seen test images of a run; see `unseen.image_sets.pictures.Pictures`."""

    __test__ = False  # no test of pytest's

    datamodule: SeenUnseenDataModule
    numbers: Sequence[int]

    @property
    def size(self) -> int:
        """S."""
        return self.datamodule.image_size

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, numbers: Sequence[int]) -> torch.Tensor:
        """Return images by number, (B, 3, S, S) uint8."""
        import torch

        return self.datamodule.test_images(torch.tensor([self.numbers[number] for number in numbers]))

    def only(self, numbers: Sequence[int]) -> TestPictures:
        """Return some of the images, numbered anew."""
        return TestPictures(self.datamodule, [self.numbers[number] for number in numbers])

    def names(self) -> Sequence[str]:
        """Return what the source calls them."""
        references = self.datamodule.references("seen")
        return [references[number] for number in self.numbers]

    def stamps(self) -> list[str]:
        """Return what, beside its name, an image depends on."""
        return [self.datamodule.test_identity()] * len(self)


# ------------------------------------------------------------------ measures
def measures_of(plain: dict[str, Any]) -> dict[str, Measure]:
    """Return the measures that the configuration names.

    Raises:
        ValueError: One of them cannot be made, or there is none.
    """
    nodes = {name: node for name, node in plain["measures"].items() if node is not None}
    for name, node in nodes.items():
        check_object(node, f"measures.{name}")
    made = {
        name: make(node, f"measures.{name}", methods=("columns", "passes", "observe", "values"))
        for name, node in nodes.items()
    }
    if not made and not plain["benchmark"]:
        raise ValueError("there is nothing to measure: choose measures=[shape_bias] or a benchmark")
    return made


def tasks_of(
    measures: dict[str, Measure], sets: dict[str, ImageSet], chosen: Sequence[str] | None
) -> tuple[list[Task], dict[str, str]]:
    """Return what to measure on which images, cheap measures first, and why some measures are left out.

    The accuracy is measured on every set.

    Args:
        measures: By name.
        sets: The sets of images that are there, by name.
        chosen: Sets for the measures that take any images; None: the own test images, or the clean ones of benchmarks.

    Raises:
        ValueError: A set was chosen that is not there.
    """
    from unseen.biases.accuracy import Accuracy

    for name in chosen or ():
        if name not in sets:
            there = f"there are {listing(list(sets))}" if sets else "there is none on this machine"
            raise ValueError(f"images={name} is not a set of images{suggestion(name, sets)}; {there}")
    clean = list(chosen) if chosen is not None else _clean(sets)
    tasks = [Task("accuracy", Accuracy(), images) for images in sets.values()]
    left_out: dict[str, str] = {}
    for name, measure in measures.items():
        if measure.needs_textures:
            suitable = [images for images in sets.values() if images.textures is not None]
            reason = "it needs cue-conflict images, and no set of these is there"
        else:
            suitable = [sets[one] for one in clean]
            reason = "no set of clean images is there"
        tasks += [Task(name, _fitted(measure, images.pictures.size), images) for images in suitable]
        if not suitable:
            left_out[name] = reason
    return sorted(tasks, key=lambda task: task.cost), left_out


def _fitted(measure: Measure, size: int) -> Measure:
    """Return a measure whose conditions depend on the side of the images for images of this side."""
    if not hasattr(measure, "image_size"):
        return measure
    return replace(measure, image_size=size)  # type: ignore[type-var]  # a dataclass


def _clean(sets: dict[str, ImageSet]) -> list[str]:
    if OWN_IMAGES in sets:
        return [OWN_IMAGES]
    there = [name for name in _CLEAN if name in sets]
    return there[:1] if there[:1] == ["imagenet"] else there


def suitable_sets(sets: dict[str, ImageSet], outputs: int) -> tuple[dict[str, ImageSet], dict[str, str]]:
    """Return the sets whose classes a network with so many outputs can name, and why not for the others."""
    kept, refused = {}, {}
    for name, images in sets.items():
        try:
            images.decision.check(outputs)
            kept[name] = images
        except ValueError as error:
            refused[name] = str(error)
    return kept, refused
