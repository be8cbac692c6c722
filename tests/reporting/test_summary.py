"""The sentences about runs whose numbers are known."""

from dataclasses import replace
from pathlib import Path

from reporting.synthetic import Made, make_curves, make_run, put_nmi

from unseen.reporting.analysis import Contest, analyse
from unseen.reporting.collect import collect
from unseen.reporting.groups import group_runs
from unseen.reporting.summary import findings, summarise


def contest_of(root: Path) -> Contest:
    (contest,) = analyse(group_runs(collect([root]).runs)[0]).contests
    return contest


def test_the_summary_names_network_layer_and_doubt(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.3], [0.2, 0.7, 0.6], [0.1, 0.6, 0.2]])
    make_curves(tmp_path, "swin", [[0.1, 0.2, 0.3], [0.2, 0.3, 0.4], [0.1, 0.2, 0.3]])
    contest = contest_of(tmp_path)
    found = summarise(contest)
    assert found.headline == (
        "On digits (demo size) cvt separates classes it has never seen best of 2 networks, at layer 1 of 0 to 2 "
        "(stage1): g = 0.60 (95 % interval 0.50 to 0.70, 3 seeds)."
    )
    assert "best in 3 of 3 seeds; three seeds are few" in found.details
    assert "Its last layer has 0.37, which is lower by 0.23 (95 % interval 0.10 to 0.40)." in found.details
    assert (
        "Next is swin with 0.33; it is below in all 3 shared seeds, which are too few to be certain."
        in found.details
    )
    message = " ".join(findings(contest))
    assert "not the last in 1 of 2 networks" in message
    assert "it needs three whose accuracy is known and differs (2 here)" in message
    assert "NMI by chance (permuted labels) was not measured" in message


def test_the_summary_of_one_run_claims_nothing_about_seeds(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.3]], pixels=0.8)
    found = summarise(contest_of(tmp_path))
    assert "g = 0.50 in one run." in found.headline
    assert "interval" not in found.headline + found.details
    assert "how much another seed would change it is not known" in found.details
    assert "No other network was run" in found.details
    assert "The raw pixels reach 0.80: here no layer does better than no network at all" in found.details


def test_a_configuration_of_one_layer(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", Made(model="cvt", data="digits", steps=(0,)))
    put_nmi(folder, [0.4])
    contest = contest_of(tmp_path)
    assert "It has only this layer." in summarise(contest).details
    assert contest.best.shape.rises == 0


def test_configurations_of_one_network_are_not_called_networks(tmp_path: Path) -> None:
    made = Made(model="cvt", data="digits")
    make_run(tmp_path / "a", made)
    make_run(tmp_path / "b", replace(made, settings=(("model.optimizer.lr", 0.5),)))
    assert "best of 2 configurations" in summarise(contest_of(tmp_path)).headline


def test_networks_that_were_trained_differently_are_flagged(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", data="digits"))
    make_run(tmp_path / "b", Made(model="swin", data="digits"))
    assert not any("trained alike" in one for one in findings(contest_of(tmp_path)))
    make_run(tmp_path / "c", Made(model="vit", data="digits", settings=(("trainer.max_steps", 10),)))
    first = findings(contest_of(tmp_path))[0]
    assert first.startswith("Not all networks were trained alike")
    assert first.endswith("trainer.max_steps is 10 or 200.")


def test_a_sweep_over_every_network_is_fair(tmp_path: Path) -> None:
    for model in ("cvt", "swin"):
        for lr in (0.1, 0.2):
            settings = (("model.optimizer.lr", lr),)
            make_run(tmp_path / f"{model}{lr}", Made(model=model, data="digits", settings=settings))
    assert not any("trained alike" in one for one in findings(contest_of(tmp_path)))
