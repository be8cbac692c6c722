"""Which runs are averaged: those that differ in their seed only; a checkpoint that is scored again is no network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reporting.synthetic import Made, change_summary, make_evaluation, make_run

from unseen.reporting.collect import collect
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.layers.place import split_names
from unseen.scores import destroyed_probe


def configurations_of(root: Path) -> tuple[Configuration, ...]:
    return group_runs(collect([root]).runs)[0]


def test_seeds_form_a_group_wherever_they_ran(tmp_path: Path) -> None:
    for seed in (2, 0, 1):
        make_run(tmp_path / f"place{seed}", Made(model="cvt", seed=seed))
    (config,) = configurations_of(tmp_path)
    assert config.seeds == (0, 1, 2)
    assert config.label == "cvt"
    nmi = config.layers("unseen", "nmi")
    assert nmi.shape == (3, 3, 3)  # runs, steps, layers
    assert np.array_equal(nmi[2], config.runs[2].scores.layers["unseen", "nmi"])


def test_settings_that_differ_are_named(tmp_path: Path) -> None:
    made = Made(model="cvt")
    make_run(tmp_path / "a", made)
    make_run(tmp_path / "b", replace(made, settings=(("trainer.max_steps", 10),)))
    make_run(tmp_path / "c", replace(made, model="vit", settings=(("trainer.max_steps", 10),)))
    assert [config.label for config in configurations_of(tmp_path)] == [
        "cvt (trainer.max_steps=10)",
        "cvt (trainer.max_steps=200)",
        "vit",
    ]


def test_a_run_of_before_a_setting_existed_is_a_seed_of_those_without_it(tmp_path: Path) -> None:
    made, shift = Made(model="cvt"), "data.shift"
    make_run(tmp_path / "before", made)
    make_run(tmp_path / "now", replace(made, seed=1, settings=((shift, "none"), ("data.imbalance", 1))))
    make_run(tmp_path / "blurred", replace(made, settings=((shift, "blur"),)))
    make_run(tmp_path / "unequal", replace(made, settings=(("data.imbalance", 3),)))
    found = {config.label: config.seeds for config in configurations_of(tmp_path)}
    assert found == {"cvt": (0,), "cvt (data.imbalance=1)": (0, 1), "cvt (data.imbalance=3)": (0,)}


def test_many_settings_become_a_letter(tmp_path: Path) -> None:
    """A headline cannot hold them; the table `variants` does."""
    for lr, decay, batch in ((1e-3, 0.0, 72), (1e-4, 0.0, 72), (1e-4, 0.1, 72), (1e-4, 0.1, 36)):
        settings = (
            ("model.optimizer.lr", lr),
            ("model.optimizer.weight_decay", decay),
            ("data.batch_size", batch),
        )
        make_run(tmp_path / f"{lr}{decay}{batch}", Made(model="cvt", settings=settings))
    found = configurations_of(tmp_path)
    assert [config.label for config in found] == ["cvt A", "cvt B", "cvt C", "cvt D"]
    assert {key for config in found for key in config.settings} == {
        "data.batch_size", "model.optimizer.lr", "model.optimizer.weight_decay",
    }  # fmt: skip


def test_a_repeated_setting_is_named_once(tmp_path: Path) -> None:
    made = Made(model="cvt")
    make_run(tmp_path / "a", made)
    make_run(tmp_path / "b", replace(made, settings=(("recipe.lr", 0.5), ("model.optimizer.lr", 0.5))))
    assert [config.label for config in configurations_of(tmp_path)] == [
        "cvt (model.optimizer.lr=0.001)",
        "cvt (model.optimizer.lr=0.5)",
    ]


def test_class_splits_and_seeds_are_one_configuration(tmp_path: Path) -> None:
    for split, unseen in enumerate((("7", "8", "9"), ("0", "1", "2"))):
        for seed in range(2):
            settings = (("data.split_seed", split), ("data.num_unseen", 3))
            make_run(
                tmp_path / f"{split}{seed}", Made(model="cvt", seed=seed, settings=settings, unseen=unseen)
            )
    typed = (("data.unseen", ["4", "5", "6"]), ("data.split_seed", 0))  # named, not drawn
    make_run(tmp_path / "typed", Made(model="cvt", settings=typed, unseen=("4", "5", "6")))
    (config,) = configurations_of(tmp_path)
    assert str(config.units) == "3 class splits, 5 runs, of which 3 have seeds of all splits"
    assert sorted(split_names(config.runs).values()) == ["0, 1, 2", "4, 5, 6", "7, 8, 9"]


def test_other_images_of_the_same_classes_have_a_name_of_their_own(tmp_path: Path) -> None:
    for split in (0, 1):
        settings = (("data.split_seed", split),)
        make_run(tmp_path / str(split), Made(model="cvt", settings=settings, unseen=("a", "b")))
    (config,) = configurations_of(tmp_path)
    assert sorted(split_names(config.runs).values()) == ["a, b (split seed 0)", "a, b (split seed 1)"]


def test_images_are_known_by_their_files_wherever_they_are(tmp_path: Path) -> None:
    for seed, images in enumerate(("same", "same", "others")):
        made = Made(model="cvt", seed=seed, settings=(("data.root", f"/disk{seed}"),))
        change_summary(make_run(tmp_path / str(seed), made), images_hash=images)
    assert sorted(config.seeds for config in configurations_of(tmp_path)) == [(0, 1), (2,)]
    for folder in tmp_path.iterdir():  # of a version that wrote no hash
        change_summary(folder, "images_hash")
    assert len(configurations_of(tmp_path)) == 3


def test_only_shared_steps_count(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", steps=(0, 100, 200)))
    same = (("trainer.max_steps", 200), ("recipe.max_steps", 200))
    make_run(tmp_path / "b", Made(model="cvt", seed=1, steps=(0, 100), settings=same))
    (config,) = configurations_of(tmp_path)
    assert config.steps == [0, 100]
    assert config.layers("unseen", "nmi").shape == (2, 2, 3)
    assert np.isnan(config.layers("unseen", "nothing")).all()
    assert np.isnan(config.pixels("unseen", "nothing")).all()


def test_a_seed_counts_once_even_without_a_hash(tmp_path: Path) -> None:
    for name, when in (("a", "2026-01-01"), ("b", "2026-01-02")):
        folder = make_run(tmp_path / name, Made(model="cvt", written=when))
        facts = json.loads((folder / "summary.json").read_text())
        del facts["config_hash"]
        (folder / "summary.json").write_text(json.dumps(facts))
    groups, left_out = group_runs(collect([tmp_path]).runs)
    assert [Path(run.name).name for run in groups[0].runs] == ["b"]
    assert [(Path(one.name).name, one.status) for one in left_out] == [("a", "duplicate")]


MADE = Made(model="cvt", steps=(0, 100, 200))


def test_its_controls_stand_with_the_training_run(tmp_path: Path) -> None:
    trained = make_run(tmp_path / "train", MADE)
    make_evaluation(tmp_path / "eval", MADE, trained)
    collection = collect([tmp_path])
    assert len({run.facts.config_hash for run in collection.runs}) == 1
    assert sorted(run.facts.entry for run in collection.runs) == ["eval", "train"]
    (one,), (left_out,) = group_runs(collection.runs)
    assert [run.facts.entry for run in one.runs] == ["train"]
    assert one.label == "cvt"
    assert [(level, values.tolist()) for level, values in one.destroyed] == [(1, [0.01, 0.02, 0.03])]
    assert left_out.name.endswith("eval")
    assert "train again, which counts already; its nmi_noise_1 are shown with that run" in left_out.reason


def test_a_checkpoint_of_an_earlier_step_lends_nothing_to_the_last(tmp_path: Path) -> None:
    trained = make_run(tmp_path / "train", MADE)
    make_evaluation(tmp_path / "eval", MADE, trained, step=100)
    (one,), _ = group_runs(collect([tmp_path]).runs)
    assert one.destroyed == []
    assert np.isfinite(one.layers("unseen", destroyed_probe(1))[0]).all(axis=1).tolist() == [
        False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"probe": {"n_init": 1}},
        {"facts": {"data": "photos"}},
        {"facts": {"checkpoint": "elsewhere/checkpoints/last.ckpt"}},
    ],
)
def test_anything_else_stays_a_configuration_of_its_own(tmp_path: Path, changes: dict[str, Any]) -> None:
    trained = make_run(tmp_path / "train", MADE)
    make_evaluation(tmp_path / "eval", MADE, trained, **changes)
    groups, left_out = group_runs(collect([tmp_path]).runs)
    assert len(groups) == 2
    assert left_out == ()


def test_an_evaluation_alone_is_a_configuration(tmp_path: Path) -> None:
    make_evaluation(tmp_path / "eval", MADE, tmp_path / "not_here")
    ((one,), _) = group_runs(collect([tmp_path]).runs)
    assert len(one.destroyed) == 1


def test_runs_with_and_without_added_rows_are_one_configuration(tmp_path: Path) -> None:
    others = ("probe.noise_levels", [1.0]), ("probe.save_embeddings", False), ("data.eval_batch_size", 10)
    for seed, added in enumerate(((), *((one,) for one in others))):
        make_run(tmp_path / str(seed), Made(model="cvt", seed=seed, settings=added))
    (one,), left_out = group_runs(collect([tmp_path]).runs)
    assert one.seeds == (0, 1, 2, 3)
    assert left_out == ()


TRAINED = {
    "settings": {"trainer.max_steps": 200, "callbacks.layer_probe.pooling": "auto"}, "data": "digits",
    "split_hash": "same", "seen": ["0", "1"], "unseen": ["7", "8"],
}  # fmt: skip


def test_evaluations_of_three_seeds_are_three_seeds(tmp_path: Path) -> None:
    """Neither the checkpoint's path nor what was typed for the evaluation makes a configuration of its own."""
    for seed in range(3):
        facts = {"trained": TRAINED, "config_hash": str(seed), "split_hash": "same"}
        make_evaluation(tmp_path / str(seed), replace(MADE, seed=seed), tmp_path / f"gone{seed}", facts=facts)
    ((one,), left_out) = group_runs(collect([tmp_path]).runs)
    assert one.seeds == (0, 1, 2)
    assert one.label == "cvt"
    assert left_out == ()


@pytest.mark.parametrize(
    "trained",
    [None, {"settings": {"trainer.max_steps": 9}}, {"split_hash": "another"}],
    ids=["unknown training", "other training", "other classes"],
)
def test_evaluations_of_other_trainings_are_no_seeds_of_one(
    tmp_path: Path, trained: dict[str, Any] | None
) -> None:
    for seed, about in enumerate((TRAINED, trained and TRAINED | trained)):
        facts = {"trained": about, "config_hash": str(seed), "split_hash": "same"}
        make_evaluation(tmp_path / str(seed), replace(MADE, seed=seed), tmp_path / f"gone{seed}", facts=facts)
    assert [config.seeds for config in configurations_of(tmp_path)] in ([(0,), (1,)], [(1,), (0,)])
