"""Nearest neighbours: hand-placed points, exhaustive oracles, ties and edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from unseen.probes import (
    NeighborAgreement,
    neighbor_agreement,
    neighbors,
    r_precision,
)
from unseen.probes.neighbors import neighbor_chance


def agreement_of_ranking(ranking, labels, k):
    """Share of same-label ones among the first k columns of a ranking (N, >= k), averaged."""
    return np.mean(labels[ranking[:, :k]] == labels[:, None])


def kd_tree_ranking(embeddings):
    """All others by distance (N, N - 1); the tree subtracts coordinates and so loses no digits."""
    search = NearestNeighbors(n_neighbors=len(embeddings) - 1, algorithm="kd_tree").fit(embeddings)
    return search.kneighbors(return_distance=False)


def tie_breaks(embeddings, labels, ranks):
    """Worst, average and best agreement over all ways to break ties at place ranks[i] (plain loops)."""
    shares = []
    for i, rank in enumerate(ranks):
        distances = np.square(embeddings - embeddings[i]).sum(axis=1)
        distances[i] = np.inf
        last = np.sort(distances)[rank - 1]
        same = labels == labels[i]
        sure, tied_same = (same & (distances < last)).sum(), (same & (distances == last)).sum()
        left, tied = rank - (distances < last).sum(), (distances == last).sum()
        worst, best = max(0, left - (tied - tied_same)), min(left, tied_same)
        shares.append([(sure + x) / rank for x in (worst, left * tied_same / tied, best)])
    return np.mean(shares, axis=0)


def test_hand_worked_line():
    # a 0, a 1, b 3, b 7. Neighbours in order: 0 -> 1, 3, 7; 1 -> 0, 3, 7; 3 -> 1, 0, 7; 7 -> 3, 1, 0.
    points, labels = [[0.0], [1.0], [3.0], [7.0]], [8, 8, 9, 9]
    # k = 1: hit, hit, miss, hit. k = 2: 1/2, 1/2, 0, 1/2. Each has one class mate: ceiling 1/2.
    assert neighbor_agreement(points, labels, k=2) == NeighborAgreement(
        at_1=3 / 4, at_k=3 / 8, ceiling=1 / 2, r_precision=3 / 4, k=2
    )
    assert r_precision(points, labels) == 3 / 4  # one class mate each, so R-precision is the first place


def test_hand_worked_uneven_classes():
    # a 0, a 1, a 2.5, b 4.5. Order: 0 -> 1, 2.5, 4.5; 1 -> 0, 2.5, 4.5; 2.5 -> 1, 4.5, 0; 4.5 -> 2.5, 1, 0.
    points, labels = [[0.0], [1.0], [2.5], [4.5]], [0, 0, 0, 1]
    # R-precision with 2 places: 1, 1, 1/2; b is alone in its class and left out: 2.5 / 3.
    assert r_precision(points, labels) == pytest.approx(2.5 / 3)
    # k = 2: (1 + 1 + 1/2 + 0) / 4; ceiling (1 + 1 + 1 + 0) / 4.
    found = neighbor_agreement(points, labels, k=2)
    assert (found.at_1, found.at_k, found.ceiling, found.k) == (3 / 4, 2.5 / 4, 3 / 4, 2)


def test_ties_share_the_places_that_are_left():
    # 0 has a at -1 and b at +1, equally far: half a hit. -1 -> 0 is a hit, 1 -> 0 a miss.
    points, labels = [[-1.0], [0.0], [1.0]], [0, 0, 1]
    assert neighbor_agreement(points, labels, k=1).at_1 == pytest.approx((1 + 1 / 2 + 0) / 3)
    # Four others at distance 1 around a centre 0, one of them its class: two places hold 2 * 1/4 of it, a share of
    # 1/4. Of the arms one is a 0: its nearest is the centre (a hit), the next are the two arms beside it (misses).
    # The three 1s have the centre first (a miss). Two of them lie beside the 0 and the third: their second place is
    # shared by a 0 and a 1 (1/2 of a place, a share of 1/4). The third lies between those two (1/2).
    cross = [[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    shares = [1 / 4, 1 / 2, 1 / 2, 1 / 4, 1 / 4]
    assert neighbor_agreement(cross, [0, 0, 1, 1, 1], k=2).at_k == pytest.approx(np.mean(shares))


def test_reference_values(reference):
    embeddings, labels, values = reference.embeddings, reference.labels, reference.values
    exact = reference.tolerances["exact_formulas"]
    assert neighbor_chance(labels)[0] == pytest.approx(values["nnk_chance"], abs=exact)
    mates = np.bincount(labels)[labels] - 1
    for inputs in (embeddings, torch.from_numpy(embeddings).float()):
        result = neighbor_agreement(inputs, labels + 80, k=values["k"])
        assert result.k == values["k"]
        assert result.at_1 == pytest.approx(values["nn1"], abs=exact)
        assert result.ceiling == pytest.approx(values["nnk_ceiling"], abs=exact)
        for mine, name, ranks in (
            (result.at_k, "nnk", np.full(len(labels), values["k"])),
            (r_precision(inputs, labels), "r_precision", mates),
        ):
            worst, average, best = tie_breaks(embeddings, labels, ranks)
            # The digits' 17 grey levels make equal distances. The reference broke these ties by the inner
            # order of scikit-learn's brute-force search, which changes with the number of threads, so it
            # is one of the ways; ours is the average over all of them. Without ties all three coincide.
            assert mine == pytest.approx(average, abs=1e-12)
            assert worst - exact <= values[name] <= best + exact
            assert mine == pytest.approx(values[name], abs=max(exact, best - worst))
            assert best - worst < (1e-3 if values["d"] == 64 else exact)  # blobs have no ties


def test_big_offset_and_near_duplicates_match_an_exact_search():
    # float32 has steps of 0.001 at 10,000. Pairs 0.004 apart within a cloud of size 1, far from the origin:
    # what a float32 product of such vectors rounds away is a thousand times their squared distance.
    rng = np.random.default_rng(0)
    base = rng.normal(size=(150, 32)) + 10_000
    embeddings = np.concatenate([base, base + rng.choice([-0.004, 0.004], base.shape)]).astype(np.float32)
    labels = np.concatenate([np.arange(150), np.arange(150)]) % 7
    ranking = kd_tree_ranking(embeddings.astype(np.float64))
    result = neighbor_agreement(embeddings, labels, k=20)
    assert result.at_1 == agreement_of_ranking(ranking, labels, 1) == 1.0
    assert result.at_k == pytest.approx(agreement_of_ranking(ranking, labels, 20), abs=1e-12)

    gram = embeddings @ embeddings.T  # the textbook way in float32 must fail here, or this test shows nothing
    naive = np.diag(gram)[:, None] + np.diag(gram) - 2 * gram
    np.fill_diagonal(naive, np.inf)
    assert agreement_of_ranking(np.argsort(naive, axis=1), labels, 1) < 0.9


def test_near_duplicates_in_two_far_clouds_match_an_exact_search():
    # No shift can bring both clouds near the origin: here only float64 keeps the digits.
    rng = np.random.default_rng(1)
    base = rng.normal(size=(100, 16)) * 0.5 + np.repeat([-1000.0, 1000.0], 50)[:, None]
    embeddings = np.concatenate([base, base + rng.choice([-3e-4, 3e-4], base.shape)]).astype(np.float32)
    labels = rng.integers(0, 5, 200)
    ranking = kd_tree_ranking(embeddings.astype(np.float64))
    result = neighbor_agreement(embeddings, labels, k=9)
    assert result.at_1 == pytest.approx(agreement_of_ranking(ranking, labels, 1), abs=1e-12)
    assert result.at_k == pytest.approx(agreement_of_ranking(ranking, labels, 9), abs=1e-12)


@pytest.mark.parametrize("k", [1, 7, 60, 89])
def test_equals_exact_search_for_any_k(k, blobs):
    embeddings, labels = blobs
    ranking = kd_tree_ranking(embeddings.astype(np.float64))
    result = neighbor_agreement(embeddings, labels, k=k)
    assert result.at_1 == pytest.approx(agreement_of_ranking(ranking, labels, 1), abs=1e-12)
    assert result.at_k == pytest.approx(agreement_of_ranking(ranking, labels, k), abs=1e-12)
    mates = np.bincount(labels)[labels] - 1
    expected = np.mean([np.mean(labels[ranking[i, :m]] == labels[i]) for i, m in enumerate(mates)])
    assert result.r_precision == pytest.approx(expected, abs=1e-12)
    assert result.r_precision == r_precision(embeddings, labels)


@pytest.mark.parametrize("k", [90, 500])
def test_k_beyond_the_samples_is_cut_and_reported(k, blobs):
    embeddings, labels = blobs
    result = neighbor_agreement(embeddings, labels, k=k)
    assert result == neighbor_agreement(embeddings, labels, k=89)
    assert result.k == 89
    assert result.at_k == pytest.approx(result.ceiling)  # all others are neighbours: the most there is


def test_chance_hand_worked():
    # five classes of 200: 199 of the 999 others, whatever k
    assert neighbor_chance(np.repeat(np.arange(5), 200)) == pytest.approx((199 / 999, 199 / 999))
    # Classes of 1, 2 and 3: 0 of 5 once, 1 of 5 twice, 2 of 5 three times; R-precision leaves out the one alone.
    assert neighbor_chance([7, 8, 8, 9, 9, 9]) == pytest.approx((8 / 30, 8 / 25))
    assert np.isnan(neighbor_chance([3])).all()
    alone = neighbor_chance([1, 2, 3])
    assert alone[0] == 0
    assert math.isnan(alone[1])


def test_chance_is_the_mean_over_permuted_labels(blobs):
    """Of classes larger than k, and one alone in its class, with their standard error."""
    embeddings, _ = blobs
    labels, rng = np.repeat([0, 1, 2, 3], [59, 20, 10, 1]), np.random.default_rng(0)
    found = [neighbor_agreement(embeddings, rng.permutation(labels), k=7) for _ in range(200)]
    nn, precision = neighbor_chance(labels)
    for name, expected in (("at_1", nn), ("at_k", nn), ("r_precision", precision)):
        values = [getattr(one, name) for one in found]
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / math.sqrt(200))


def test_constant_features_score_chance():
    labels = np.repeat([0, 1, 2], [10, 20, 30])
    chance = (10 * 9 + 20 * 19 + 30 * 29) / 60 / 59  # mean over samples of the share of class mates
    result = neighbor_agreement(np.full((60, 8), 0.1, dtype=np.float32), labels, k=5)
    assert result.at_1 == pytest.approx(chance)
    assert result.at_k == pytest.approx(chance)
    assert result.r_precision == pytest.approx(chance)


def test_copies_are_neighbours_but_the_sample_itself_is_not():
    # Every point twice, the copy with the other label: the nearest other sample is the copy, never oneself.
    points = np.random.default_rng(0).normal(size=(40, 24)).astype(np.float32) + 100
    doubled, labels = np.concatenate([points, points]), np.repeat([0, 1], 40)
    assert neighbor_agreement(doubled, labels, k=1).at_1 == 0.0
    assert neighbor_agreement(doubled, np.tile(np.arange(40), 2), k=1).at_1 == 1.0


def test_order_of_the_samples_does_not_matter(reference):
    order = np.random.default_rng(0).permutation(len(reference.labels))
    first = neighbor_agreement(reference.embeddings, reference.labels, k=50)
    second = neighbor_agreement(reference.embeddings[order], reference.labels[order], k=50)
    assert second.at_k == pytest.approx(first.at_k, abs=1e-12)
    assert second.r_precision == pytest.approx(first.r_precision, abs=1e-12)


def test_one_class_and_lonely_samples(blobs):
    embeddings, _ = blobs
    assert neighbor_agreement(embeddings, np.full(90, 7), k=5) == NeighborAgreement(1.0, 1.0, 1.0, 1.0, 5)
    result = neighbor_agreement(embeddings, np.arange(90), k=5)  # nobody has a class mate
    assert (result.at_1, result.at_k, result.ceiling, result.k) == (0.0, 0.0, 0.0, 5)
    assert math.isnan(result.r_precision)
    result = neighbor_agreement([[1.0]], [3], k=5)  # nobody has a neighbour
    assert math.isnan(result.at_1)
    assert math.isnan(result.at_k)
    assert math.isnan(result.ceiling)
    assert result.k == 0
    assert math.isnan(result.r_precision)


@pytest.mark.parametrize("bad", [0, -3])
def test_wrong_k(bad, blobs):
    with pytest.raises(ValueError, match=f"k must be at least 1, got {bad}"):
        neighbor_agreement(*blobs, k=bad)


@pytest.mark.parametrize("block", [1, 90 * 7, 90 * 89])
def test_blocks_change_nothing(block, blobs, monkeypatch):
    whole = neighbor_agreement(*blobs, k=11)
    monkeypatch.setattr(neighbors, "_CPU_BLOCK", block)
    result = neighbor_agreement(*blobs, k=11)
    assert result.at_1 == whole.at_1
    assert result.at_k == pytest.approx(whole.at_k, abs=1e-12)
    assert result.r_precision == pytest.approx(whole.r_precision, abs=1e-12)


def hard_cases():
    """Data sets on which sloppy distances go wrong somewhere, with labels."""
    rng = np.random.default_rng(3)
    gauss = rng.normal(size=(700, 20)).astype(np.float32)
    # a sample's neighbours at scales a thousandfold apart
    spread = gauss * np.geomspace(1, 1e-3, 700)[:, None]
    cases = {
        "plain": gauss,
        "ties": np.round(gauss),
        "copies": np.concatenate([gauss[:350]] * 2),
        "many copies": np.repeat(gauss[:7], 100, axis=0),
        "outlier": np.concatenate([gauss[:-1], gauss[-1:] * 1e6]),
        "offset": gauss + 3e3,
        "scales": spread,
        # as a deep layer: float32's rounding bound grows with the features, and leaves more open
        "wide": rng.normal(size=(700, 768)).astype(np.float32) + 3,
    }
    return cases, rng.integers(0, 4, 700)


@pytest.mark.parametrize("name", hard_cases()[0])
def test_equals_differences_of_coordinates(name):
    cases, labels = hard_cases()
    points = cases[name].astype(np.float64)
    mates = np.bincount(labels)[labels] - 1
    result = neighbor_agreement(cases[name], labels, k=60)
    for mine, ranks in (
        (result.at_1, np.ones(700, int)),
        (result.at_k, np.full(700, 60)),
        (result.r_precision, mates),
    ):
        assert mine == pytest.approx(tie_breaks(points, labels, ranks)[1], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("plain", 0, 100), ("outlier", 0, 100), ("wide", 0, 100), ("many copies", 2000, 2100)],
)
def test_float32_settles_most_and_float64_the_rest(name, least, most, monkeypatch):
    """Else the test above compares float64 with itself, or never sees it; 700 samples have three ranks each."""
    cases, labels = hard_cases()
    redone = []
    slow_way = neighbors._Search._hits_in_float64

    def count(self, rows, same, rank):
        redone.extend(rows.tolist())
        return slow_way(self, rows, same, rank)

    monkeypatch.setattr(neighbors._Search, "_hits_in_float64", count)
    neighbor_agreement(cases[name], labels, k=60)
    assert least <= len(redone) <= most


@pytest.mark.parametrize("copies", [1, 60])
def test_no_more_than_a_block_of_distances_is_held(copies, monkeypatch):
    """Of float32 and, with copies whose order is open, of float64; the whole matrix would be 7 times as large."""
    monkeypatch.setattr(neighbors, "_CPU_BLOCK", 600 * 85)
    sizes = []
    product = neighbors.product

    def count(left, right):
        found = product(left, right)
        sizes.append((found.dtype, found.numel()))
        return found

    monkeypatch.setattr(neighbors, "product", count)
    points = np.repeat(np.random.default_rng(0).normal(size=(600 // copies, 4)), copies, axis=0)
    neighbor_agreement(points, np.arange(600) % 5, k=100)
    assert max(size for _, size in sizes) <= 600 * 85
    assert {dtype for dtype, _ in sizes} == (
        {torch.float32} if copies == 1 else {torch.float32, torch.float64}
    )
