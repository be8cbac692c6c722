"""Which classes a checkpoint may name: a file may come from anybody, and nothing in it may choose code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from unseen.runs.checkpoints import TRAINING_PARTS, Checkpoint, short

_TUNINGS = ("full", "head", "last_n", "bitfit", "attention", "lora", "adapter")
# Classes that a file may name. Others must be named by the configuration of the command.
KNOWN_CLASSES = frozenset(
    {
        "unseen.backbones.module.ModuleSpec",
        "unseen.backbones.timm.TimmSpec",
        "unseen.backbones.torchvision.TorchvisionSpec",
        "unseen.backbones.transformers.TransformersSpec",
        *(f"unseen.backbones.tuning.{name}" for name in _TUNINGS),
        "unseen.data.sources.calligraphy.Calligraphy",
        "unseen.data.sources.cifar100.Cifar100",
        "unseen.data.sources.csv_table.CsvTable",
        "unseen.data.sources.digits.Digits",
        "unseen.data.sources.faces.Faces",
        "unseen.data.sources.huggingface.HuggingFaceSet",
        "unseen.data.sources.image_folder.ImageFolder",
        "unseen.data.sources.letters.Letters",
        "unseen.data.sources.textile.Textile",
        "unseen.data.sources.texture_vs_shape.TextureVsShape",
        "unseen.data.sources.textures.Textures",
        "unseen.data.sources.torch_dataset.TorchDatasetSource",
        "unseen.data.sources.torchvision_sets.TorchvisionSet",
        "unseen.data.sources.typefaces.Typefaces",
    }
)
# The same for what trains a network, which is made where training goes on.
KNOWN_PARTS = frozenset(
    {
        *(
            f"torch.optim.{name}"
            for name in ("Adam", "AdamW", "SGD", "lr_scheduler.StepLR", "lr_scheduler.OneCycleLR")
        ),
        *(f"timm.optim.{name}" for name in ("Lamb", "Lion")),
        "unseen.training.sharpness.sam",
        *(f"unseen.training.schedule.{name}" for name in ("constant", "cosine", "linear")),
        *(
            f"unseen.training.losses.{name}"
            for name in ("EmbeddingLoss", "FocalLoss", "TrustRegionLoss", "TwoViewLoss")
        ),
        *(f"unseen.biases.training_images.{name}" for name in ("HighPass", "PatchShuffle")),
        "torch.nn.CrossEntropyLoss",
        *(
            f"pytorch_metric_learning.losses.{name}"
            for name in ("SelfSupervisedLoss", "SupConLoss", "VICRegLoss")
        ),
        *(
            f"torchvision.transforms.v2.{name}"
            for name in (
                "ColorJitter",
                "Compose",
                "GaussianBlur",
                "GaussianNoise",
                "RandAugment",
                "RandomApply",
                "RandomGrayscale",
                "RandomHorizontalFlip",
                "RandomResizedCrop",
                "TrivialAugmentWide",
            )
        ),
    }
)
# of `model` and `data`: never made, or looked at by themselves
_CHECKED = (*TRAINING_PARTS, "augment", "backbone", "tuning")


def check_trusted(checkpoint: Checkpoint, plain: dict[str, Any], *, training: bool = False) -> None:
    """Refuse a checkpoint that names a class that is neither ours nor named by the composed configuration `plain`.

    Args:
        checkpoint: To go on from, or to score.
        plain: The composed configuration.
        training: Whether training goes on, for which loss, optimiser, schedule and augmentation are made, too.

    Raises:
        ValueError: One sentence on how to allow the class.
    """
    stored = checkpoint.made_by
    for part, key in (("model", "backbone"), ("model", "tuning"), ("data", "source")):
        if key == "tuning" and not stored[part].get(key):
            continue  # of before there was a choice
        node, composed = stored[part][key], plain[part].get(key) or {}
        if not isinstance(node, dict):
            raise checkpoint.refused(f"is damaged: its {part}.{key} is no group of settings")
        target, typed = node.get("_target_"), composed.get("_target_")
        yourself = f"name it yourself: {part}=<your file in configs/{part}>"
        if not isinstance(target, str) or (target not in KNOWN_CLASSES and target != typed):
            raise checkpoint.refused(
                f"names {part}.{key}._target_={short(target)}, and a file may not choose code; if you know this "
                f"class, {yourself}"
            )
        ways = {"_args_", "_recursive_", *(() if key == "tuning" else ("_partial_",))}
        if node.get("_convert_", "all") != "all" or ways & node.keys():
            raise checkpoint.refused(f"says how to call {part}.{key}, which a file may not")
        places = (f"{part}.{key}", node, composed), (part, stored[part], plain[part])
        for at, found, known in places:
            for name, inner in found.items():
                if (
                    inner is not node
                    and name not in _CHECKED
                    and "_target_" in _texts(inner)
                    and inner != known.get(name)
                ):
                    raise checkpoint.refused(
                        f"names a class in {at}.{name}, and a file may not choose code; if you know it, {yourself}"
                    )
    trained_by = (*(("model", key) for key in TRAINING_PARTS), ("data", "augment")) if training else ()
    for part, key in trained_by:
        node = stored[part].get(key)
        foreign = sorted({str(target) for target in targets(node)} - KNOWN_PARTS)
        ways = {"_args_", "_recursive_", "_convert_"}.intersection(_texts(node))
        if node != plain[part].get(key) and (foreign or ways):
            raise checkpoint.refused(
                f"names {short(', '.join(foreign) or 'a way to call')} in {part}.{key}, and a file may not choose "
                f"code; if you know it, name it yourself: {key}=<your file in configs/{key}>"
            )
    if any("${" in text for part in ("model", "data", "probe") for text in _texts(stored.get(part))):
        raise checkpoint.refused("holds an interpolation ('${'), which a file may not")


def check_network_trusted(checkpoint: Checkpoint, trust: Collection[str]) -> None:
    """Refuse a checkpoint whose network is made of a class that is neither ours nor in `trust`.

    Raises:
        ValueError: One sentence on how to allow the class.
    """
    stored = checkpoint.made_by["model"]
    for target in targets([stored["backbone"], stored.get("tuning")]):
        if target not in KNOWN_CLASSES and target not in trust:
            raise checkpoint.refused(
                f"names the class {short(target)}, and a file may not choose code; if you know this class, add "
                f"trust=[{short(target)}]"
            )
    check_trusted(checkpoint, checkpoint.made_by)


def _texts(value: Any) -> Iterator[str]:
    """Yield all keys and strings of plain containers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _texts(inner)


def targets(value: Any) -> Iterator[Any]:
    """Yield every class that plain containers name."""
    if isinstance(value, dict) and "_target_" in value:
        yield value["_target_"]
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from targets(inner)
