"""What the objects that a configuration names (`_target_`) take, asked of their signatures before they are made."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hydra.utils import get_object, instantiate

from unseen.backbones.timm import FILE_OF_WEIGHTS
from unseen.runs.errors import UserError
from unseen.wording import one_line, suggestion

_HYDRA_KEYS = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "None": (type(None),),
}  # fmt: skip
# Arguments that the program gives itself, and what a user sets instead.
_PROBE_ARGUMENTS = {
    "suite": "probe.n_init, probe.k, probe.seed and probe.standardize",
    "run_folder": "hydra.run.dir",
    "noise_levels": "probe.noise_levels",
    "save_embeddings": "probe.save_embeddings",
    "on_phase": "nothing",
    "at": "nothing",
}
_WHOLE = (
    "the probes need every test image; to see quickly that all works use debug=tiny, data.test_size or "
    "data.unseen_per_class"
)
_TRAINER_ARGUMENTS = {
    "check_val_every_n_epoch": "trainer.val_check_interval (1.0: every epoch)",
    "logger": "the group logger, such as logger=wandb or logger=none",
    "callbacks": "the group callbacks, such as callbacks.best_checkpoint=null",
    "enable_progress_bar": "nothing: the program's own bar is shown on a terminal only",
    "num_sanity_val_steps": "probe.at_start: step 0 is a full evaluation",
    "inference_mode": "nothing: probes read tensors",
    "use_distributed_sampler": "nothing: the program's own samplers are exact",
    "enable_model_summary": "nothing",
    "enable_checkpointing": "callbacks.last_checkpoint=null or callbacks.best_checkpoint=null",
    "default_root_dir": "hydra.run.dir",
    "barebones": "debug=tiny",
    "reload_dataloaders_every_n_epochs": "nothing: each epoch has an order of its own",
}
_PARTIAL = (
    "fast_dev_run",
    "overfit_batches",
    "limit_val_batches",
    "limit_test_batches",
    "limit_predict_batches",
)


def check_trainer_keys(trainer: dict[str, Any]) -> None:
    """Refuse keys of Lightning's Trainer that the program sets itself, or with which probing would be partial.

    Raises:
        ValueError: One sentence that names what to use instead.
    """
    for key in _PARTIAL:
        if key in trainer:
            raise ValueError(
                f"trainer.{key}={trainer[key]} would leave images out of the evaluation: {_WHOLE}"
            )
    for key, instead in _TRAINER_ARGUMENTS.items():
        if key in trainer:
            raise ValueError(f"trainer.{key} is set by the program and cannot be typed; use {instead}")


def check_objects(plain: dict[str, Any]) -> None:
    """Check every object that a resolved configuration names: that it can be imported and takes the keys beside it.

    Raises:
        ValueError: One sentence that names the key and the nearest one that is known.
    """
    _check(plain["model"]["backbone"], "model.backbone")
    _check(plain["data"]["source"], "data.source")
    _check({key: value for key, value in plain["trainer"].items() if key != "eval_precision"}, "trainer")
    for group in ("callbacks", "logger"):
        for name, node in plain[group].items():
            if node is not None:
                _check(node, f"{group}.{name}", _PROBE_ARGUMENTS if name == "layer_probe" else {})


def make(
    node: dict[str, Any], place: str, kind: type | None = None, *, methods: Sequence[str] = (), **more: Any
) -> Any:
    """Return the object that a node describes.

    Args:
        node: Its `_target_` and arguments.
        place: Where the node is, for messages.
        kind: What it must be an instance of.
        methods: What it must have.
        more: Further arguments; objects must come in here, because Hydra makes configurations of some.

    Raises:
        ValueError: One sentence on why it cannot be made, or is not what is needed.
        UserError: What its own making says.
    """
    try:
        maker = maker_of(node)
        made = maker if node.get("_partial_") else maker(**more)
    except UserError:
        raise
    except Exception as error:
        cause = error.__cause__ or error  # Hydra repeats the whole node
        raise ValueError(f"{place} cannot be made: {one_line(cause)}") from error
    missing = [name for name in methods if not hasattr(made, name)]
    if missing or (kind is not None and not isinstance(made, kind)):
        wanted = f"a {kind.__name__}" if kind is not None else f"one: it has no {', '.join(missing)}"
        raise ValueError(f"{place}._target_={node['_target_']} does not make {wanted}")
    return made


def maker_of(node: dict[str, Any]) -> Callable[..., Any]:
    """Return what makes the object that a resolved node describes.

    Hydra gets the objects among its values only: it would look up a folder that has ${ in its name once more.
    """
    for_hydra = {key for key, value in node.items() if key in _HYDRA_KEYS or any(_objects(value, str(key)))}
    maker = instantiate({key: node[key] for key in for_hydra}, _partial_=True, _convert_="all")
    return functools.partial(maker, **{key: value for key, value in node.items() if key not in for_hydra})


def _check(node: Any, place: str, ours: dict[str, str] | None = None) -> None:
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise ValueError(f"{place} needs a _target_: the class or function that makes it")
    target = node["_target_"]
    try:
        made_by: Callable[..., Any] = get_object(target)
    except Exception as error:  # whatever importing it may raise
        raise ValueError(f"{place}._target_={target} cannot be imported: {one_line(error)}") from error
    if not callable(made_by):
        raise ValueError(f"{place}._target_={target} is neither a class nor a function")
    known, types = parameters(made_by), _simple_types(made_by)
    for key, value in node.items():
        if key in types and not _is(value, types[key]):
            raise ValueError(f"{place}.{key}={value!r} must be {' or '.join(sorted(types[key]))}")
        if key in (ours or {}):
            raise ValueError(
                f"{place}.{key} is set by the program and cannot be typed; use {(ours or {})[key]}"
            )
        if place == "model.backbone" and key == "checkpoint_path":
            raise ValueError(f"model.backbone.checkpoint_path is not a setting; {FILE_OF_WEIGHTS}")
        if key not in _HYDRA_KEYS and known is not None and key not in known:
            raise ValueError(
                f"{place}.{key} is not a setting: {target.rpartition('.')[2]} does not take it"
                f"{suggestion(str(key), sorted(known))}"
            )
        for name, inner in _objects(value, f"{place}.{key}"):
            _check(inner, name)


def _simple_types(made_by: Callable[..., Any]) -> dict[str, set[str]]:
    """Return the names of the types that each argument may have, for the arguments whose types are all plain ones."""
    try:
        own = inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):
        return {}
    found = {}
    for parameter in own:
        note = parameter.annotation
        text = note if isinstance(note, str) else note.__name__ if isinstance(note, type) else str(note)
        names = {name.strip() for name in text.split("|")}
        if names <= _PLAIN.keys():
            found[parameter.name] = names
    return found


def _is(value: Any, names: set[str]) -> bool:
    if isinstance(value, bool):
        return "bool" in names
    return any(isinstance(value, _PLAIN[name]) for name in names)


def _objects(value: Any, place: str) -> Iterable[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        if "_target_" in value:
            yield place, value
        else:
            for key, inner in value.items():
                yield from _objects(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _objects(inner, f"{place}.{position}")


def parameters(made_by: Callable[..., Any]) -> set[str] | None:
    """Return the names that a class or function takes by keyword; None: any, or it cannot be known.

    >>> sorted(parameters(lambda a, *, b=1: None))
    ['a', 'b']
    >>> parameters(lambda **more: None) is None
    True
    """
    try:
        own = inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
        return None
    return {parameter.name for parameter in own if parameter.kind is not parameter.POSITIONAL_ONLY}
