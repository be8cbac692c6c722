"""Layers side by side: by hand, one layer alone is as it was, and constant layers add nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from unseen.backbones.protocol import Tap
from unseen.callbacks.layer_scores import EmbeddingBank, LayerScorer
from unseen.distributed import ProcessGroup
from unseen.probes import ProbeSuite, ensemble_embeddings, kmeans_nmi
from unseen.scores import ENSEMBLE_PROBE


def test_layers_weigh_the_same_by_hand():
    # 0 and 6: centred -3 and 3, root of the variance 3. (0, 0) and (3, 4): half of it to each side, length 2.5.
    found = ensemble_embeddings([[[0.0], [6.0]], [[0.0, 0.0], [3.0, 4.0]]])
    assert found.tolist() == [pytest.approx([-1, -0.6, -0.8]), pytest.approx([1, 0.6, 0.8])]
    assert found.dtype == torch.float32
    # whatever the scale and the mean of a layer
    moved = ensemble_embeddings([[[1e20], [7e20]], [[5.0, 5.0], [5.003, 5.004]]])
    assert torch.allclose(moved, found, atol=1e-3)


def test_one_layer_alone_or_twice_has_the_clusters_that_it_had(blobs):
    embeddings, labels = blobs
    embeddings = embeddings + 50
    nmi = kmeans_nmi(embeddings, labels, n_init=3)
    for layers in ([embeddings], [embeddings, 7 * embeddings], [np.full((90, 4), 0.1), embeddings]):
        assert kmeans_nmi(ensemble_embeddings(layers), labels, n_init=3) == pytest.approx(nmi)


def test_a_layer_that_is_equal_but_for_rounding_adds_nothing(blobs):
    constant = torch.full((90, 4), 3.0) + 1e-6 * torch.rand(90, 4)
    assert not ensemble_embeddings([constant, blobs[0]])[:, :4].any()
    assert not ensemble_embeddings([torch.zeros(90, 4)]).any()


@pytest.mark.parametrize(
    ("layers", "sentence"),
    [
        ([], "of the same images, one layer at least"),
        ([[[0.0]], [[0.0], [1.0]]], r"got \[1, 2\] rows"),
        ([[[float("nan")]]], "NaN or infinity"),
        ([[0.0]], r"must have shape \(N, D\)"),
    ],
)
def test_what_is_wrong_is_a_sentence(layers, sentence):
    with pytest.raises(ValueError, match=sentence):
        ensemble_embeddings(layers)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_last_two_and_all_layers_of_a_bank(number, blobs):
    """As scikit-learn clusters them; the bank stays as it is."""
    embeddings, labels = blobs
    rng = np.random.default_rng(0)
    layers = [
        torch.from_numpy((embeddings[:, at : at + 4] * 3**at + rng.normal(size=(90, 4))).astype(np.float32))
        for at in range(number)
    ]
    bank, order = EmbeddingBank(number), torch.from_numpy(rng.permutation(90))
    for rows in order.split(40):
        bank.add([layer[rows] for layer in layers], torch.from_numpy(labels)[rows], rows)
    taps = [Tap(at, f"block{at}", float(at), "nchw") for at in range(number)]
    phases: list[str] = []
    scorer = LayerScorer(
        ProcessGroup(),
        torch.device("cpu"),
        ProbeSuite(n_init=2, seed=0),
        lambda phrase, *_: phases.append(phrase),
    )
    found = scorer.score_ensembles(bank, taps, 90)
    assert found.keys() == {("unseen", first, ENSEMBLE_PROBE) for first in {0, max(0, number - 2)}}
    for (_, first, _), nmi in found.items():
        scaled = [layer - layer.mean(0) for layer in layers[first:]]
        side = np.concatenate([layer / layer.square().sum(1).mean().sqrt() for layer in scaled], axis=1)
        clusters = KMeans(3, n_init=2, random_state=0).fit_predict(side)
        assert nmi == pytest.approx(normalized_mutual_info_score(labels, clusters))
    assert phases
    assert torch.equal(bank.pop(0), layers[0][order])
