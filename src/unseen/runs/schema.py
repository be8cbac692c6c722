"""Checks of a composed configuration before torch is loaded: types, ranges, and no key that nothing reads."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Collection, Iterator
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from pydantic import ConfigDict, TypeAdapter, ValidationError

from unseen.backbones.timm import FILE_OF_WEIGHTS
from unseen.probe_table import SETTINGS
from unseen.selector_table import chosen
from unseen.settings import OF_BIASES, OF_TRANSFER, OPTIONAL, SIZES, TABLE, value_at

Place = tuple[str, ...]  # a path of keys

# Arguments that the program sets, and what a user sets instead.
_SET_BY_PROGRAM = {
    "trainer.check_val_every_n_epoch": "trainer.val_check_interval (1.0: every epoch)",
    "trainer.logger": "the group logger, such as logger=wandb or logger=none",
    "trainer.callbacks": "the group callbacks, such as callbacks.best_checkpoint=null",
    "trainer.enable_progress_bar": "nothing: the program's own bar is shown on a terminal only",
    "trainer.num_sanity_val_steps": "probe.at_start: step 0 is a full evaluation",
    "trainer.inference_mode": "nothing: probes read tensors",
    "trainer.use_distributed_sampler": "nothing: the program's own samplers are exact",
    "trainer.enable_model_summary": "nothing",
    "trainer.enable_checkpointing": "callbacks.last_checkpoint=null or callbacks.best_checkpoint=null",
    "trainer.default_root_dir": "hydra.run.dir",
    "trainer.barebones": "debug=tiny",
    "model.optimizer.params": "nothing",
    "model.scheduler.optimizer": "nothing",
    "model.tuning.backbone": "nothing",
    "model.scheduler.total_steps": "model.scheduler.epochs",
    "trainer.reload_dataloaders_every_n_epochs": "nothing: each epoch has an order of its own",
    "callbacks.layer_probe.suite": ", ".join(f"probe.{name}" for name in SETTINGS),
    "callbacks.layer_probe.run_folder": "hydra.run.dir",
    "callbacks.layer_probe.noise_levels": "probe.noise_levels",
    "callbacks.layer_probe.save_embeddings": "probe.save_embeddings",
    "callbacks.layer_probe.ensembles": "probe.ensembles",
    "callbacks.layer_probe.on_phase": "nothing",
    "callbacks.layer_probe.at": "nothing",
}
_PARTIAL = (
    "trainer.fast_dev_run",
    "trainer.overfit_batches",
    "trainer.limit_val_batches",
    "trainer.limit_test_batches",
    "trainer.limit_predict_batches",
)
_TYPED_OVER = "epochs"  # of all sizes; model.schedule_epochs reads it unless something else was typed there
# Further keys of these are arguments of the object, which `check_objects` knows.
OBJECTS = ("trainer", "model.optimizer", "model.scheduler")


def check_settings(plain: dict[str, Any], read: Collection[Place] = ()) -> None:
    """Check a resolved configuration.

    Args:
        plain: Plain containers.
        read: Places that may be there although they are not in the table of settings: see `read_places`.

    Raises:
        ValueError: One sentence that names each wrong setting, its value and what is allowed.
    """
    checkpoint_path(plain.get("ckpt_path"))
    _check_not_ours(plain)
    if wrong := list(_wrong(plain, read, plain)):
        raise ValueError("; ".join(wrong))
    if plain["trainer"]["max_steps"] == -1 and plain["trainer"]["max_epochs"] is None:
        raise ValueError("trainer.max_steps=-1 has no end: give trainer.max_epochs, or a number of steps")
    pooling = (plain["callbacks"].get("layer_probe") or {}).get("pooling", plain["model"]["pooling"])
    if pooling != plain["model"]["pooling"]:
        raise ValueError(f"callbacks.layer_probe.pooling={pooling} is not what counts; set model.pooling")
    for selector in chosen((plain.get("probe") or {}).get("selectors", "none")):
        if selector.needs and find_spec(selector.needs) is None:
            raise ValueError(
                f"probe.selectors has {selector.name}, which needs a package that is not installed: "
                f"pip install 'unseen[{selector.needs}]', or leave it out"
            )
    sizes = plain["model"].get("sizes") or {}
    known = plain["model"]["backbone"].keys() | (
        {_TYPED_OVER} if all(_TYPED_OVER in size for size in sizes.values()) else set()
    )
    for place in (("model", "sizes", size, key) for size, settings in sizes.items() for key in settings):
        if place[2] not in SIZES or (place[3] not in known and not is_read(place, read)):
            raise ValueError(_unread(plain, place))


def check_job(config: DictConfig) -> dict[str, Any]:
    """Check a composed job of a sweep before any job of it starts; return its settings, resolved.

    Raises:
        ValueError: One sentence.
        OmegaConfBaseException: A value that cannot be resolved.
    """
    config = copy.deepcopy(config)
    with open_dict(config):
        hydra = config.pop("hydra", None)
        config.paths.output_dir = "<run folder>"  # Hydra knows it when the job runs
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    check_settings(plain, read_places(config, OmegaConf.create({"hydra": hydra})))
    checkpoint = checkpoint_path(plain["ckpt_path"])
    # biases.py takes run folders
    if checkpoint is not None and not checkpoint.is_file() and "measures" not in plain:
        raise ValueError(f"ckpt_path={checkpoint} {no_checkpoint(checkpoint)}")
    return plain


def no_checkpoint(path: Path) -> str:
    """Return what is wrong with a path that is no file; of a run's folder with its checkpoint."""
    inside = next(
        (one for one in (path / "checkpoints/last.ckpt", path / "last.ckpt") if one.is_file()), None
    )
    return f"is not a file{f' (did you mean {inside}?)' if inside else ''}"


