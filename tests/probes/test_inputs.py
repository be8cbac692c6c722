"""Every probe takes the same inputs, refuses the same ones and leaves them alone."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from unseen.probes import kmeans_nmi, linear_probe_accuracy, neighbor_agreement, r_precision
from unseen.probes.inputs import NotFiniteError, checked_embeddings, checked_labels, unit_scaled

PROBES = {
    "kmeans_nmi": partial(kmeans_nmi, n_init=1),
    "neighbor_agreement": partial(neighbor_agreement, k=5),
    "r_precision": r_precision,
    "linear_probe_accuracy": linear_probe_accuracy,
}
each_probe = pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)


@each_probe
def test_same_result_for_any_container_and_any_labels(probe, blobs):
    embeddings, labels = blobs
    expected = probe(embeddings, labels)
    tensor = torch.from_numpy(embeddings)
    with torch.inference_mode():
        inference = tensor.clone()
    assert probe(tensor, torch.from_numpy(labels)) == expected
    assert probe(tensor.clone().requires_grad_(), labels.tolist()) == expected
    assert probe(inference, torch.from_numpy(labels).int()) == expected
    assert probe(np.asfortranarray(embeddings), labels.astype(np.uint8)) == expected
    assert probe(embeddings.repeat(2, axis=0)[::2], labels) == expected
    # 80, 81, 82 as a data set with unseen classes at the end gives them; and unordered, negative, far apart
    assert probe(embeddings, labels + 80) == expected
    assert probe(embeddings, np.array([-7, 0, 10**12])[labels]) == expected
    assert probe(embeddings.astype(np.float64), labels) == expected
    # texts, and floats that are whole, as pandas and torch.where give them
    assert probe(embeddings.tolist(), [("ant", "bee", "cat")[label] for label in labels]) == expected
    assert probe(embeddings, np.array(["ant", "bee", "cat"], dtype=object)[labels]) == expected
    assert probe(embeddings, torch.from_numpy(labels).bfloat16()) == expected


@each_probe
def test_half_precision_and_integers_are_taken_as_they_are(probe, blobs):
    embeddings, labels = blobs
    half, brain = torch.from_numpy(embeddings).half(), torch.from_numpy(embeddings).bfloat16()
    assert probe(half, labels) == probe(half.float(), labels)
    assert probe(half.numpy(), labels) == probe(half.float(), labels)
    assert probe(brain, labels) == probe(brain.float(), labels)
    pixels = np.random.default_rng(0).integers(0, 256, (90, 12), dtype=np.uint8)
    assert probe(pixels, labels) == probe(pixels.astype(np.float32), labels)


@each_probe
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_diverged_network_is_named(probe, bad, blobs):
    embeddings, labels = blobs
    broken = embeddings.copy()
    broken[[3, 4], 5] = bad
    with pytest.raises(
        ValueError, match=r"embeddings contain NaN or infinity \(2 of 90 rows, the first is row 3\)"
    ):
        probe(broken, labels)


@each_probe
def test_malformed_inputs_are_refused(probe, blobs):
    embeddings, labels = blobs
    with pytest.raises(ValueError, match=r"shape \(N, D\).*got \(90, 3, 4\)"):
        probe(embeddings.reshape(90, 3, 4), labels)
    with pytest.raises(ValueError, match=r"shape \(N, D\).*got \(0, 12\)"):
        probe(embeddings[:0], labels[:0])
    with pytest.raises(ValueError, match=r"labels must have shape \(90,\).*got \(89,\)"):
        probe(embeddings, labels[:-1])
    one_hot = np.eye(3)[labels]
    with pytest.raises(
        ValueError, match=r"labels must have shape \(90,\).*\(90, 3\); of one-hot .*argmax\(1\)"
    ):
        probe(embeddings, one_hot)
    for wrong, sentence in (
        (labels + 0.5, r"integers or texts, got \d\.5"),
        (np.where(labels == 0, np.nan, labels), "20 of 90 labels are missing"),
        ([None, *labels[1:]], "1 of 90 labels are missing"),
        (np.array(["cat", *labels[1:]], dtype=object), "of one kind, got int and str"),
        (labels.astype(complex), "got dtype complex128"),
        ([(1, 2)] + [[1]] * 89, "labels cannot be read as an array"),
    ):
        with pytest.raises(ValueError, match=sentence):
            probe(embeddings, wrong)
    with pytest.raises(ValueError, match="embeddings must be real numbers, got dtype complex64"):
        probe(embeddings.astype(np.complex64), labels)


@each_probe
def test_inputs_and_global_state_are_left_alone(probe, blobs):
    embeddings, labels = (torch.from_numpy(array) for array in blobs)
    copies = embeddings.clone(), labels.clone()
    numpy_state, torch_state, threads = np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()  # noqa: NPY002
    first = probe(embeddings, labels)
    assert torch.equal(embeddings, copies[0])
    assert torch.equal(labels, copies[1])
    assert all(np.array_equal(a, b) for a, b in zip(numpy_state, np.random.get_state(), strict=True))  # noqa: NPY002
    assert torch.equal(torch_state, torch.get_rng_state())
    assert torch.get_num_threads() == threads
    np.random.random(7)  # noqa: NPY002  what others draw must not matter either
    assert probe(embeddings, labels) == first  # bit for bit


@each_probe
@pytest.mark.parametrize("scale", [1e20, 1e-20])
def test_huge_and_tiny_features_neither_overflow_nor_warn(probe, scale, blobs, recwarn):
    embeddings, labels = blobs
    scaled = embeddings * np.float32(scale)
    result = probe(scaled, labels)
    if probe is not linear_probe_accuracy:  # its penalty makes it depend on scale; the others must not
        assert result == probe(embeddings, labels)
    assert not recwarn.list


def test_checked_labels_keep_names_and_order():
    names, targets = checked_labels([85, 80, 99, 80], 4)
    assert names.tolist() == [80, 85, 99]
    assert targets.tolist() == [1, 0, 2, 0]


def test_checked_embeddings_do_not_copy_float32():
    embeddings = np.ones((2, 3), dtype=np.float32)
    assert np.shares_memory(checked_embeddings(embeddings).numpy(), embeddings)
    assert checked_embeddings(np.ones((2, 3), dtype=np.float16)).dtype == torch.float32
    assert checked_embeddings(np.ones((2, 3))).dtype == torch.float64


def test_read_only_and_foreign_memory_is_copied(recwarn):
    fixed = np.arange(6, dtype=np.float32).reshape(3, 2)
    fixed.flags.writeable = False
    for array in (fixed, fixed[::-1], fixed.astype(">f4"), fixed.astype(np.int64)):
        assert checked_embeddings(array).tolist() == array.tolist()
    assert not recwarn.list


def test_unit_scaling_is_exact():
    features = torch.tensor([[3.0, -0.1], [5.0, 1e-3]])
    scaled = unit_scaled(features)
    assert torch.equal(scaled, features / 8)  # 5 / 8 is in [0.5, 1)
    assert scaled.dtype == torch.float32
    assert not unit_scaled(torch.zeros(2, 2)).any()


@pytest.mark.parametrize("exponent", [-148, -140, -60, 60, 127])
def test_unit_scaling_at_the_ends_of_float32(exponent):
    features = torch.tensor([[1.0, -0.75], [0.0, 0.5]], dtype=torch.float64) * 2.0**exponent
    assert unit_scaled(features.float()).tolist() == (
        (features.float().double() * 2.0 ** (-exponent - 1)).tolist()
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_finite_values_whose_sum_overflows_are_finite(dtype):
    assert checked_embeddings(torch.full((4, 4), torch.finfo(dtype).max, dtype=dtype)).isfinite().all()
    mixed = torch.full((4, 4), torch.finfo(dtype).max, dtype=dtype)
    mixed[2, 1], mixed[3, 0] = torch.inf, -torch.inf
    with pytest.raises(NotFiniteError, match=r"2 of 4 rows, the first is row 2"):
        checked_embeddings(mixed)
