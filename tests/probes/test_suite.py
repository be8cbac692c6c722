"""All probes of a layer at once."""

from __future__ import annotations

import random
import warnings

import numpy as np
import pytest
import torch

from unseen.layer_selection import kmeans_silhouette, neural_collapse, subset_nmi
from unseen.probe_table import SCORES
from unseen.probes import (
    ProbeSuite,
    ProbeWarning,
    kmeans_agreement,
    linear_probe_accuracy,
    neighbor_agreement,
    r_precision,
    run_probes,
)
from unseen.probes.inputs import at_most
from unseen.probes.linear import binomial_error
from unseen.selector_table import chosen

BY_DEFAULT = [
    name
    for name in SCORES
    if not name.endswith("_image_sd")
    and not name.startswith(("few_shot_", "cluster_accuracy"))
    and name != "class_count_error"
]


@pytest.mark.parametrize("num_threads", [1, 3])
def test_equals_the_single_probes(blobs, num_threads):
    embeddings, labels = blobs
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        scores = run_probes(embeddings, labels, ProbeSuite(n_init=2, seed=0, k=25, standardize=True))
    finally:
        torch.set_num_threads(before)
    agreement = neighbor_agreement(embeddings, labels, k=25)
    clusters = kmeans_agreement(embeddings, labels, n_init=2, seed=0)
    assert scores == {
        "nmi": clusters.nmi,
        "ami": clusters.ami,
        "nmi_chance": clusters.chance,
        "nmi_start_sd": clusters.start_sd,
        "nn1": agreement.at_1,
        "nnk": agreement.at_k,
        "nnk_ceiling": agreement.ceiling,
        "r_precision": r_precision(embeddings, labels),
        "nn_chance": pytest.approx((20 * 19 + 30 * 29 + 40 * 39) / 90 / 89),
        "r_precision_chance": pytest.approx((20 * 19 + 30 * 29 + 40 * 39) / 90 / 89),
        "linear_probe": linear_probe_accuracy(embeddings, labels, seed=0, standardize=True),
        "linear_probe_chance": 8 / 18,  # of 20, 30 and 40 samples 4, 6 and 8 are tested
        "linear_probe_se": pytest.approx(
            binomial_error(
                round(18 * linear_probe_accuracy(embeddings, labels, seed=0, standardize=True)), 18
            )
        ),
    }
    assert list(scores) == BY_DEFAULT
    assert all(type(value) is float for value in scores.values())


@pytest.mark.filterwarnings("ignore::unseen.probes.inputs.ProbeWarning")
@pytest.mark.parametrize("repeated", [False, True])
def test_threads_and_their_order_change_no_bit(repeated):
    """With repeated samples scikit-learn takes over a start that lost a cluster."""
    rng = np.random.default_rng(0)
    labels = np.arange(1200) % 20
    embeddings = (rng.normal(size=(20, 256))[labels] + 2 * rng.normal(size=(1200, 256))).astype(np.float32)
    if repeated:
        embeddings = embeddings[rng.integers(15, size=1200)]
    found = []
    before = torch.get_num_threads()
    for num_threads in (1, 3):
        torch.set_num_threads(num_threads)
        try:
            found.append(run_probes(embeddings, labels, ProbeSuite(n_init=2, seed=0)))
        finally:
            torch.set_num_threads(before)
    assert found[0] == found[1]


def test_reference_values(reference):
    scores = run_probes(reference.embeddings, reference.labels, ProbeSuite(n_init=1, k=reference.values["k"]))
    for mine, theirs in (("nmi", "nmi"), ("nn1", "nn1"), ("nnk_ceiling", "nnk_ceiling")):
        assert scores[mine] == pytest.approx(reference.values[theirs], abs=1e-6)
    assert scores["nnk"] == pytest.approx(reference.values["nnk"], abs=1e-4)  # ties, see test_neighbors.py
    assert scores["r_precision"] == pytest.approx(reference.values["r_precision"], abs=1e-4)
    assert scores["linear_probe"] == pytest.approx(reference.values["linear_probe_raw"], abs=0.011)


def test_k_defaults_to_the_largest_class(blobs):
    embeddings, labels = blobs  # classes of 20, 30 and 40
    settings = ProbeSuite(n_init=1, probes=["clusters", "neighbors"])
    scores = run_probes(embeddings, labels, settings)
    assert scores["nnk"] == neighbor_agreement(embeddings, labels, k=40).at_k
    # the linear probe as asked, and one start has no spread
    assert list(scores) == [
        name for name in BY_DEFAULT if not name.startswith("linear_probe") and name != "nmi_start_sd"
    ]


