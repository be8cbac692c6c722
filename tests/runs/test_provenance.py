"""Settings in a checkpoint against those of the run that goes on from it or scores it."""

from pathlib import Path
from typing import Any

import pytest

from unseen.data.splits import ClassSplit
from unseen.runs.checkpoints import Checkpoint
from unseen.runs.provenance import (
    check_resumable,
    make_provenance,
    resumed_as_trained,
    scored_as_trained,
    trained_before,
)

SPLIT = ClassSplit(("ant", "bee", "cat", "dog"), (0, 1), (2, 3))


def plain(**data: Any) -> dict[str, Any]:
    model = {"name": "vit", "pooling": "auto", "backbone": {"pretrained": True}}
    here = {"cache_gb": 20, "decode": "auto", "workers": "auto"}
    settings = {"name": "image_folder", "image_size": 32, "rotation": 10} | here | data
    return {
        "model": model,
        "data": settings,
        "size": "demo",
        "seed": 0,
        "callbacks": {},
        "trainer": {"eval_precision": "tf32"},
    }


def checkpoint(made_by: dict[str, Any]) -> Checkpoint:
    return Checkpoint(Path("last.ckpt"), {"unseen": made_by})


def stored(**data: Any) -> dict[str, Any]:
    return make_provenance(plain(**data), SPLIT, 2)


def test_a_checkpoint_does_not_hold_the_size_of_a_cache() -> None:
    assert stored(cache_gb=0, decode="on_the_fly", workers=2) == stored(cache_gb=20)


def test_a_run_goes_on_with_another_cache_and_without() -> None:
    check_resumable(checkpoint(stored()), stored(cache_gb=0))
    with pytest.raises(ValueError, match=r"data\.rotation=10 \(now 5\)"):
        check_resumable(checkpoint(stored()), stored(rotation=5))


def test_a_run_of_before_a_setting_existed_goes_on_without_it_only() -> None:
    check_resumable(checkpoint(stored()), stored(imbalance=1, shift="none"))
    with pytest.raises(ValueError, match=r"data\.imbalance=1 \(now 3\); data\.shift=none \(now blur\)"):
        check_resumable(checkpoint(stored()), stored(imbalance=3, shift="blur"))


def test_a_run_goes_on_with_its_images_elsewhere_but_not_with_other_images() -> None:
    source = {"_target_": "TorchvisionSet", "dataset": "SVHN", "root": "/here"}
    now = stored(root="/there", source=source | {"root": "/there"}, skip_bad=True, eval_batch_size=9)
    check_resumable(checkpoint(stored(root="/here", source=source)), now)
    other = stored(root="/here", source=source | {"dataset": "MNIST"})
    with pytest.raises(ValueError, match=r"data\.source\.dataset=SVHN \(now MNIST\)"):
        check_resumable(checkpoint(stored(root="/here", source=source)), other)


@pytest.mark.parametrize("typed", [set(), {"data.cache_gb"}, {"ckpt_path", "data.cache_gb"}])
def test_a_checkpoint_is_scored_on_its_own_data_with_the_cache_of_here(typed: set[str]) -> None:
    found = scored_as_trained(plain(name="digits", cache_gb=1), stored(), typed)
    assert (found["data"]["name"], found["data"]["cache_gb"]) == ("image_folder", 1)


def test_a_typed_setting_changes_the_checkpoints_own_data() -> None:
    now = plain(name="digits", root="there", rotation=0, source={"_target_": "Digits", "root": "there"})
    then = stored(
        root="here", test_fraction=0.5, source={"_target_": "Folder", "root": "here", "data_dir": "/d"}
    )
    now["paths"] = {"data_dir": "/mine"}
    found = scored_as_trained(now, then, {"data.root", "ckpt_path"})["data"]
    assert (found["name"], found["rotation"], found["test_fraction"]) == ("image_folder", 10, 0.5)
    assert found["root"] == "there"
    assert found["source"] == {"_target_": "Folder", "root": "there", "data_dir": "/mine"}


