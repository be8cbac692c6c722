"""The printed numbers, and that nothing but a faithful run stands beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reporting.synthetic import Made, make_run

from unseen.reporting.collect import collect
from unseen.reporting.configuration import Configuration
from unseen.reporting.groups import group_runs
from unseen.reporting.papers import TOLERANCE, compare_with_papers, published, why_not_comparable
from unseen.reporting.tables import against_the_papers

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
    assert why_not_comparable(config) == ""
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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((("probe.n_init", 10),), "probe.n_init is 10, theirs 1"),
        ((("probe.k", None),), "probe.k is null, theirs 500"),
        ((("model.pooling", "auto"),), "model.pooling is auto, theirs paper"),
        ((("model.pretrained", False),), "model.pretrained is false, theirs true"),
        ((("data.eval_deterministic", True),), "data.eval_deterministic is true, theirs false"),
        ((("data.train_size", None),), "data.train_size is null, theirs 9100"),
        ((("data.unseen", ["bdsr"]),), "other unseen classes"),
        ((("data.seen", ["bdsr"]),), "other seen classes"),
    ],
)
def test_one_other_setting_is_enough_to_be_left_out(tmp_path: Path, settings: Any, message: str) -> None:
    make_run(tmp_path / "a", replace(FAITHFUL, settings=settings))
    (config,) = configurations_of(tmp_path)
    assert why_not_comparable(config) == message
    assert not any(row.ours for row in compare_with_papers([config]))


def test_their_unseen_classes_by_name_are_theirs(tmp_path: Path) -> None:
    make_run(
        tmp_path / "a", replace(FAITHFUL, settings=(("data.unseen", ["wzm", "csl", "hy", "mf", "shz"]),))
    )
    assert why_not_comparable(configurations_of(tmp_path)[0]) == ""


def test_the_demo_is_never_a_reproduction(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="pvt", data="calligraphy", size="demo", steps=(0, 500)))
    found = configurations_of(tmp_path)
    assert "size is demo, theirs paper" in why_not_comparable(found[0])
    table = against_the_papers(compare_with_papers(found))
    assert {row.cells[4] for row in table.rows} == {"not run"}
    assert {row.cells[7] for row in table.rows} == {"not run"}


def test_another_step_or_an_unknown_network_is_not_compared(tmp_path: Path) -> None:
    make_run(tmp_path / "a", replace(FAITHFUL, steps=(0, 400)))
    make_run(tmp_path / "b", replace(FAITHFUL, model="efficientnet_lite0"))
    make_run(tmp_path / "c", replace(FAITHFUL, data="digits"))
    folder = make_run(tmp_path / "d", replace(FAITHFUL, model="vit"))
    (folder / "config.yaml").unlink()
    message = {why_not_comparable(config) for config in configurations_of(tmp_path)}
    assert message == {
        "not scored at step 500",
        "the papers have no efficientnet_lite0",
        "the papers have no digits",
        "its config.yaml is missing",
    }
