"""The printed numbers, and that nothing but a faithful run stands beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from reporting.synthetic import Made, make_run

from unseen.reporting.collect import collect
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.layers.layer_tables import against_the_papers
from unseen.reporting.layers.papers import (
    NETWORKS,
    TOLERANCE,
    compare_with_papers,
    published,
    why_not_comparable,
)
from unseen.runs.cli import register_resolvers

FAITHFUL = Made(model="pvt", data="calligraphy", size="paper", steps=(0, 100, 200, 300, 400, 500))


def configurations_of(root: Path) -> tuple[Configuration, ...]:
    return group_runs(collect([root]).runs)[0]


def test_printed_numbers() -> None:
    rows = {(row.model, row.data, row.split, row.probe): row.value for row in published()}
    assert len(rows) == len(published()) == 2 * 6 * 7 + 1
    assert rows["vit", "calligraphy", "unseen", "nmi"] == 0.68
    assert rows["swin", "cifar100", "unseen", "nmi"] == 0.04
    assert rows["convnext", "cifar100", "seen", "accuracy"] == 0.95
    assert rows["poolformer", "calligraphy", "unseen", "nnk"] == 0.57
    assert rows["resnet", "calligraphy", "unseen", "nmi"] == 0.61
    for (
        _,
        _,
        split,
        probe,
    ), value in rows.items():  # the papers' seen NN@500 is at its ceiling, .377 and .198
        assert 0 < value <= (0.38 if (split, probe) == ("seen", "nnk") else 0.99)


@pytest.mark.parametrize("data", ["calligraphy", "cifar100"])
@pytest.mark.parametrize("model", ["pvt", "resnet"])
def test_a_faithful_run_is_compared(tmp_path: Path, model: str, data: str) -> None:
    for seed in (0, 1):
        make_run(tmp_path / str(seed), replace(FAITHFUL, model=model, data=data, seed=seed))
    (config,) = configurations_of(tmp_path)
    assert why_not_comparable(config.runs[0]) == ""
    rows = [row for row in compare_with_papers([config]) if row.ours]
    if (model, data) == ("resnet", "cifar100"):
        assert rows == []  # nothing is printed for it
        return
    (g,) = [row for row in rows if (row.split, row.probe) == ("unseen", "nmi")]
    mean = config.nmi.mean(axis=0).max()  # over seeds first, then the largest layer
    assert g.ours is not None
    assert (g.ours.mean, g.ours.n) == (pytest.approx(mean), 2)
    assert g.difference == pytest.approx(mean - g.value)
    assert g.within == (abs(g.difference) <= TOLERANCE)
    assert {row.model for row in rows} == {model}


ALTERED: list[tuple[tuple[tuple[str, Any], ...], str]] = [
    ((("probe.n_init", 10),), "probe.n_init is 10, theirs 1"),
    ((("probe.k", None),), "probe.k is null, theirs 500"),
    ((("probe.seed", 1),), "probe.seed is 1, theirs 42"),
    ((("model.pooling", "auto"),), "model.pooling is auto, theirs paper"),
    ((("model.pretrained", False),), "model.pretrained is false, theirs true"),
    ((("model.backbone.architecture", "pvt_v2"),), "model.backbone.architecture is pvt_v2, theirs pvt"),
    (
        (("model.backbone.checkpoint", "other/pvt"),),
        "model.backbone.checkpoint is other/pvt, theirs Zetatech",
    ),
    ((("model.backbone.options", {"depths": [1, 1, 1, 1]}),), "model.backbone.options is"),
    ((("model.backbone.taps", ["pvt.encoder.layer_norm"]),), "model.backbone.taps is"),
    (
        (("model.optimizer.betas", [0.5, 0.999]),),
        "model.optimizer.betas is [0.5, 0.999], theirs [0.9, 0.999]",
    ),
    ((("model.optimizer.eps", 1.0),), "model.optimizer.eps is 1.0, theirs 1e-08"),
    ((("model.scheduler.epochs", 1),), "model.scheduler.epochs is 1, theirs 4"),
    ((("data.pad", 0.0),), "data.pad is 0.0, theirs 0.089"),
    ((("data.image_size", 64),), "data.image_size is 64, theirs 224"),
    ((("data.rotation", 0),), "data.rotation is 0, theirs 10"),
    ((("data.eval_deterministic", True),), "data.eval_deterministic is true, theirs false"),
    ((("data.root", "/my/images"),), "data.root is /my/images, theirs null"),
    ((("data.source.url", "https://elsewhere"),), "data.source.url is https://elsewhere, theirs absent"),
    ((("data.train_size", None),), "data.train_size is null, theirs 9100"),
    ((("data.unseen", ["bdsr"]),), "other unseen classes"),
    ((("data.seen", ["bdsr"]),), 'data.seen is ["bdsr"], theirs null'),
    ((("trainer.devices", 8),), "576 images a step (all processes), theirs 72"),
    ((("trainer.devices", "auto"),), "how many images a step had is not known (trainer.devices is auto)"),
    ((("trainer.accumulate_grad_batches", 2),), "144 images a step (all processes), theirs 72"),
    ((("trainer.precision", "bf16-mixed"),), "trainer.precision is bf16-mixed, theirs 16-mixed"),
    ((("trainer.limit_train_batches", 0.1),), "trainer.limit_train_batches is 0.1, theirs absent"),
    (
        (("trainer.gradient_clip_algorithm", "value"),),
        "trainer.gradient_clip_algorithm is value, theirs absent",
    ),
    ((("trainer.gradient_clip_val", None),), "trainer.gradient_clip_val is null, theirs 1.0"),
    ((("trainer.max_epochs", 1),), "trainer.max_epochs is 1, theirs null"),
    (
        (("callbacks.early", {"_target_": "lightning.pytorch.callbacks.EarlyStopping"}),),
        "callbacks.early._target_",
    ),
]


@pytest.mark.parametrize(("settings", "message"), ALTERED, ids=[settings[0][0] for settings, _ in ALTERED])
def test_one_other_setting_is_enough_to_be_left_out(tmp_path: Path, settings: Any, message: str) -> None:
    make_run(tmp_path / "a", replace(FAITHFUL, settings=settings))
    (config,) = configurations_of(tmp_path)
    assert why_not_comparable(config.runs[0]).startswith(message)
    assert not any(row.ours for row in compare_with_papers([config]))


@pytest.mark.parametrize("devices", [2, [0, 1]])
def test_processes_that_share_the_batch_are_the_papers_batch(tmp_path: Path, devices: Any) -> None:
    settings = (("trainer.devices", devices), ("data.batch_size", 36))
    make_run(tmp_path / "a", replace(FAITHFUL, settings=settings))
    assert why_not_comparable(configurations_of(tmp_path)[0].runs[0]) == ""


def test_classes_that_were_drawn_are_not_the_papers(tmp_path: Path) -> None:
    make_run(tmp_path / "a", replace(FAITHFUL, unseen=("bdsr", "csl", "hy", "mf", "shz")))
    assert why_not_comparable(configurations_of(tmp_path)[0].runs[0]) == "other unseen classes"


@pytest.mark.parametrize(
    ("model", "data"), [*((model, "calligraphy") for model in NETWORKS), ("cvt", "cifar100")]
)
def test_the_experiments_have_the_papers_settings(tmp_path: Path, model: str, data: str) -> None:
    """What configs/experiment sets today is what stands beside the papers."""
    folder = make_run(tmp_path / "a", replace(FAITHFUL, model=model, data=data))
    register_resolvers()
    with initialize_config_dir(str(Path(__file__).parents[3] / "configs"), version_base=None):
        overrides = [f"experiment={data}", f"model={model}", f"paths.output_dir={folder}"]
        composed = OmegaConf.to_container(compose("train", overrides=overrides), resolve=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(composed))
    assert why_not_comparable(configurations_of(tmp_path)[0].runs[0]) == ""


def test_the_mean_of_the_other_networks_is_the_null(tmp_path: Path) -> None:
    """It matches most printed numbers without knowing the network: 76 of 84."""
    rows = [row for row in published() if row.others is not None]
    (vit,) = [
        row
        for row in rows
        if (row.model, row.data, row.split, row.probe) == ("vit", "cifar100", "unseen", "nmi")
    ]
    assert vit.others == pytest.approx((0.04 + 0.21 + 0.15 + 0.22 + 0.15) / 5)
    assert not vit.others_within
    assert (sum(row.others_within for row in rows), len(rows)) == (76, 84)


def test_their_unseen_classes_by_name_are_theirs(tmp_path: Path) -> None:
    make_run(
        tmp_path / "a", replace(FAITHFUL, settings=(("data.unseen", ["wzm", "csl", "hy", "mf", "shz"]),))
    )
    assert why_not_comparable(configurations_of(tmp_path)[0].runs[0]) == ""


def test_the_demo_is_never_a_reproduction(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="pvt", data="calligraphy", size="demo", steps=(0, 500)))
    found = configurations_of(tmp_path)
    assert "size is demo, theirs paper" in why_not_comparable(found[0].runs[0])
    table = against_the_papers(compare_with_papers(found))
    assert {row.cells[4] for row in table.rows} == {"not run"}
    assert {row.cells[7] for row in table.rows} == {"not run"}


def test_another_step_or_an_unknown_network_is_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "a", replace(FAITHFUL, steps=(0, 400)))
    make_run(tmp_path / "b", replace(FAITHFUL, model="efficientnet_lite0"))
    make_run(tmp_path / "c", replace(FAITHFUL, data="digits"))
    folder = make_run(tmp_path / "d", replace(FAITHFUL, model="vit"))
    (folder / "config.yaml").unlink()
    message = {why_not_comparable(config.runs[0]) for config in configurations_of(tmp_path)}
    assert message == {
        "not scored at step 500",
        "the papers have no efficientnet_lite0",
        "the papers have no digits",
        "its config.yaml is missing",
    }
