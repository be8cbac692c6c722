"""The sentences about runs whose numbers are known: nothing is claimed that no test shows."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, change_summary, make_curves, make_run, put_nmi

from unseen.reporting.collect import collect
from unseen.reporting.layers.analysis import Analysis, Contest, analyse
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.layers.summary import Summary, across_data, claims_sentence, findings, summarise
from unseen.reporting.number_texts import p_text
from unseen.scores import ACCURACY, Score

SEEDS = 6


def analysis_of(root: Path) -> Analysis:
    return analyse(group_runs(collect([root]).runs)[0])


def contest_of(root: Path) -> tuple[Contest, Analysis]:
    found = analysis_of(root)
    (contest,) = found.contests
    return contest, found


def summary_of(root: Path) -> Summary:
    return summarise(*contest_of(root))


def findings_of(root: Path) -> str:
    return " ".join(findings(*contest_of(root)))


def noisy(curve: list[float], seeds: int = SEEDS, scale: float = 0.01) -> list[list[float]]:
    """Return curves whose layers move a little, each seed in its own way."""
    rng = np.random.default_rng(0)
    return (np.array(curve) + rng.normal(0, scale, (seeds, len(curve)))).tolist()


def test_a_clear_winner_is_named(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", noisy([0.1, 0.8, 0.3]))
    make_curves(tmp_path, "swin", noisy([0.1, 0.2, 0.3]))
    found = summary_of(tmp_path)
    assert found.headline.startswith(
        "On digits (demo size), unseen classes c0, c1, c2, cvt separates classes it has never seen best of 2 "
        "networks: "
        "g = 0.80 (95 % interval 0."
    )
    assert "as the papers choose the layer." in found.headline
    assert "cvt has 6 seeds; intervals and tests are over seeds, for these classes." in found.details
    assert (
        "Its best layer in the mean is 1 of 0 to 2 (stage1); every other layer is excluded." in found.details
    )
    assert "It lies above the last layer by 0.50 (95 % interval 0.4" in found.details
    message = findings_of(tmp_path)
    assert (
        "The best layer is not the last in 1 of 2 networks; if all layers were equal, chance would give 1.3."
        in message
    )
    assert "A lead over the last layer is shown for 1." in message
    assert (
        "NMI neither only rises nor only falls with depth in 1 of 2 networks: cvt (peak at layer 1)."
        in message
    )
    assert "it needs three whose accuracy is known and differs (2 here)" in message
    assert "NMI by chance (permuted labels) was not measured" in message


def test_the_headline_crowns_none_of_those_that_are_not_told_apart(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", noisy([0.1, 0.61], scale=0.05))
    make_curves(tmp_path, "my-swin", noisy([0.2, 0.60], scale=0.05)[::-1])
    make_curves(tmp_path, "vit", noisy([0.1, 0.2], scale=0.01))
    found = summary_of(tmp_path)
    assert " lead 3 networks and cannot be told apart: g = 0." in found.headline
    assert "vit" not in found.headline
    assert "my-swin" in found.details  # a hyphen is no minus
    assert "to find such a difference in 80 % of cases takes" in found.details


def test_no_fewer_runs_are_asked_for_than_there_are(tmp_path: Path) -> None:
    """The difference passes by itself and fails among all tests of the page."""
    for offset, model in enumerate(("cvt", "swin", "vit", "pvt")):
        rng = np.random.default_rng(offset)
        curves = 0.6 - 0.075 * min(offset, 1) + rng.normal(0, 0.04, (SEEDS, 2)) - [0.3, 0]
        make_curves(tmp_path, model, curves.tolist())
    contest, found = contest_of(tmp_path)
    details, best_two = summarise(contest, found).details, contest.pairs[0]
    assert best_two.found.p < 0.05
    assert not found.written[best_two]
    assert "in the mean (p = .0" in details
    assert "to find such a difference" not in details


def test_a_lower_one_that_varies_more_is_not_crowned_above_the_second(tmp_path: Path) -> None:
    """swin is told from the best, vit, which lies below it, is not."""
    make_curves(tmp_path, "cvt", noisy([0.1, 0.80], scale=0.005))
    make_curves(tmp_path, "swin", noisy([0.1, 0.70], scale=0.005)[::-1])
    make_curves(tmp_path, "vit", noisy([0.1, 0.50], scale=0.30))
    headline = summary_of(tmp_path).headline
    assert "the 3 networks have no one best: not all of them can be told apart" in headline


def test_three_equal_seeds_show_nothing(tmp_path: Path) -> None:
    """All layers are equal in truth: the report of earlier versions found a best layer, a lead and a turn here."""
    rng = np.random.default_rng(2)
    for model in ("cvt", "swin", "vit"):
        make_curves(tmp_path, model, (0.5 + rng.normal(0, 0.03, (3, 9))).tolist())
    contest, found = contest_of(tmp_path)
    assert "the 3 networks cannot be told apart" in summarise(contest, found).headline
    message = findings_of(tmp_path)
    assert (
        "if all layers were equal, chance would give 2.7. A lead over the last layer is shown for 0."
        in message
    )
    assert "is shown for none of 3 networks" in message
    assert claims_sentence(found).startswith("Of 9 tests of networks and their layers 0 passed.")


def test_one_run_claims_nothing_about_seeds(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.3]], pixels=0.8)
    found = summary_of(tmp_path)
    assert (
        "cvt reaches g = 0.50; nothing else was run on these data; the raw pixels reach 0.80"
        in found.headline
    )
    assert "interval" not in found.headline + found.details
    assert "This is one run: how much another seed would change it is not known." in found.details
    assert "cannot be judged: that takes three layers, and three seeds" in findings_of(tmp_path)


def test_one_seed_of_two_choices_of_classes_is_not_one_run(tmp_path: Path) -> None:
    for split in (0, 1):
        make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.3]], split=split)
    assert (
        "This is one seed: how much another seed would change it is not known."
        in summary_of(tmp_path).details
    )


def test_the_noise_of_one_run_is_called_that_of_k_means(tmp_path: Path) -> None:
    noise = tuple(
        Score(0, 0, "unseen", layer, f"stage{layer}", None, "nmi_start_sd", 0.03) for layer in (0, 1)
    )
    put_nmi(make_run(tmp_path / "a", Made(model="cvt", data="digits", steps=(0,))), [0.1, 0.4], extra=noise)
    assert "only that k-means alone moves it by 0.03 (standard deviation)" in summary_of(tmp_path).details


def test_two_runs_have_no_interval(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5], [0.1, 0.7]])
    make_curves(tmp_path, "swin", [[0.1, 0.1], [0.1, 0.2]])
    found = summary_of(tmp_path)
    assert "cannot be told apart" in found.headline
    assert "interval" not in found.headline
    assert "too few for an interval or a test, which take three" in found.details
    # the spread of two differences says nothing of how many seeds are needed
    assert found.details.endswith("cvt is above swin in 2 of 2 seeds, by 0.450 in the mean.")


def test_one_run_each_names_the_network_whose_layer_it_is(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.3]])
    make_curves(tmp_path, "swin", [[0.1, 0.2]])
    found = summary_of(tmp_path)
    assert found.details.startswith("This is one run each: ")
    assert "The best layer of cvt is 1 of 0 to 2 (stage1)." in found.details
    assert "The best two share one class split and seed only, so they cannot be compared." in found.details


def test_one_run_beside_three_of_another_network_is_not_one_run_each(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5]])
    make_curves(tmp_path, "swin", noisy([0.1, 0.2], seeds=3))
    found = summary_of(tmp_path)
    assert found.details.startswith("cvt has one run: how much another seed would change it is not known.")


def test_equal_results_are_called_so(tmp_path: Path) -> None:
    for model in ("cvt", "swin"):
        make_curves(tmp_path, model, noisy([0.1, 0.5], seeds=3))
    assert summary_of(tmp_path).details.endswith("cvt and swin have the same g.")


def test_what_an_interval_over_class_splits_says(tmp_path: Path) -> None:
    for split in range(3):
        make_curves(tmp_path, "cvt", noisy([0.1, 0.5 + split / 10], seeds=2), split=split)
    found = summary_of(tmp_path)
    assert "over 3 choices of 3 unseen classes, cvt reaches g = 0.60 (95 % interval" in found.headline
    assert (
        "cvt has 3 class splits × 2 seeds; intervals and tests are over class splits and seeds."
        in found.details
    )


def test_one_seed_on_several_class_splits_says_so(tmp_path: Path) -> None:
    for split in range(3):
        make_curves(tmp_path, "cvt", [[0.1, 0.5 + split / 10]], split=split)
    found = summary_of(tmp_path)
    assert (
        "3 class splits × 1 seed; intervals and tests are over class splits, for this seed." in found.details
    )
    assert "What another seed would do to all of them cannot be seen." in found.details


def test_other_images_are_not_other_classes(tmp_path: Path) -> None:
    for split in range(3):
        for seed in range(2):
            settings = (("data.split_seed", split),)
            made = Made("cvt", "digits", seed=seed, settings=settings, unseen=("7", "8", "9"))
            make_run(tmp_path / f"{split}{seed}", made)
    found = summary_of(tmp_path)
    assert "over 3 draws of the images, unseen classes 7, 8, 9" in found.headline
    assert (
        "3 image draws × 2 seeds; intervals and tests are over image draws and seeds, for these classes."
        in found.details
    )
    assert "class split" not in found.details + found.headline
    (config,) = contest_of(tmp_path)[0].configurations
    lines = [name for name, _ in config.of_each_unit("unseen", "nmi")]
    assert lines == [f"7, 8, 9 (split seed {split})" for split in range(3)]  # a line each in the figure


def test_the_same_classes_again_among_other_splits_are_told(tmp_path: Path) -> None:
    for split, unseen in enumerate((("7", "8", "9"), ("7", "8", "9"), ("0", "1", "2"))):
        settings = (("data.split_seed", split), ("data.num_unseen", 3))
        make_run(tmp_path / str(split), Made("cvt", "digits", settings=settings, unseen=unseen))
    found = summary_of(tmp_path)
    assert "3 choices of 3 unseen classes, some of them the same classes with other images" in found.headline
    assert "over splits, some of the same classes, for this seed" in found.details


def test_a_configuration_of_one_layer(tmp_path: Path) -> None:
    put_nmi(make_run(tmp_path / "a", Made(model="cvt", data="digits", steps=(0,))), [0.4])
    assert "It has only this layer." in summary_of(tmp_path).details


def make_ranking(root: Path, order: list[float], seeds: int = 3) -> None:
    """Write networks of rising g with these accuracies."""
    for place, (model, accuracy) in enumerate(zip("abcdefgh", order, strict=False)):
        for seed in range(seeds):
            folder = make_run(
                root / f"{model}{seed}", Made(model=model, data="digits", seed=seed, steps=(0,))
            )
            head = Score(0, 0, "seen", -2, "head", None, ACCURACY, accuracy)
            put_nmi(folder, [0.1, 0.2 + place / 10 + seed / 1000], extra=(head,))


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (
            [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7],
            "rank the networks alike (Spearman ρ = 1.00 over 7 networks, p < .001)",
        ),
        (
            [0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1],
            "contradict each other: the higher the one, the lower the other",
        ),
        ([0.1, 0.2, 0.3], "3 networks cannot show it: the smallest possible p is 0.33"),
        ([0.3, 0.6, 0.1, 0.7, 0.2, 0.5, 0.4], "so many networks would find a true correlation of 0."),
    ],
)
def test_the_sign_of_a_relation_is_read(tmp_path: Path, order: list[float], words: str) -> None:
    make_ranking(tmp_path, order)
    contest, found = contest_of(tmp_path)
    kept = {contest: contest.association.p <= 0.05}  # whether the whole page lets it pass is another test
    assert words in " ".join(findings(contest, replace(found, written=dict(found.written) | kept)))


def test_settings_of_one_network_are_one_point(tmp_path: Path) -> None:
    for lr in (0.1, 0.2, 0.3, 0.4):
        for model in ("cvt", "swin"):
            settings = (("model.optimizer.lr", lr),)
            make_run(tmp_path / f"{model}{lr}", Made(model=model, data="digits", settings=settings))
    contest, _ = contest_of(tmp_path)
    assert len(contest.configurations) == 8
    assert contest.association.n == 2


def test_a_claim_must_pass_the_whole_page(tmp_path: Path) -> None:
    """p .03 of one test is written; beside 21 other tests it is not."""
    rng = np.random.default_rng(5)
    curves = (np.array([0.5, 0.57, 0.5]) + rng.normal(0, 0.04, (5, 3))).tolist()
    make_curves(tmp_path / "alone", "cvt", curves)
    for number in range(6):
        make_curves(tmp_path / "many", f"n{number}", (0.5 + rng.normal(0, 0.04, (5, 3))).tolist())
    make_curves(tmp_path / "many", "cvt", curves)
    results = {}
    for name in ("alone", "many"):
        found = analysis_of(tmp_path / name)
        (config,) = [one for one in found.configurations if one.model == "cvt"]
        assert config.lead.p < 0.05
        results[name] = found.written[config, "lead"]
    assert results == {"alone": True, "many": False}


def make_trained(root: Path, model: str, before: list[list[float]], after: list[list[float]]) -> None:
    """Write a run of two steps for each pair of NMI curves, seeds 0, 1, ..."""
    for seed, (first, last) in enumerate(zip(before, after, strict=True)):
        folder = make_run(root / f"{model}{seed}", Made(model=model, data="digits", seed=seed, steps=(0,)))
        trained = [Score(9, 0, "unseen", at, f"stage{at}", at / 2, "nmi", nmi) for at, nmi in enumerate(last)]
        put_nmi(folder, first, extra=tuple(trained))
        change_summary(folder, steps=9)


def test_what_training_did_to_g_is_told_where_it_is_shown(tmp_path: Path) -> None:
    make_trained(tmp_path, "cvt", noisy([0.1, 0.6, 0.3]), noisy([0.1, 0.3, 0.4])[::-1])
    make_trained(tmp_path, "swin", noisy([0.1, 0.2, 0.3]), noisy([0.1, 0.2, 0.5])[::-1])
    make_trained(tmp_path, "vit", [[0.1, 0.5, 0.4]] * 3, [[0.1, 0.6, 0.4], [0.1, 0.6, 0.4], [0.1, 0.3, 0.4]])
    message = findings_of(tmp_path)
    assert "Training raised g of swin by 0.20 (95 % interval 0.1" in message
    assert ", lowered g of cvt by 0.20 (95 % interval 0.1" in message
    assert "What training did to g is not shown: vit higher in 2 of 3 seeds, " in message


def test_what_training_did_to_g_in_one_run_is_no_claim(tmp_path: Path) -> None:
    make_trained(tmp_path, "cvt", [[0.1, 0.6, 0.3]], [[0.1, 0.3, 0.4]])
    assert "What training did to g is not shown: cvt from 0.60 to 0.40 in one run." in findings_of(tmp_path)


def test_a_run_that_lacks_a_layer_is_named(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.4], [0.1, 0.6, 0.5], [0.1, math.nan, 0.9]])
    assert "lacks the NMI of a layer that most other runs have" in findings_of(tmp_path)


def test_curves_of_unrelated_networks_do_not_agree(tmp_path: Path) -> None:
    for data in ("digits", "cifar100"):
        for model in ("cvt", "swin"):
            make_curves(tmp_path, model, [[0.1, 0.2, 0.3, 0.4]], data=data)
    found = analysis_of(tmp_path)
    (pair,) = found.data_set_pairs
    assert "is not shown: ρ above zero in 2 of 2 networks, 1.00 in the mean, too few for a p." in across_data(
        pair, found
    )


def test_no_p_is_printed_as_zero() -> None:
    assert [p_text(p) for p in (0.0, 0.0009, 0.001, 0.05, 1.0)] == [
        "p < .001", "p < .001", "p = .001", "p = .050", "p = 1.000",
    ]  # fmt: skip


def test_configurations_of_one_network_are_not_called_networks(tmp_path: Path) -> None:
    made = Made(model="cvt", data="digits")
    make_run(tmp_path / "a", made)
    make_run(tmp_path / "b", replace(made, settings=(("model.optimizer.lr", 0.5),)))
    assert "the 2 configurations cannot be told apart" in summary_of(tmp_path).headline


def test_networks_that_were_trained_differently_are_flagged(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", data="digits"))
    make_run(tmp_path / "b", Made(model="swin", data="digits"))
    assert "trained alike" not in findings_of(tmp_path)
    make_run(tmp_path / "c", Made(model="vit", data="digits", settings=(("trainer.max_steps", 10),)))
    first = findings(*contest_of(tmp_path))[0]
    assert first.startswith("Not all networks were trained alike")
    assert first.endswith("trainer.max_steps is 10 or 200.")


def test_a_sweep_over_every_network_is_fair(tmp_path: Path) -> None:
    for model in ("cvt", "swin"):
        for lr in (0.1, 0.2):
            settings = (("model.optimizer.lr", lr),)
            make_run(tmp_path / f"{model}{lr}", Made(model=model, data="digits", settings=settings))
    assert "trained alike" not in findings_of(tmp_path)
