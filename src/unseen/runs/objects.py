"""The objects that a configuration names (`_target_`): checked against their signatures, then made."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from unseen.runs.errors import UserError
from unseen.wording import one_line, suggestion

_HYDRA_KEYS = {"_target_", "_args_", "_partial_", "_recursive_", "_convert_"}
# Target: the package that it needs, and the extra that installs it.
_NEEDS = {
    "pytorch_metric_learning.*": ("pytorch_metric_learning", "losses"),
    "unseen.training.sharpness.*": ("pytorch_optimizer", "sam"),
    "lightning.pytorch.loggers.TensorBoardLogger": ("tensorboard", "tensorboard"),
    "lightning.pytorch.loggers.MLFlowLogger": ("mlflow", "mlflow"),
    "unseen.runs.mlflow_logger.*": ("mlflow", "mlflow"),
}
_PLAIN: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "None": (type(None),),
}  # fmt: skip


def check_objects(plain: dict[str, Any], *, training: bool = True) -> None:
    """Check every object that a resolved configuration names: that it can be imported and takes the keys beside it.

    Args:
        plain: Plain containers.
        training: Whether augmentation, loss, optimiser and schedule will be made; those of a checkpoint that is scored
            are not even imported.

    Raises:
        ValueError: One sentence that names the key and the nearest one that is known.
    """
    check_object(plain["model"]["backbone"], "model.backbone")
    check_object(plain["data"]["source"], "data.source")
    if plain["model"].get("tuning"):
        check_object(plain["model"]["tuning"], "model.tuning")
    if training:
        if plain["data"].get("augment"):
            check_object(plain["data"]["augment"], "data.augment")
        check_object(plain["model"]["loss"], "model.loss")
        _check_views(plain)
        check_object(plain["model"]["optimizer"], "model.optimizer")
        _check_scheduler(plain["model"]["scheduler"])
    check_object(
        {key: value for key, value in plain["trainer"].items() if key != "eval_precision"}, "trainer"
    )
    for group in ("callbacks", "logger"):
        for name, node in plain[group].items():
            if node is not None:
                check_object(node, f"{group}.{name}")


def check_object(node: Any, place: str) -> None:
    """Check one object, and those within it: that it can be imported and takes the keys beside it, by name and type.

    Args:
        node: Plain containers.
        place: Where the node is, for messages.

    Raises:
        ValueError: As `check_objects`.
    """
    if not isinstance(node, dict) or not isinstance(node.get("_target_"), str):
        raise ValueError(f"{place} needs a _target_: the class or function that makes it")
    target = node["_target_"]
    for pattern, (package, extra) in _NEEDS.items():
        if fnmatchcase(target, pattern) and find_spec(package) is None:
            raise ValueError(
                f"{place} needs {package}, which is not installed: pip install 'unseen[{extra}]'"
            )
    try:
        made_by: Callable[..., Any] = get_object(target)
    except Exception as error:  # importing may raise any
        raise ValueError(f"{place}._target_={target} cannot be imported: {one_line(error)}") from error
    if not callable(made_by):
        raise ValueError(f"{place}._target_={target} is neither a class nor a function")
    known, takes_more = parameters(made_by)
    for key, value in node.items():
        types = known.get(key)
        # to Python a bool is an int
        if types and not ("bool" in types if isinstance(value, bool) else _is_one_of(value, types)):
            raise ValueError(f"{place}.{key}={value!r} must be {' or '.join(sorted(types))}")
        if key not in _HYDRA_KEYS and types is None and not takes_more:
            raise ValueError(
                f"{place}.{key} is not a setting: {target.rpartition('.')[2]} does not take it"
                f"{suggestion(str(key), sorted(known))}"
            )
        for name, inner in _objects(value, f"{place}.{key}"):
            check_object(inner, name)


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
        UserError: Raised while it was made.
    """
    try:
        maker = maker_of(node)
        made = maker if node.get("_partial_") else maker(**more)
    except UserError:
        raise
    except Exception as error:
        # Hydra repeats the whole node; other errors say it better than what caused them
        cause = (isinstance(error, InstantiationException) and error.__cause__) or error
        raise ValueError(f"{place} cannot be made: {one_line(cause)}") from error
    missing = [name for name in methods if not hasattr(made, name)]
    if missing or (kind is not None and not isinstance(made, kind)):
        wanted = f"a {kind.__name__}" if kind is not None else f"one: it has no {', '.join(missing)}"
        raise ValueError(f"{place}._target_={node['_target_']} does not make {wanted}")
    return made


def maker_of(node: dict[str, Any]) -> Callable[..., Any]:
    """Return the function that makes the object of a resolved node.

    Hydra gets only the values that are objects themselves: it would interpolate a path that holds ${ again.
    """
    for_hydra = {key for key, value in node.items() if key in _HYDRA_KEYS or any(_objects(value, str(key)))}
    maker = instantiate({key: node[key] for key in for_hydra}, _partial_=True, _convert_="all")
    return functools.partial(maker, **{key: value for key, value in node.items() if key not in for_hydra})


def parameters(made_by: Callable[..., Any]) -> tuple[dict[str, set[str]], bool]:
    """Return what a class or function takes by keyword, and whether it may take more.

    Returns:
        For each argument the names of the types that it may have, none where not all of them are plain ones.

    >>> parameters(inspect.cleandoc)
    ({'doc': set()}, False)
    """
    try:
        own = inspect.signature(made_by).parameters.values()
    except (TypeError, ValueError):
        return {}, True
    found = {}
    for parameter in own:
        note = parameter.annotation
        text = note if isinstance(note, str) else note.__name__ if isinstance(note, type) else str(note)
        types = {name.strip() for name in text.split("|")}
        if parameter.kind in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            found[parameter.name] = types if types <= _PLAIN.keys() else set()
    return found, any(parameter.kind is parameter.VAR_KEYWORD for parameter in own)


def _check_views(plain: dict[str, Any]) -> None:
    """Refuse two views without a loss or an augmentation that makes something of them."""
    data, target = plain["data"], plain["model"]["loss"]["_target_"]
    views, wanted = data.get("views", 1), getattr(get_object(target), "views", 1)
    if wanted > views:
        raise ValueError(
            f"model.loss._target_={target} compares {wanted} views of each image: add data.views={wanted}, and an "
            "augmentation such as augment=simclr"
        )
    if views > 1 and not data.get("augment"):
        raise ValueError(
            f"data.views={views} needs an augmentation, without which the views of an image are equal: add one such as "
            "augment=simclr"
        )


def _check_scheduler(node: dict[str, Any]) -> None:
    """Check a schedule; one that takes the number of its steps may be given that in epochs."""
    check_object({key: value for key, value in node.items() if key != "epochs"}, "model.scheduler")
    target = node["_target_"]
    known, _ = parameters(get_object(target))
    if "epochs" in node and "total_steps" not in known:
        raise ValueError(
            f"model.scheduler.epochs is not a setting: {target.rpartition('.')[2]} does not take it"
        )
    if "metrics" in inspect.signature(getattr(get_object(target), "step", len)).parameters:
        raise ValueError(
            f"model.scheduler._target_={target} waits for a metric; schedules here know the step only"
        )


def _is_one_of(value: Any, types: set[str]) -> bool:
    return any(isinstance(value, _PLAIN[name]) for name in types)


def _objects(value: Any, place: str) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the nodes of objects in a value, with their places."""
    if isinstance(value, dict) and "_target_" in value:
        yield place, value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _objects(inner, f"{place}.{key}")
