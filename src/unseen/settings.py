"""The table of settings: what each may be, and what it affects.

The check of a configuration reads the types. A sweep's `resume=true`, a training that goes on from a checkpoint and the
report read the effects: they decide which runs are the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, LiteralString

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from unseen.probe_table import SETTINGS as PROBE_SETTINGS
from unseen.probe_table import ProbeSetting
from unseen.selector_table import SELECTORS

Effect = Literal[
    "result",  # the network, its training or its scores
    "rows",  # further rows or files; every other number stays
    "speed",  # time and memory
    "place",  # where something is on this machine; two places of images are compared by the files in them
    "default",  # read by other settings only, which are in the table themselves
    "watching",  # loggers
    "command",  # what this command does; not passed on to the jobs of a sweep
]
SIZES = ("demo", "paper")
IMAGE_ROOTS = ("root", "test_root")  # settings of `data` and of its source


def _rule(allowed: Callable[[Any], bool], says: LiteralString) -> AfterValidator:
    def check(value: Any) -> Any:
        if not allowed(value):
            raise PydanticCustomError("rule", says)
        return value

    return AfterValidator(check)


def _names_a_class(value: Any) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    return whole or (isinstance(value, str) and 1 <= len(value) <= _LONGEST_NAME)


_MOST = 2**31 - 1  # more steps, images or clusters than any run has; libraries overflow somewhere above it
_Whole = Annotated[int, Field(ge=0, le=_MOST)]
_Count = Annotated[int, Field(ge=1, le=_MOST)]
_Two = Annotated[int, Field(ge=2, le=_MOST)]
_Seed = Annotated[int, Field(ge=0, lt=2**32)]
_Text = Annotated[str, Field(min_length=1, max_length=4096)]
_LONGEST_NAME = 200  # characters
_Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_NAME)]
_Side = Annotated[int, Field(ge=8, le=2048)]
_Decay = Annotated[float, Field(ge=0, lt=1)]  # AdamW's range
_Group = dict[str, Any]
_Templates = Annotated[list[_Text], Field(min_length=1)]
_ClassNames = dict[_Name | _Whole, _Text] | list[_Text]  # {1: one}: classes may be numbers
_Classes = Annotated[
    Any,
    _rule(
        lambda classes: isinstance(classes, list) and all(map(_names_a_class, classes)),
        "must be a list of names or ids, such as [cat,owl]; a name that looks like a number, true or null is quoted, "
        'such as ["1.5"]',
    ),
]
_NOISE = _rule(
    lambda levels: all(0 < level <= 1 for level in levels) and len(set(levels)) == len(levels),
    "must be shares of noise above 0 and at most 1, each once, such as [0.25,0.5,1.0]",
)
_EACH_ONCE = _rule(
    lambda names: names and len(set(names)) == len(names), "must name one at least, and none twice"
)
_SHARES = _rule(
    lambda shares: shares and all(0 < share <= 1 for share in shares) and len(set(shares)) == len(shares),
    "must be shares of the images above 0 and at most 1, each once, such as [0.01,0.1,0.5,1]",
)
_ALPHAS = _rule(
    lambda alphas: all(0 <= alpha <= 1 for alpha in alphas) and len(set(alphas)) == len(alphas),
    "must be numbers from 0 (zero-shot) to 1 (fine-tuned), each once, such as [0,0.25,0.5,0.75,1]",
)
_DEVICES = _rule(
    lambda number: number == -1 or 1 <= number <= 1024,
    "must be a number of processes from 1 to 1024, -1 or auto",
)
_STEPS = _rule(
    lambda steps: steps == -1 or 1 <= steps <= _MOST, "must be at least 1, or -1 with a trainer.max_epochs"
)
_INTERVAL = _rule(
    lambda interval: 1 <= interval <= _MOST if isinstance(interval, int) else 0 < interval <= 1,
    "must be a whole number of steps, or a share of an epoch of at most 1.0",
)


def _check_selectors(value: Any) -> Any:
    named = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    if value not in ("default", "none") and not (
        named and SELECTORS.keys() >= set(value) and len(set(value)) == len(value)
    ):
        says = "must be default, none, or a list of some of {known}, each once"
        raise PydanticCustomError("selectors", says, {"known": ", ".join(SELECTORS)})
    return value


def _of_probe(setting: ProbeSetting) -> Any:
    """Return the type of a setting of the probes."""
    if not setting.choices:
        return _between(setting.kind, setting.least, setting.most, setting.optional)

    def check(value: Any) -> Any:
        try:
            setting.check("", value)
        except ValueError:
            raise PydanticCustomError("choices", "{says}", {"says": setting.says}) from None
        return value

    return Annotated[Any, AfterValidator(check)]


def _between(kind: type, least: float | None, most: float | None, optional: bool = False) -> Any:
    limited = Annotated[kind, Field(ge=least, le=most)]  # type: ignore[valid-type]
    return limited | None if optional else limited


TABLE: dict[str, tuple[Any, Effect]] = {
    "seed": (_Seed, "result"),
    # what a sweep asks; of biases.py and transfer.py also: which study of what was measured
    "study": (_Group | Literal["published", "own"] | None, "watching"),
    "size": (Literal["demo", "paper"], "result"),
    "ckpt_path": (_Text | None, "result"),
    "extras.print_config": (bool, "watching"),
    "optimized_metric": (Literal["g", "seen_accuracy"] | None, "command"),
    "resume": (bool, "command"),
    "plan": (bool, "command"),
    "recipe.pretrained": (bool, "default"),
    "recipe.lr": (float, "default"),
    "recipe.warmup_steps": (int, "default"),
    "recipe.schedule_epochs": (float | None, "default"),
    "recipe.max_steps": (int, "default"),
    "recipe.val_check_interval": (int | float, "default"),
    "recipe.precision": (str, "default"),
    "recipe.eval_precision": (int | str, "default"),
    **{f"paths.{name}_dir": (_Text, "place") for name in ("root", "log", "data", "output")},
    "model.name": (_Name, "result"),
    "model.pretrained": (bool, "result"),
    "model.checkpoint": (_Text | None, "result"),
    "model.pooling": (Literal["auto", "paper", "mean", "first"], "result"),
    "model.channels_last": (bool | Literal["auto"], "result"),
    "model.backbone": (_Group, "result"),
    **{f"model.sizes.{size}.architecture": (_Name | None, "default") for size in SIZES},
    **{f"model.sizes.{size}.has_checkpoint": (bool | None, "default") for size in SIZES},
    **{f"model.sizes.{size}.options": (_Group | None, "default") for size in SIZES},
    **{f"model.sizes.{size}.taps": (list[str] | None, "default") for size in SIZES},
    **{f"model.sizes.{size}.epochs": (float | None, "default") for size in SIZES},
    "model.schedule_epochs": (float | None, "default"),
    "model.loss": (_Group, "result"),
    "model.tuning": (_Group, "result"),
    "model.optimizer._target_": (_Text, "result"),
    "model.optimizer._partial_": (Literal[True], "default"),
    "model.optimizer.lr": (Annotated[float, Field(gt=0, le=10)], "result"),
    "model.optimizer.weight_decay": (_between(float, 0, 1000), "result"),
    "model.optimizer.betas": (Annotated[list[_Decay], Field(min_length=2, max_length=2)], "result"),
    "model.optimizer.eps": (Annotated[float, Field(gt=0, le=1)], "result"),
    "model.scheduler._target_": (_Text, "result"),
    "model.scheduler._partial_": (Literal[True], "default"),
    "model.scheduler.warmup_steps": (_Whole, "result"),
    "model.scheduler.epochs": (Annotated[float, Field(gt=0, le=1e6)] | None, "result"),
    "data.name": (_Name, "result"),
    "data.source": (_Group, "result"),
    "data.root": (_Text | None, "place"),
    "data.image_sizes": (dict[str, _Side], "default"),
    "data.image_size": (_Side, "result"),
    "data.unseen": (_Classes | None, "result"),
    "data.num_unseen": (_Two | None, "result"),
    "data.num_seen": (_Two | None, "result"),
    "data.seen": (_Classes | None, "result"),
    "data.skip_bad": (bool, "speed"),  # without it a run on bad files does not start
    "data.split_seed": (_Seed, "result"),
    "data.batch_size": (_Count, "result"),
    "data.eval_batch_size": (_Count, "speed"),
    "data.train_size": (_Count | None, "result"),
    "data.test_size": (_Count | None, "result"),
    "data.unseen_per_class": (_Two | None, "result"),
    "data.test_fraction": (Annotated[float, Field(gt=0, lt=1)], "result"),
    "data.rotation": (_between(float, 0, 180), "result"),
    "data.augment": (_Group | None, "result"),
    "data.class_balanced": (bool, "result"),
    "data.views": (Literal[1, 2], "result"),
    "data.keep": (Literal["all", "hardest", "easiest", "random"], "result"),
    "data.keep_share": (Annotated[float, Field(gt=0, lt=1)], "result"),
    "data.el2n": (_Text | None, "place"),
    "data.imbalance": (Annotated[float, Field(ge=1, le=1e6)], "result"),
    "data.shift": (Literal["none", "blur", "invert", "contrast"], "result"),
    "data.thumbnails": (bool, "rows"),
    "data.cue_agreement": (_between(float, 0, 1, optional=True), "result"),
    "data.pad": (_between(float, 0, 1), "result"),
    "data.stratified": (bool, "result"),
    "data.eval_deterministic": (bool, "result"),
    "data.num_labels": (_Two | None, "result"),
    # read by the settings of the same names of transfer.py
    "data.templates": (_Templates | None, "default"),
    "data.class_names": (_ClassNames | None, "default"),
    "data.cache_gb": (_between(float, 0, 1e6), "speed"),
    "data.decode": (Literal["auto", "ahead", "on_the_fly"], "speed"),
    "data.workers": (_between(int, 0, 1024) | Literal["auto"], "speed"),
    **{
        f"probe.{name}": (
            _of_probe(setting),
            "rows" if setting.adds else "result",
        )
        for name, setting in PROBE_SETTINGS.items()
    },
    "probe.selectors": (Annotated[Any, AfterValidator(_check_selectors)], "rows"),
    "probe.at_start": (bool, "rows"),
    "probe.layer_costs": (bool, "rows"),
    "probe.ensembles": (bool, "rows"),
    "probe.save_embeddings": (bool, "rows"),
    "probe.noise_levels": (Annotated[list[float], _NOISE], "rows"),
    "trainer.accelerator": (_Name, "result"),
    "trainer.devices": (Annotated[int, _DEVICES] | _Name | list[int], "result"),
    "trainer.num_nodes": (_between(int, 1, 10_000), "result"),
    "trainer.strategy": (_Name | _Group, "result"),
    "trainer.deterministic": (bool | Literal["warn"] | None, "result"),
    "trainer.benchmark": (bool | None, "result"),
    "trainer.precision": (Literal["auto", "32-true", "16-mixed", "bf16-mixed"], "result"),
    "trainer.eval_precision": (Literal[32, "tf32"], "result"),
    "trainer.max_steps": (Annotated[int, _STEPS], "result"),
    "trainer.max_epochs": (_Count | None, "result"),
    "trainer.val_check_interval": (Annotated[int | float, _INTERVAL], "result"),
    "trainer.gradient_clip_val": (_between(float, 0, 1e9, optional=True), "result"),
    "trainer.accumulate_grad_batches": (_between(int, 1, 100_000), "result"),
    "trainer.log_every_n_steps": (_Count, "rows"),
    "callbacks": (dict[str, _Group | None], "result"),
    "logger": (dict[str, _Group | None], "watching"),
}
OF_BIASES: dict[str, tuple[Any, Effect]] = {  # further ones, of biases.py
    "measures": (dict[str, _Group | None], "result"),
    "benchmark": (dict[str, _Group | None] | None, "result"),
    "images": (_Name | Annotated[list[_Name], Field(min_length=1)], "result"),
    "limit": (_Count | None, "result"),
    "faithful": (bool, "result"),
    "runs": (_Text | Annotated[list[_Text], Field(min_length=1)], "command"),
    "batch_size": (
        _Count,
        "result",
    ),  # no number here, but a name has one effect, and transfer.py trains with it
    "cache_gb": (_between(float, 0, 1e6), "speed"),
}
OF_TRANSFER: dict[str, tuple[Any, Effect]] = {  # further ones, of transfer.py
    "encoder": (_Group, "result"),
    "technique": (_Group, "result"),
    "others": (list[_Name | dict[str, _Group]], "result"),
    "measure_only": (bool, "result"),
    "runs": (_Text | Annotated[list[_Text], Field(min_length=1)], "command"),
    "templates": (_Templates | None, "result"),
    "class_names": (_ClassNames | None, "result"),
    "limit": (_Count | None, "result"),
    "epochs": (_Count, "result"),
    "draws": (_Whole | None, "result"),
    "batch_size": (_Count, "result"),
    "l2_to_init": (_between(float, 0, 1e6), "result"),
    "replay": (_between(float, 0, 1), "result"),
    "label_models": (Literal["masked", "faithful"] | None, "result"),
    "prompts": (
        Annotated[list[Literal["bare", "photo", "published", "ensemble"]], _EACH_ONCE] | None,
        "rows",
    ),
    "shares": (Annotated[list[float], _SHARES] | None, "rows"),
    "save_embeddings": (bool, "rows"),
    "alphas": (Annotated[list[float], _ALPHAS], "rows"),
}
OPTIONAL = (
    "study",
    "data.num_seen",
    "data.templates",
    "data.class_names",
    "model.checkpoint",
    "model.sizes",
    "model.loss",
    "model.tuning",
    *(f"model.optimizer.{name}" for name in ("_target_", "_partial_", "weight_decay", "betas", "eps")),
    *(f"model.scheduler.{name}" for name in ("_target_", "_partial_", "warmup_steps", "epochs")),
    "data.augment",
    "data.class_balanced",
    "probe.few_shot",
    "probe.discovery",
    "data.views",
    "data.keep",
    "data.keep_share",
    "data.el2n",
    "data.imbalance",
    "data.shift",
    "data.thumbnails",
    "data.cue_agreement",
    "probe.layer_costs",
    "probe.ensembles",
    "probe.selectors",
    "trainer.strategy",
    "trainer.deterministic",
    "trainer.benchmark",
)
# What runs from before a setting existed did: at this value it makes no other run, and theirs are known again.
ADDED: dict[str, Any] = {
    "data.views": 1,
    "data.keep": "all",
    "data.keep_share": 0.5,
    "data.imbalance": 1,
    "data.shift": "none",
    "data.thumbnails": True,
    "data.cue_agreement": None,
    "probe.few_shot": [],
    "probe.discovery": False,
    "probe.layer_costs": False,
    "probe.ensembles": False,
    "measures.critical_band.norms": ["grey"],
}
_WITHIN: dict[str, Effect] = {  # inside the nodes of objects, and keys that only some files of a group have
    "data.source.root": "place",
    "data.source.test_root": "place",
    "data.source.data_dir": "place",
    "encoder.cache": "place",
    "data.test_root": "place",
    "*._convert_": "default",
    "*._partial_": "default",
    "model.optimizer.[!_]*": "result",  # arguments that only some of them have
    "model.scheduler.[!_]*": "result",
    "trainer.profiler*": "watching",
    "callbacks.model_summary*": "watching",
    "callbacks.best_checkpoint*": "rows",
    "callbacks.el2n*": "place",
    "callbacks.last_checkpoint*": "rows",
    "hydra*": "command",
    "study/*": "watching",
    "hparams_search": "command",
}


def effect_of(key: str) -> Effect:
    """Return what a setting affects; a key that is not in the table may change the result.

    >>> effect_of("model.optimizer.lr"), effect_of("data.source.root"), effect_of("data.own_key")
    ('result', 'place', 'result')
    """
    for pattern, effect in _WITHIN.items():
        if fnmatchcase(key, pattern):
            return effect
    known = TABLE | OF_TRANSFER | OF_BIASES
    while key and key not in known:
        key = key.rpartition(".")[0]
    return known[key][1] if key else "result"


def value_at(config: Any, place: Sequence[str]) -> Any:
    """Return what is at a path of keys in nested settings, None if nothing is."""
    for key in place:
        config = config.get(key) if isinstance(config, dict) else None
    return config


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under dotted keys.

    >>> flatten({"a": {"b": 1, "c": {}}, "d": [2]})
    {'a.b': 1, 'a.c': {}, 'd': [2]}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, dict) and value else {name: value}
    return flat