def test_probing_draws_no_random_numbers_and_repeats_bit_for_bit(blobs):
    embeddings, labels = (torch.from_numpy(array) for array in blobs)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    first = run_probes(embeddings, labels, ProbeSuite())
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    assert before == after
    random.random()
    torch.rand(3)
    assert run_probes(embeddings, labels, ProbeSuite()) == first


def test_a_warning_names_the_labels_that_were_given(blobs):
    embeddings, labels = blobs[0], blobs[1] + 80
    labels[5] = 99
    with pytest.warns(ProbeWarning, match=r"single sample cannot be split \(labels 99\)"):
        run_probes(embeddings, labels, ProbeSuite(n_init=1))


def test_runs_within_inference_mode_and_without_gradients(blobs):
    embeddings, labels = (torch.from_numpy(array) for array in blobs)
    expected = run_probes(embeddings, labels, ProbeSuite(n_init=1))
    with torch.inference_mode():
        assert run_probes(embeddings.clone(), labels, ProbeSuite(n_init=1)) == expected
    assert run_probes(embeddings.clone().requires_grad_(), labels, ProbeSuite(n_init=1)) == expected


def test_a_dead_layer_is_scored_and_a_diverged_one_refused(blobs):
    _, labels = blobs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = run_probes(torch.zeros(90, 5), labels, ProbeSuite(k=10))
    assert scores["nmi"] == 0.0
    assert scores["nn1"] == pytest.approx((20 * 19 + 30 * 29 + 40 * 39) / 90 / 89)  # chance
    assert scores["linear_probe"] == scores["linear_probe_chance"] == 8 / 18  # the largest class
    assert scores["nn1"] == pytest.approx(scores["nn_chance"])
    with pytest.raises(ValueError, match="embeddings contain NaN or infinity"):
        run_probes(torch.full((90, 5), torch.nan), labels, ProbeSuite())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"n_init": 0}, "n_init must be at least 1, got 0"),
        ({"k": 0}, "k must be at least 1 or None, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"seed": 2**32}, "seed must be at most 4294967295, got 4294967296"),
        ({"n_init": 2.0}, "n_init must be int, got 2.0"),
        ({"n_init": True}, "n_init must be int, got True"),
        ({"image_bootstrap": 1}, "image_bootstrap must be at least 2 or None, got 1"),
        ({"standardize": 1}, "standardize must be bool, got 1"),
        ({"n_inti": 1}, "unknown setting 'n_inti'; known are n_init, seed, k, standardize, image_bootstrap"),
        ({"few_shot": 5}, r"few_shot must be a list of some of 1, 2, 5, 10, 20, each once, or \[\]; got 5"),
        ({"few_shot": [5, 5]}, r"few_shot must be .* got \[5, 5\]"),
        ({"few_shot": [3]}, r"few_shot must be .* got \[3\]"),
        ({"few_shot": [True]}, r"few_shot must be .* got \[True\]"),
        ({"discovery": 1}, "discovery must be bool, got 1"),
        ({"probes": ["nmi"]}, "unknown probe 'nmi'; known are clusters, neighbors, few_shot, linear"),
    ],
)
def test_wrong_settings(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        ProbeSuite(**settings)


def test_selectors_are_computed_on_their_split_beside_the_probes(blobs):
    embeddings, labels = blobs
    suite = ProbeSuite(n_init=2, seed=0, probes=["clusters"], selectors=chosen("default"), num_unseen=2)
    plain = run_probes(embeddings, labels, suite.of(""))
    unseen, seen = (run_probes(embeddings, labels, suite.of(split)) for split in ("unseen", "seen"))
    rows = {
        split: {one.row for one in chosen("default") if one.split == split} for split in ("unseen", "seen")
    }
    assert unseen.keys() - plain.keys() == rows["unseen"]
    assert seen.keys() - plain.keys() == rows["seen"] - {"nmi"}  # a row of the probes
    assert unseen["silhouette"] == kmeans_silhouette(embeddings, 2, n_init=2, seed=0)
    assert seen["subset_nmi"] == subset_nmi(embeddings, labels, 2, n_init=2, seed=0)
    assert suite.only("clusters").selectors == ()


def test_a_selector_looks_at_so_many_imagesat_most(blobs, monkeypatch):
    """Drawn by the seed, each once, in their order: the same for any number of processes."""
    embeddings, labels = blobs
    suite = ProbeSuite(probes=["clusters"], selectors=chosen(["nc1"]), num_unseen=2)
    whole = run_probes(embeddings, labels, suite.of("seen"))["nc1"]
    monkeypatch.setattr("unseen.probes.suite.MOST_IMAGES", 60)
    rows = at_most(60, 90, suite.settings["seed"])
    assert len(rows.unique()) == 60
    assert rows.tolist() == sorted(rows.tolist())
    some = run_probes(embeddings, labels, suite.of("seen"))["nc1"]
    assert some == neural_collapse(embeddings[rows], labels[rows]) != whole