def checkpoint_path(typed: Any) -> Path | None:
    """Return the checkpoint that was typed, None for none.

    Raises:
        ValueError: It is no path. An empty text, such as an unset variable, does not count as none.
    """
    if typed is None:
        return None
    if not isinstance(typed, str) or not typed.strip() or "\0" in typed:
        raise ValueError(f"ckpt_path={typed!r} is not a path; leave ckpt_path out for none")
    return Path(typed).expanduser()


def nearest(config: dict[str, Any], place: Place, typed: Place = ()) -> str:
    """Return ' (did you mean X?)' for a key that is not known, else ''.

    A key whose path ends as the typed one is nearest, then one of that very name elsewhere, then a similar one beside
    it, then a similar one elsewhere.

    Args:
        config: All settings.
        place: The first key on the typed path that is not known.
        typed: The typed path; empty: `place`.

    >>> config = {"model": {"optimizer": {"lr": 1, "eps": 2}}, "logger": {}}
    >>> nearest(config, ("lr",)), nearest(config, ("optimizer",), ("optimizer", "lr"))
    (' (did you mean model.optimizer.lr?)', ' (did you mean model.optimizer.lr?)')
    """

    def likeness(path: Place) -> float:
        if path[-len(typed) :] == typed != ():
            return 4 - len(path) / 100
        if path[-1] == place[-1]:
            return 3 - len(path) / 100
        ratio = SequenceMatcher(None, path[-1].lower(), place[-1].lower()).ratio()
        beside = path[:-1] == place[:-1]
        return ratio + beside if ratio >= (0.6 if beside else 0.8) else 0

    best = max((path for path in _known(config) if path != place), key=likeness, default=())
    return f" (did you mean {'.'.join(best)}?)" if best and likeness(best) else ""


# -------------------------------------------------------------------------------- what interpolations read
def read_places(*configs: Any) -> frozenset[Place]:
    """Return the places that the interpolations of configurations point to; a key may be a pattern, `*`.

    >>> config = {"size": "demo", "a": {"taps": "${..sizes.${size}.taps}"}}
    >>> sorted(read_places(OmegaConf.create(config)))
    [('size',), ('sizes', '*', 'taps')]
    """
    return frozenset(
        place
        for config in configs
        for place in _references(OmegaConf.to_container(config, resolve=False), ())
    )


def is_read(place: Place, read: Collection[Place]) -> bool:
    """Whether the place, something in it, or something that it is in is read."""
    return any(all(map(fnmatchcase, place, known)) for known in read)


_INNERMOST = re.compile(r"\$\{([^${}]*)\}")
_RESOLVER = re.compile(r"\s*[A-Za-z_][\w.]*\s*:")


def _references(node: Any, place: Place) -> Iterator[Place]:
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _references(value, (*place, str(key)))
    elif isinstance(node, str):
        while found := _INNERMOST.search(node):
            if not _RESOLVER.match(found[1]):
                yield _absolute(found[1].strip(), place)
            node = f"{node[: found.start()]}*{node[found.end() :]}"


def _absolute(reference: str, place: Place) -> Place:
    """Return the place that a reference in the value at `place` names; each leading dot goes up by one."""
    path = reference.lstrip(".")
    dots = len(reference) - len(path)
    keys = tuple(key for key in path.replace("[", ".").replace("]", "").split(".") if key)
    return (*place[: len(place) - dots], *keys) if dots else keys