def test_probes_are_the_checkpoints_unless_typed() -> None:
    now = plain() | {"probe": {"n_init": 10, "k": None}}
    then = make_provenance(plain() | {"probe": {"n_init": 1, "k": 5}}, SPLIT, 2)
    assert scored_as_trained(now, then, set())["probe"] == {"n_init": 1, "k": 5}
    assert scored_as_trained(now, then, {"probe.n_init"})["probe"] == {"n_init": 10, "k": 5}
    assert scored_as_trained(now, then, {"probe"})["probe"] == {"n_init": 10, "k": None}


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"seed"}, "trained with seed=3, not 0; leave seed out"),
        ({"model.optimizer.lr"}, r"has model\.optimizer\.lr=None, not 0\.1; leave model\.optimizer\.lr out"),
    ],
)
def test_what_contradicts_a_checkpoint_is_named(typed: set[str], says: str) -> None:
    now = plain()
    now["model"]["optimizer"] = {"lr": 0.1}
    with pytest.raises(ValueError, match=says):
        scored_as_trained(now, stored() | {"seed": 3}, typed)
    assert scored_as_trained(now, stored() | {"seed": 3}, set())["seed"] == 3


def test_a_checkpoint_is_scored_in_the_precision_it_was_scored_in() -> None:
    then = stored()
    now = plain() | {"trainer": {"eval_precision": 32}}
    assert scored_as_trained(now, then, set())["trainer"]["eval_precision"] == "tf32"
    assert scored_as_trained(now, then, {"trainer.eval_precision"})["trainer"]["eval_precision"] == 32
    del then["eval_precision"]  # of a version that always computed in 32
    assert scored_as_trained(plain(), then, set())["trainer"]["eval_precision"] == 32


def test_places_are_stored_as_absolute_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    data = stored(root="six", test_root=None, source={"root": "six", "test_root": "t"})["data"]
    assert data["root"] == str(tmp_path / "six")
    assert data["test_root"] is None
    assert data["source"] == {"root": str(tmp_path / "six"), "test_root": str(tmp_path / "t")}


def test_images_trained_on_are_known_again() -> None:
    then = make_provenance(plain(), SPLIT, 2, ["ant/1.png", "ant/2.png", "\udcff.png"])
    assert trained_before(checkpoint(then), ["ant/2.png", "ant/3.png", "\udcff.png"]) == 2
    assert trained_before(checkpoint(stored()), ["ant/2.png"]) == 0


def test_a_run_does_not_go_on_with_other_images() -> None:
    one, two = (make_provenance(plain(), SPLIT, 2, names) for names in (["a", "b"], ["a", "c", "d"]))
    check_resumable(checkpoint(one), one)
    with pytest.raises(ValueError, match=r"was trained on other images \(2 then, 3 now"):
        check_resumable(checkpoint(one), two)


def test_other_data_are_still_other_data() -> None:
    found = scored_as_trained(plain(name="digits"), stored(), {"data", "data.cache_gb"})
    assert found["data"]["name"] == "digits"


@pytest.mark.parametrize(
    ("typed", "now", "max_steps", "rotation", "seed"),
    [
        ({"ckpt_path"}, {}, 300, 10, 3),
        ({"ckpt_path", "trainer.max_steps"}, {}, 500, 10, 3),
        ({"ckpt_path", "data.rotation", "seed"}, {"rotation": 5}, 300, 5, 0),
        ({"ckpt_path", "data", "trainer"}, {"name": "digits", "rotation": 0}, 500, 0, 3),
        ({"ckpt_path", "recipe.max_steps"}, {"rotation": 0}, 500, 0, 0),
    ],
)
def test_a_run_goes_on_with_its_own_settings_but_for_those_that_are_typed(
    typed: set[str], now: dict[str, Any], max_steps: int, rotation: int, seed: int
) -> None:
    then = plain() | {
        "seed": 3,
        "trainer": {"eval_precision": "tf32", "max_steps": 300, "precision": "32-true"},
    }
    here = plain(**now) | {"trainer": {"eval_precision": "tf32", "max_steps": 500, "precision": "bf16-mixed"}}
    found = resumed_as_trained(here, make_provenance(then, SPLIT, 2), typed)
    assert (found["trainer"]["max_steps"], found["data"]["rotation"], found["seed"]) == (
        max_steps,
        rotation,
        seed,
    )
    assert found["trainer"]["precision"] == "bf16-mixed"  # of the machine
