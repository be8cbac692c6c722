"""Captions of classes: templates and class names as published for a data set, or one's own.

Legend: C classes, P captions of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from unseen.encoders.published_names import EUROSAT, GTSRB, imagenet
from unseen.wording import count, listing, suggestion

PLACE = "{c}"
PHOTO = "a photo of a {c}"
NUMBER = 'a photo of the number: "{c}"'


@dataclass(frozen=True)
class Prompts:
    """How the classes of a data set are said.

    Attributes:
        templates: P captions with `{c}` in the place of the class; several make a prompt ensemble.
        names: What stands there: a list in the order of the classes, or a mapping from each class of the data set to
            its name; None: the classes as the data set calls them.

    Raises:
        ValueError: One sentence: no template, or one without `{c}`.

    >>> Prompts(["a photo of a {c}", "a sketch of a {c}"], names={"n02123045": "tabby"}).captions(["n02123045"])
    [['a photo of a tabby', 'a sketch of a tabby']]
    """

    templates: Sequence[str] = (PHOTO,)
    names: Sequence[str] | Mapping[str, str] | Callable[[str], str] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.templates, str) or not self.templates:
            raise ValueError(f"templates={self.templates!r} must be a list of captions such as [{PHOTO!r}]")
        for template in self.templates:
            if not isinstance(template, str) or PLACE not in template:
                raise ValueError(
                    f"templates has {template!r} without {PLACE}, which stands for the class: write {PHOTO!r}"
                )

    def captions(self, classes: Sequence[str]) -> list[list[str]]:
        """Return P captions of each of C classes, in their order.

        Raises:
            ValueError: One sentence: a class without a name, or a name without a class.
        """
        return [
            [template.replace(PLACE, name) for template in self.templates] for name in self.named(classes)
        ]

    def named(self, classes: Sequence[str]) -> list[str]:
        """Return what stands for each of C classes in captions, in their order.

        Raises:
            ValueError: As `captions`.
        """
        if self.names is None:
            named = [str(of_class) for of_class in classes]
        elif callable(self.names):
            named = [self.names(of_class) for of_class in classes]
        elif isinstance(self.names, Mapping):
            named = _mapped(self.names, classes)
        else:
            named = _in_order(self.names, classes)
        for of_class, name in zip(classes, named, strict=True):
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f"class_names has {name!r} for the class {of_class!r}; write a text")
        return named


def published(dataset: str) -> Prompts | None:
    """Return template and class names of the study of the Inter-Intra Modal Measure; None: the data set is not in it.

    Niss et al., arXiv 2407.15731, as in the authors' code. Classes are expected as torchvision (FMoW: WILDS; RESISC45
    and ImageNet: the folders) calls them; ImageNet's classes of other names keep them.

    Args:
        dataset: Such as `CIFAR100`; case, hyphens and underscores do not matter. `digits` is said as MNIST.
    """
    return _PUBLISHED.get(dataset.lower().replace("-", "").replace("_", ""))


def _mapped(names: Mapping[str, str], classes: Sequence[str]) -> list[str]:
    missing = [of_class for of_class in classes if of_class not in names]
    if missing:
        raise ValueError(f"class_names has no name for {listing(missing)}")
    other = [name for name in names if name not in set(classes)]
    if other:
        raise ValueError(
            f"class_names has {listing(other)}, which the data set does not have{suggestion(other[0], classes)}"
        )
    return [names[of_class] for of_class in classes]


def _in_order(names: Sequence[str], classes: Sequence[str]) -> list[str]:
    if isinstance(names, str):
        raise ValueError(f"class_names={names!r} must be a list of names, or a mapping from class to name")
    if len(names) != len(classes):
        what = "more names than classes" if len(names) > len(classes) else "too few names"
        raise ValueError(
            f"class_names has {what}: {count(len(names), 'name')} for {count(len(classes), 'class', 'classes')}"
        )
    return list(names)


def _spaced(name: str) -> str:
    return name.replace("_", " ").replace("/", " ")


def _fmow(name: str) -> str:
    return name if name == "race_track" else _spaced(name)  # the one that keeps it in the authors' list


def _imagenet(name: str) -> str:
    return imagenet().get(name, name)


_PUBLISHED = {
    "cars": Prompts([PHOTO], _spaced),
    "stanfordcars": Prompts([PHOTO], _spaced),
    "cifar100": Prompts([PHOTO]),  # with its underscores, as in the authors' code
    "dtd": Prompts(["a photo of a {c} texture"]),
    "eurosat": Prompts(["a centered satellite photo of a {c}"], EUROSAT),
    "fmow": Prompts(["a satellite image of a {c}"], _fmow),
    "gtsrb": Prompts(['a photo of a "{c}" traffic sign'], GTSRB),
    "imagenet": Prompts([PHOTO], _imagenet),
    "imagenetv2": Prompts([PHOTO], _imagenet),
    "imagenetsketch": Prompts([PHOTO], _imagenet),
    "imagenetr": Prompts([PHOTO], _imagenet),
    "imageneta": Prompts([PHOTO], _imagenet),
    "mnist": Prompts([NUMBER], [str(digit) for digit in range(10)]),
    "svhn": Prompts([NUMBER], [str(digit) for digit in range(10)]),
    "digits": Prompts([NUMBER], [str(digit) for digit in range(10)]),
    "resisc45": Prompts(["satellite imagery of {c}"], _spaced),
    "stl10": Prompts([PHOTO]),
    "sun397": Prompts([PHOTO], _spaced),
}