# -------------------------------------------------------------------------------- sentences
def never_typed(name: str, value: str = "") -> str | None:
    """Return why an argument that an object would take is refused, None for others."""
    if name in _PARTIAL:
        return (
            f"{name}{value} would leave images out of the evaluation: the probes need every test image; to see quickly "
            "that all works use debug=fdr, data.test_size or data.unseen_per_class"
        )
    instead = _SET_BY_PROGRAM.get(name)
    return f"{name} is set by the program and cannot be typed; use {instead}" if instead else None


def _check_not_ours(plain: dict[str, Any]) -> None:
    """Refuse arguments that the program sets, or with which probing would be partial."""
    for name in (*_PARTIAL, *_SET_BY_PROGRAM):
        *parents, key = name.split(".")
        node = value_at(plain, tuple(parents))
        if isinstance(node, dict) and key in node:
            raise ValueError(never_typed(name, f"={node[key]}" if name in _PARTIAL else ""))
    backbone = value_at(plain, ("model", "backbone"))
    if isinstance(backbone, dict) and "checkpoint_path" in backbone:
        raise ValueError(f"model.backbone.checkpoint_path is not a setting; {FILE_OF_WEIGHTS}")


_CHILDREN: dict[Place, dict[str, None]] = {}  # known keys of each group
for _name in TABLE:
    _parts = tuple(_name.split("."))
    for _depth, _key in enumerate(_parts):
        _CHILDREN.setdefault(_parts[:_depth], {})[_key] = None


def _wrong(plain: dict[str, Any], read: Collection[Place], node: Any, place: Place = ()) -> Iterator[str]:
    """Yield a sentence on each value of a wrong type or outside its range, each missing one, and each unread key."""
    name = ".".join(place)
    if name in TABLE or name in _further(plain):
        for inner, messages in _complaints(name, node).items():
            yield f"{'.'.join((name, *inner))}={_shown(value_at(node, inner))} {' or '.join(dict.fromkeys(messages))}"
    elif place in _CHILDREN and isinstance(node, dict):
        for key in (key for key in _CHILDREN[place] if key not in node):
            if not (missing := ".".join((*place, key))).startswith(OPTIONAL):
                yield f"{missing} is missing"
        for key, value in node.items():
            yield from _wrong(plain, read, value, (*place, str(key)))
    elif place in _CHILDREN:
        if node is not None or not name.startswith(OPTIONAL):
            yield f"{name}={_shown(node)} must be a group of settings"
    elif (
        ".".join(place[:-1]) not in OBJECTS
        and not is_read(place, read)
        and not _given_to_an_object(plain, place)
    ):
        yield _unread(plain, place)


def _further(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the settings beside the common ones of the command whose configuration this is."""
    return next((more for more in (OF_BIASES, OF_TRANSFER) if more.keys() <= plain.keys()), {})


@functools.cache
def _type(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(
        (TABLE | OF_TRANSFER | OF_BIASES)[name][0], config=ConfigDict(strict=True, allow_inf_nan=False)
    )


def _complaints(name: str, value: Any) -> dict[Place, list[str]]:
    """Return what is wrong with a value, or with the values in it if it is a dictionary, by their keys."""
    found: dict[Place, list[str]] = {}
    try:
        _type(name).validate_python(value)
    except ValidationError as error:
        for item in error.errors():
            inner = tuple(str(key) for key in item["loc"][:1] if isinstance(value, dict) and key in value)
            message = item["msg"].removeprefix("Input ").replace("String should", "must")
            found.setdefault(inner, []).append(message.replace("should be", "must be"))
    return found


def _unread(plain: dict[str, Any], place: Place) -> str:
    return f"{'.'.join(place)} is not a setting: nothing reads it{nearest(plain, place)}"


def _known(node: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the places of all keys but those that only serve others (sizes) or describe objects (_target_)."""
    if isinstance(node, dict):
        for key, value in node.items():
            if str(key).startswith("_") or str(key) in {"sizes", "recipe", "image_sizes", "hydra", "paths"}:
                continue
            yield (*place, str(key))
            yield from _known(value, (*place, str(key)))


def _given_to_an_object(plain: dict[str, Any], place: Place) -> bool:
    """Whether the object of the group takes this key (data.dataset stands for data.source.dataset)."""
    if len(place) != 2 or place[1].startswith("_"):
        return False
    inner = plain[place[0]].get({"data": "source", "model": "backbone"}.get(place[0]))
    return isinstance(inner, dict) and place[1] in inner


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:150]}… ({len(text)} characters)"
