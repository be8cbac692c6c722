"""Checkpoints that are damaged, foreign or made to do harm: one sentence each, and nothing in them runs."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.cli.conftest import TINY, Ran
from tests.test_configs import resolved

from unseen.runs.checkpoints import Checkpoint, check_weights, read_checkpoint
from unseen.runs.provenance import scored_as_trained
from unseen.runs.schema import check_settings
from unseen.runs.trust import check_trusted

pytestmark = pytest.mark.slow
Content = dict[str, Any]


def put(place: str, value: Any) -> Callable[[Content], None]:
    """Return what sets a place, given by keys with slashes."""
    *parents, key = place.split("/")

    def change(content: Content) -> None:
        node = content
        for parent in parents:
            node = node[parent]
        node[key] = value

    return change


def drop(place: str) -> Callable[[Content], None]:
    *parents, key = place.split("/")

    def change(content: Content) -> None:
        node = content
        for parent in parents:
            node = node[parent]
        del node[key]

    return change


def itself(content: Content) -> None:
    content["unseen"]["data"]["unseen"] = [content["unseen"]["data"]]


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


STRANGE_VALUES: tuple[Any, ...] = (None, "x", [1], 5, -1, math.nan, {"a": 1}, torch.zeros(2))
# Every field that is used, with values of every other kind.
FIELDS = {
    "unseen": STRANGE_VALUES,
    "state_dict": tuple(value for value in STRANGE_VALUES if not isinstance(value, dict)),
    "global_step": (None, "x", [1], -1, 1.5, math.nan, 2**40),
    "epoch": (None, "x", -1, 1.5),
    "unseen/schema": (None, "1", 2, [1]),
    "unseen/model": STRANGE_VALUES,
    "unseen/model/name": (None, 5, ["resnet"], torch.zeros(2)),
    "unseen/model/backbone": STRANGE_VALUES,
    "unseen/model/pooling": (None, "all", 5),
    "unseen/data": STRANGE_VALUES,
    "unseen/data/source": STRANGE_VALUES,
    "unseen/data/root": (5, [1], "${oc.env:HOME}"),
    "unseen/data/unseen": (5, "x", {"a": 1}),
    "unseen/data/test_fraction": (None, "x", 2.0, math.nan),
    "unseen/probe": ("x", [1], {"a": 1}),
    "unseen/probe/n_init": (0, "x", math.inf),
    "unseen/size": (None, "huge", 5),
    "unseen/seed": (None, -1, "x", 2**40),
    "unseen/image_size": (None, 0, -5, "x", 10**9),
    "unseen/num_classes": (None, -1, 0, 10**12, "x"),
    "unseen/split": STRANGE_VALUES,
    "unseen/split/classes": (None, "x", [], ["a"], [1, 2]),
    "unseen/split/unseen": ([], ["nobody"], [0]),
    "unseen/split_hash": (None, "x", 5, ""),
    "unseen/trained_on": (5, "xyz", "abc"),
}
MAY_LACK = {"unseen/trained_on", "unseen/probe", "unseen/probe/n_init"}  # probe settings: as they are here
CASES = [
    (f"{place}={value!r}".replace("\n", " "), put(place, value))
    for place, some in FIELDS.items()
    for value in some
] + [(f"no {place}", drop(place)) for place in FIELDS if place not in MAY_LACK]
OURS = "unseen.data.sources.digits.Digits"
HARMFUL = [
    ("source is torch.load", put("unseen/data/source", {"_target_": "torch.load", "f": "/p"})),
    ("source is a function of ours", put("unseen/data/source/_target_", "unseen.atomic_files.write_text")),
    (
        "source is a class of ours elsewhere",
        put("unseen/data/source/_target_", "unseen.run_folder.RunFolder"),
    ),
    ("source is a list of a target", put("unseen/data/source/_target_", ["torch.load"])),
    ("source without a target", drop("unseen/data/source/_target_")),
    ("backbone is torch.hub.load", put("unseen/model/backbone/_target_", "torch.hub.load")),
    ("backbone is joblib.load", put("unseen/model/backbone/_target_", "joblib.load")),
    ("target in the options", put("unseen/model/backbone/options", {"a": {"_target_": "torch.load"}})),
    ("target in a list", put("unseen/data/source/root", [{"_target_": "torch.load"}])),
    ("target in a setting", put("unseen/data/unseen", [{"_target_": "torch.load"}])),
    ("positional arguments", put("unseen/data/source/_args_", ["x"])),
    ("partial", put("unseen/model/backbone/_partial_", True)),
    ("an environment variable", put("unseen/data/name", "${oc.env:PATH}")),
    ("a list that holds itself", itself),
    ("lists in lists", put("unseen/data/unseen", deep(400))),
]


@pytest.fixture(scope="module")
def content(tiny_run: Ran) -> Content:
    found: Content = torch.load(tiny_run.folder / "checkpoints" / "last.ckpt", weights_only=True)
    return found


@pytest.fixture(scope="module")
def plain() -> Content:
    return resolved("model=resnet")


def take(path: Path, plain: Content) -> None:
    """Do what eval.py does with a checkpoint before it makes anything."""
    checkpoint = read_checkpoint(path, resume=False)
    stored = checkpoint.made_by
    check_trusted(checkpoint, plain)
    read = {(group, key) for group in ("model", "data") for key in stored[group]}
    check_settings(scored_as_trained(plain, stored, set()), read)
    check_weights(checkpoint)


def test_a_sound_one_is_taken(content: Content, plain: Content, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "sound.ckpt")
    take(tmp_path / "sound.ckpt", plain)
    read_checkpoint(tmp_path / "sound.ckpt", resume=True)


@pytest.mark.parametrize("name", [name for name, _ in CASES + HARMFUL])
def test_a_strange_one_is_refused(name: str, content: Content, plain: Content, tmp_path: Path) -> None:
    path = tmp_path / "strange.ckpt"
    changed = copy.deepcopy(content)
    dict(CASES + HARMFUL)[name](changed)
    torch.save(changed, path)
    with pytest.raises(ValueError, match=r"^\w") as caught:
        take(path, plain)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "place", ["optimizer_states", "lr_schedulers", "loops", "pytorch-lightning_version", "state_dict"]
)
@pytest.mark.parametrize("value", [None, "x", [], [1], 5], ids=repr)
def test_what_training_goes_on_from_is_checked(
    place: str, value: Any, content: Content, tmp_path: Path
) -> None:
    if (place, value) == ("pytorch-lightning_version", "x"):
        pytest.skip("a text it is; Lightning reads it")
    torch.save(content | {place: value}, tmp_path / "strange.ckpt")
    with pytest.raises(ValueError, match="is damaged or was not written by this program"):
        read_checkpoint(tmp_path / "strange.ckpt", resume=True)


class _Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("/tmp/never"),))


@pytest.mark.parametrize(
    "make",
    {
        "empty": lambda data: b"",
        "text": lambda data: b"hello\n",
        "first half": lambda data: data[: len(data) // 2],
        "last byte gone": lambda data: data[:-1],
        "zeros in the middle": lambda data: data[:200] + bytes(2000) + data[2200:],
        "a pickle": lambda data: pickle.dumps({"unseen": 1}),
        "a pickle of code": lambda data: pickle.dumps(_Evil()),
    }.items(),
    ids=lambda item: item[0],
)
def test_broken_bytes_are_refused(make: Any, tiny_run: Ran, plain: Content, tmp_path: Path) -> None:
    path = tmp_path / "broken.ckpt"
    path.write_bytes(make[1]((tiny_run.folder / "checkpoints" / "last.ckpt").read_bytes()))
    with pytest.raises(ValueError, match=r"^ckpt_path=.*broken\.ckpt") as caught:
        take(path, plain)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "torch.load" not in str(caught.value)


def test_weights_that_are_no_numbers_are_refused(content: Content, tmp_path: Path) -> None:
    changed = copy.deepcopy(content)
    next(iter(changed["state_dict"].values())).fill_(math.nan)
    with pytest.raises(ValueError, match="not finite numbers"):
        check_weights(Checkpoint(tmp_path / "x.ckpt", changed))


def test_a_class_that_the_configuration_names_may_be_made(content: Content, plain: Content) -> None:
    stored = copy.deepcopy(content["unseen"])
    stored["data"]["source"]["_target_"] = "my.Source"
    typed = copy.deepcopy(plain)
    with pytest.raises(ValueError, match=r"name it yourself: data=<your file in configs/data>"):
        check_trusted(Checkpoint(Path("x.ckpt"), {"unseen": stored}), typed)
    typed["data"]["source"]["_target_"] = "my.Source"
    check_trusted(Checkpoint(Path("x.ckpt"), {"unseen": stored}), typed)
    stored["data"]["source"]["dataset"] = {"_target_": "my.Dataset", "number": 1}
    for other in (None, {"_target_": "my.Dataset", "number": 2}, {"_target_": "my.Other", "number": 1}):
        typed["data"]["source"]["dataset"] = other
        with pytest.raises(
            ValueError, match=r"names a class in data\.source\.dataset, .* name it yourself: data=<your file"
        ):
            check_trusted(Checkpoint(Path("x.ckpt"), {"unseen": stored}), typed)
    typed["data"]["source"]["dataset"] = stored["data"]["source"]["dataset"]
    check_trusted(Checkpoint(Path("x.ckpt"), {"unseen": stored}), typed)


@pytest.mark.parametrize(
    "change",
    {
        "no optimizer state": put("optimizer_states", [{"state": {}, "param_groups": []}]),
        "loops of another kind": put("loops", {"fit_loop": 5}),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_lightning_cannot_restore_is_one_sentence(
    change: Any, content: Content, tmp_path: Path, train: Callable[..., Ran]
) -> None:
    changed = copy.deepcopy(content)
    change[1](changed)
    torch.save(changed, tmp_path / "strange.ckpt")
    ran = train("model=resnet", "seed=0", *TINY, f"ckpt_path={tmp_path}/strange.ckpt")
    assert ran.code == 1, ran.out + ran.err
    assert ran.err.splitlines()[-1].startswith("error: ")
    assert ran.summary()["status"] == "failed"
    assert "Traceback" not in ran.out + ran.err


def test_nothing_of_a_harmful_one_runs(
    content: Content, tmp_path: Path, evaluate: Callable[..., Ran]
) -> None:
    changed = copy.deepcopy(content)
    changed["unseen"]["data"]["source"] = {
        "_target_": "unseen.atomic_files.write_text", "path": str(tmp_path / "owned"), "text": "x",
    }  # fmt: skip
    torch.save(changed, tmp_path / "harmful.ckpt")
    ran = evaluate(f"ckpt_path={tmp_path}/harmful.ckpt")
    assert ran.code == 1
    assert "a file may not choose code" in ran.err
    assert not (tmp_path / "owned").exists()
