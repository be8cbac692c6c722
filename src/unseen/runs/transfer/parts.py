"""What `transfer.py` works with: the encoder, the task and the other ones, their captions.

Legend: C classes, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unseen.runs.objects import make
from unseen.runs.trainer import processes_to_fit
from unseen.wording import suggestion

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unseen.data.catalog import ImageSource
    from unseen.data.selection import SelectionRule
    from unseen.data.tasks import Task
    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.encoders.prompts import Prompts


@dataclass(frozen=True, eq=False)
class Captioned:
    """A task with the captions of its classes.

    Attributes:
        task: Its images.
        prompts: Templates, and the C names of the classes.
    """

    task: Task
    prompts: Prompts

    @property
    def names(self) -> list[str]:
        """What stands for each of the C classes in captions."""
        return self.prompts.named(self.task.classes)

    def embeddings(self, encoder: Encoder) -> Tensor:
        """Return an embedding of each class as the encoder stands, (C, D); gradients pass."""
        from unseen.encoders.zero_shot import class_embeddings

        return class_embeddings(encoder, self.prompts.captions(self.task.classes))

    def embeddings_in_training(self, encoder: Encoder) -> Callable[[], Tensor]:
        """Return what gives `embeddings` as the encoder stands; a text tower that is frozen runs once, now."""
        from unseen.encoders.zero_shot import class_embeddings, kept_text_features

        captions = self.prompts.captions(self.task.classes)
        return partial(class_embeddings, encoder, captions, kept_text_features(encoder, captions))

    def trains_image_tower(self, encoder: Encoder, device: torch.device) -> bool:
        """Return whether features of images change when what requires gradients is trained."""
        from unseen.encoders.image_features import trains_image_tower

        images, _ = next(self.task.batches(self.task.train, 1, device))
        return trains_image_tower(encoder, images)

    def right(self, encoder: Encoder, features: ImageFeatures) -> Tensor:
        """Return which test images the encoder, in eval mode, names right as it stands, (N,) bool."""
        import torch

        from unseen.encoders.zero_shot import right_decisions

        with torch.no_grad():
            texts = self.embeddings(encoder)
        return right_decisions(encoder, features, texts)


def settings_of_others(
    task: str,
    others: Sequence[str | Mapping[str, Mapping[str, Any]]],
    compose: Callable[[str], dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return the settings of the other data sets, by name.

    Args:
        task: Name of the task's own data set.
        others: Names of files of the group, or such names with settings that differ from the file's: {digits:
            {test_size: 100}}. One of the task's name is left out.
        compose: Gives the settings of a file.

    Raises:
        ValueError: A setting that the file has not.
    """
    changes = [
        change for one in others for change in (((one, {}),) if isinstance(one, str) else tuple(one.items()))
    ]
    found: dict[str, dict[str, Any]] = {}
    for name, changed in changes:
        settings = compose(name)
        for key, value in changed.items():
            if key not in settings:
                raise ValueError(
                    f"others.{name}.{key} is not a setting of data={name}{suggestion(str(key), list(settings))}"
                )
            settings[key] = value
            if isinstance(settings.get("source"), dict) and key in settings["source"]:
                settings["source"][key] = value
        if settings["name"] in found:
            raise ValueError(
                f"others has two tasks called {settings['name']}; give one another name: {{{name}: {{name: ...}}}}"
            )
        if settings["name"] != task:  # a sweep over tasks may name all of them
            found[settings["name"]] = settings
    return found


def task_of(
    data: dict[str, Any], encoder: Encoder, plain: dict[str, Any], *, captions: Mapping[str, Any]
) -> Captioned:
    """Return a task, its images decoded, with the captions of its classes.

    Args:
        data: Settings of the data set.
        encoder: Says the size of the images and how they are normalised.
        plain: All settings.
        captions: Has `templates` and `class_names`; None: the published ones of the data set, else a general one and
            the names of its classes.

    Raises:
        ValueError: One sentence.
    """
    from unseen.data.canvas_cache import CanvasCache
    from unseen.data.tasks import load_task

    source, rule = _images_of(data)
    limit = data["cache_gb"] * 2**30
    folder = Path(plain["paths"]["data_dir"]).expanduser() / "cache"
    task = load_task(
        data["name"],
        source,
        encoder.image_size,
        mean=encoder.mean,
        std=encoder.std,
        rule=rule,
        limit=plain["limit"],
        cache=CanvasCache(folder, limit, processes_to_fit(plain["trainer"])) if limit > 0 else None,
        skip_bad=data["skip_bad"],
    )
    prompts = prompts_of(data["name"], captions)
    prompts.captions(task.classes)  # refuses names that do not fit
    return Captioned(task, prompts)


def check_tasks(plain: dict[str, Any], others: Mapping[str, dict[str, Any]]) -> None:
    """Refuse, before an encoder is loaded, what can be known to be impossible; downloads nothing.

    Args:
        plain: All settings, of which `data` are those of the task.
        others: Settings of the other data sets, by name.

    Raises:
        ValueError: One sentence.
    """
    _check_task(plain["data"], plain, plain["limit"])
    for name, settings in others.items():
        try:
            _check_task(settings, settings, plain["limit"])
        except (ValueError, OSError) as error:
            raise ValueError(f"others.{name}: {error}") from error


def _check_task(data: dict[str, Any], captions: Mapping[str, Any], limit: int | None) -> None:
    from unseen.data.tasks import AllSeen, limited

    source, rule = _images_of(data)
    source.check()
    prompts, counts = prompts_of(data["name"], captions), source.known_counts()
    if counts is not None:
        split = AllSeen.of(tuple(counts), rule.seed)
        limited(rule, counts, split, limit)
        prompts.captions(split.seen_names)


def _images_of(data: dict[str, Any]) -> tuple[ImageSource, SelectionRule]:
    """Return where the images of a data set are, and which of them are taken."""
    from unseen.data.selection import SelectionRule

    source: ImageSource = make(data["source"], "data.source", methods=("check", "list", "read"))
    rule = SelectionRule(
        train_size=data["train_size"],
        test_size=data["test_size"],
        test_fraction=data["test_fraction"],
        stratified=data["stratified"],
        seed=data["split_seed"],
        draws_classes=True,  # a seed that draws no images is no mistake here
    )
    return source, rule


def prompts_of(name: str, captions: Mapping[str, Any]) -> Prompts:
    """Return the captions that were typed; what was not typed is as published for the data set, else general."""
    from unseen.encoders.prompts import Prompts, published

    known = published(name) or Prompts()
    templates, names = captions["templates"], captions["class_names"]
    if isinstance(names, Mapping):
        names = {str(of_class): name for of_class, name in names.items()}  # classes may be numbers
    return Prompts(
        known.templates if templates is None else templates, known.names if names is None else names
    )
