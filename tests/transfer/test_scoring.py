"""All scores of a task: values, intervals, percentiles, and what is refused before work starts."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.transfer.conftest import REFERENCE, ReferenceTask, reference_task, unit

from unseen.transfer import SCORES, Needs, TransferScore, emms, iimm, leep, nleep, score_all
from unseen.transfer.iimm_draws import resampled_parts, shuffled_parts
from unseen.transfer.scoring import _jackknife, interval
from unseen.transfer.task import Task, groups_of, resample, shuffle

Array = npt.NDArray[np.float64]
OF_LABELS = [name for name, score in SCORES.items() if score.of_labels]


def inputs(task: ReferenceTask) -> dict[str, Any]:
    logits = 30 * task.images @ task.texts.T
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rng = np.random.default_rng(5)
    sets = [rng.normal(size=(len(task.texts), 4)) for _ in range(2)]
    return {"texts": task.texts, "probabilities": chances, "label_embeddings": sets}


@pytest.fixture(scope="module")
def wide() -> ReferenceTask:
    """Five classes of 80 images in 64 dimensions: every score has a value."""
    return reference_task("set1")


# ------------------------------------------------------------------ values
def test_every_score_is_its_functions(wide: ReferenceTask) -> None:
    given = inputs(wide)
    lengths = np.random.default_rng(0).uniform(0.5, 2, size=(400, 1))
    found = score_all(lengths * wide.images, wide.labels, draws=0, **given)
    assert list(found) == list(SCORES)
    assert all(one.reason == "" and math.isfinite(one.value) for one in found.values())
    reference = {
        "iimm": "iimm", "inter": "s_inter_uniformity_image", "intra": "s_intra_inter_images", "gap": "gap",
        "correct": "cos_sim_correct", "inter_text": "inter_text", "gbc": "gbc_spherical",
        "gbc_diagonal": "gbc_diagonal", "h_score": "hscore", "transrate": "transrate", "sfda": "sfda",
        "ncti": "ncti_single_model", "logme": "logme_not_in_authors_code",
    }  # fmt: skip
    for name, key in reference.items():
        assert found[name].value == pytest.approx(REFERENCE["set1"]["values"][key], abs=1e-8), name
    assert found["leep"].value == pytest.approx(leep(given["probabilities"], wide.labels), abs=1e-12)
    assert found["nleep"].value == pytest.approx(nleep(wide.images, wide.labels), abs=1e-6)
    assert found["emms"].value == pytest.approx(emms(wide.images, wide.labels, given["label_embeddings"]))


@pytest.mark.parametrize("name", SCORES)
def test_the_tables_functions_are_called_as_it_says(name: str, wide: ReferenceTask) -> None:
    score, given = SCORES[name], inputs(wide)
    arguments = {
        Needs.IMAGES: (wide.images, wide.labels),
        Needs.TEXTS: (wide.images, wide.texts, wide.labels),
        Needs.PROBABILITIES: (given["probabilities"], wide.labels),
        Needs.LABEL_EMBEDDINGS: (wide.images, wide.labels, given["label_embeddings"]),
    }[score.needs]
    value = score.function(*arguments)
    assert type(value) is float
    assert value == pytest.approx(
        score_all(wide.images, wide.labels, names=[name], draws=0, **given)[name].value
    )
    if not score.of_labels:
        arguments = tuple(np.roll(one, 1) if one is wide.labels else one for one in arguments)
        assert score.function(*arguments) == value


def test_what_has_no_input_is_left_out(wide: ReferenceTask) -> None:
    of_images = {name for name, score in SCORES.items() if score.needs is Needs.IMAGES}
    assert score_all(wide.images, wide.labels, draws=0).keys() == of_images
    found = score_all(wide.images, wide.labels, texts=wide.texts, names=["gap", "iimm"], draws=0)
    assert list(found) == ["iimm", "gap"]


def test_what_a_task_does_not_allow_has_a_reason(small: ReferenceTask) -> None:
    found = score_all(small.images, small.labels, names=["ncti", "gbc"], draws=0)
    assert math.isnan(found["ncti"].value)
    assert found["ncti"].reason == "NCTI needs 64 images and dimensions at least, got 301 images of 16"
    assert found["gbc"].reason == ""


def test_labels_without_a_table_may_be_any_integers(small: ReferenceTask) -> None:
    plain = score_all(small.images, small.labels, names=["gbc"], draws=2)
    tensors = score_all(
        torch.from_numpy(small.images), torch.from_numpy(small.labels + 80), names=["gbc"], draws=2
    )
    assert replace(plain["gbc"], seconds=0) == replace(tensors["gbc"], seconds=0)


# ------------------------------------------------------------------ draws
def test_the_same_seed_gives_the_same_and_nothing_is_changed(small: ReferenceTask) -> None:
    names = ["iimm", "gbc", "nleep", "leep", "emms"]
    given = inputs(small)
    everything = [
        small.images,
        small.labels,
        given["texts"],
        given["probabilities"],
        *given["label_embeddings"],
    ]
    copies = [one.copy() for one in everything]
    for one in everything:
        one.flags.writeable = False
    first, again, other = (
        score_all(small.images, small.labels, names=names, draws=5, seed=seed, **given) for seed in (0, 0, 1)
    )
    for name in names:
        assert replace(first[name], seconds=0) == replace(again[name], seconds=0)
        assert first[name].low != other[name].low
    for one, copy in zip(everything, copies, strict=True):
        np.testing.assert_array_equal(one, copy)


def test_intervals_percentiles_and_numbers_of_draws(wide: ReferenceTask) -> None:
    names = ["iimm", "intra", "correct", "inter_text", "gbc", "sfda", "leep"]
    found = score_all(wide.images, wide.labels, names=names, **inputs(wide))
    assert [found[name].draws for name in names] == [100, 100, 100, 100, 20, 20, 100]
    assert {one.images for one in found.values()} == {400}
    for name in names:
        one = found[name]
        if name == "inter_text":
            assert math.isnan(one.low)
        else:
            assert one.low < one.value < one.high
            assert one.value - one.low == pytest.approx(one.high - one.value)
        assert math.isnan(one.percentile) != SCORES[name].of_labels
    # labels that fit: right captions are nearer, wrong ones farther
    assert [found[name].percentile for name in ("correct", "gbc", "sfda", "leep")] == [100] * 4
    assert found["iimm"].percentile == 0


@pytest.mark.parametrize("name", sorted(set(OF_LABELS) - {"ncti"}))
def test_labels_that_tell_nothing_are_among_shuffled_ones(name: str, wide: ReferenceTask) -> None:
    labels = np.random.default_rng(11).permutation(wide.labels)
    found = score_all(wide.images, labels, names=[name], draws=20, **inputs(wide))[name]
    assert 0 < found.percentile < 100


def test_resamples_keep_the_size_of_classes() -> None:
    labels = np.array([7, 3, 3, 7, 3, 5])
    drawn = resample(labels, seed=0, number=0)
    np.testing.assert_array_equal(labels[drawn], labels)
    often = np.bincount(np.concatenate([resample(labels, 0, k) for k in range(600)]), minlength=6) / 600
    np.testing.assert_allclose(often, 1, atol=0.15)
    assert sorted(shuffle(labels, 0, 0)) == sorted(labels)


def test_parts_of_resamples_are_means_over_pairs_of_different_images(small: ReferenceTask) -> None:
    few = np.arange(12)
    task = Task.checked(small.images[few], small.labels[few], small.texts)
    found = resampled_parts(task, count=3, seed=4)
    for number in range(3):
        drawn = resample(task.labels, 4, number)
        pairs = [task.images[i] @ task.images[j] for i, j in itertools.combinations(drawn, 2) if i != j]
        again = iimm(task.images[drawn], task.texts, task.labels[drawn])
        assert found["intra"][number] == pytest.approx(np.mean(pairs))
        assert found["iimm"][number] == pytest.approx((np.mean(pairs) + again.inter) / 2)
        for part in ("inter", "correct", "gap"):
            assert found[part][number] == pytest.approx(getattr(again, part)), part


def test_parts_of_shuffled_labels_are_those_of_the_measure(small: ReferenceTask) -> None:
    task = Task.checked(small.images, small.labels, small.texts)
    found = shuffled_parts(task, iimm(small.images, small.texts, small.labels), count=2, seed=4)
    again = iimm(small.images, small.texts, shuffle(task.labels, 4, 1))
    for part in ("iimm", "inter", "correct"):
        assert found[part][1] == pytest.approx(getattr(again, part)), part


def test_the_bootstrap_of_a_mean_has_its_standard_error() -> None:
    """Correct-label alignment is a mean: SD² is the sum over classes of n_c · variance, by N²."""
    task = reference_task("set0")
    own = np.einsum("nd,nd->n", task.images, task.texts[task.labels])
    exact = math.sqrt(sum(50 * own[task.labels == c].var() for c in range(10))) / 500
    drawn = resampled_parts(Task.checked(task.images, task.labels, task.texts), 2000, 0)["correct"]
    assert drawn.std() == pytest.approx(exact, rel=0.08)  # five standard errors of a deviation of 2,000


def test_the_jackknife_of_a_mean_has_its_standard_error() -> None:
    """Of a mean it is the standard error of the 20 groups' means: their SD by √20."""
    task = reference_task("set0")
    mean = TransferScore("", lambda images, labels: float(images[:, 0].mean()), Needs.IMAGES, True, "")
    groups = groups_of(task.labels, 0, 20)
    means = [task.images[groups == group, 0].mean() for group in range(20)]
    sd, freedom = _jackknife(mean, Task.checked(task.images, task.labels), 20, 0)
    assert sd == pytest.approx(np.std(means, ddof=1) / math.sqrt(20))
    assert freedom == 19


def test_groups_spread_classes_and_leave_each_two_images() -> None:
    labels = np.repeat([4, 1, 9, 0], [50, 7, 2, 1])
    groups = groups_of(labels, seed=0, groups=20)
    assert (groups[labels == 9] == -1).all()
    assert (groups[labels == 0] == -1).all()
    assert np.ptp(np.bincount(groups[groups >= 0], minlength=20)) <= 1
    assert np.ptp(np.bincount(groups[labels == 4], minlength=20)) <= 1
    assert np.bincount(groups[labels == 1]).max() == 1


def test_intervals_end_where_scores_do() -> None:
    """Classes far apart: t intervals around scores near the ends of their ranges would reach beyond them."""
    rng = np.random.default_rng(1)
    labels = np.arange(120) % 4
    texts = rng.normal(size=(4, 70))
    images = texts[labels] + 1.5 * rng.normal(size=(120, 70))
    found = score_all(images, labels, texts=texts, draws=5)
    assert found["sfda"].value < found["sfda"].high == 1
    assert found["nleep"].value < found["nleep"].high == 0
    assert found["nleep"].low < 2 * found["nleep"].value  # which t reaches on the other side, too
    for name, one in found.items():
        assert not one.low < SCORES[name].least, name
        assert not one.high > SCORES[name].most, name


def test_an_error_of_zero_is_not_below_zero() -> None:
    """As many dimensions as images: any labels are mapped without error, up to rounding."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sets = [rng.normal(size=(2, 30)) for _ in range(3)]
        assert emms(rng.normal(size=(4, 60)), [0, 1, 0, 1], sets) <= 0


def test_of_one_image_a_class_nothing_can_be_drawn() -> None:
    """Every resample is the images themselves, whose spread of 0 would be an interval of no width."""
    found = score_all(np.eye(4) + 0.1, range(4), texts=np.eye(4), draws=5)
    for name in ("iimm", "inter", "intra", "correct", "gap"):
        assert math.isfinite(found[name].value), name
        assert math.isnan(found[name].low), name
    more = score_all(np.eye(4) + 0.1, [0, 0, 1, 2], texts=np.eye(4), draws=5)["iimm"]
    assert more.low < more.value


def test_without_images_to_leave_out_there_is_no_interval() -> None:
    """Two images a class: none may go. With 64 images, NCTI has a value, but none without a group."""
    pairs = score_all(np.eye(4) + 0.1, [0, 0, 1, 1], names=["gbc"], draws=4)["gbc"]
    assert math.isfinite(pairs.value)
    assert math.isnan(pairs.low)
    rng = np.random.default_rng(0)
    least = score_all(rng.normal(size=(64, 70)), np.arange(64) % 4, names=["ncti"], draws=3)["ncti"]
    assert math.isfinite(least.value)
    assert math.isnan(least.high)
    assert math.isnan(
        score_all(np.eye(4) + 0.1, [0, 0, 1, 1], names=["h_score"], draws=0)["h_score"].percentile
    )
    assert all(map(math.isnan, interval(1.0, 0.0, 0)))


def test_slow_scores_take_a_share_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [600, 399, 1])
    task = Task.checked(np.random.default_rng(0).normal(size=(1000, 3)), labels)
    part = task.at_most(100, seed=0)
    assert np.bincount(part.labels).tolist() == [60, 39, 1]
    assert len(np.unique(part.images, axis=0)) == 100
    assert task.at_most(1000, seed=0) is task
    assert not np.array_equal(part.images, task.at_most(100, seed=1).images)


# ------------------------------------------------------------------ bad input
IMAGES = unit(np.random.default_rng(0).normal(size=(6, 3)))
LABELS = [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [0] * 6}, "all images are of class 0: there must be two classes at least"),
        ({"labels": [0, 1]}, "labels must be one for each of 6 images"),
        ({"images": 0 * IMAGES}, "row 0 of images is all zeros"),
        ({"images": np.nan * IMAGES}, "row 0 of images has NaN or infinity"),
        ({"texts": np.eye(2)}, "images have 3 dimensions and texts 2"),
        ({"texts": np.eye(3)[:1]}, "label 1 has no class: with 1 class labels go from 0 to 0"),
        ({"texts": np.eye(3) * [1, 1, 0]}, "row 2 of texts is all zeros"),
        ({"texts": np.eye(3), "label_embeddings": [np.eye(4)]}, "must have one row for each class, got 3 and 4"),
        ({"label_embeddings": [np.eye(3) + np.inf]}, "label_embeddings[0] has NaN or infinity"),
        ({"probabilities": np.ones((2, 2)) / 2}, "probabilities must be one row an image, got 2 for 6 images"),
        ({"names": ["gcb"]}, "there is no score 'gcb' (did you mean gbc?); there are iimm, inter,"),
        ({"names": ["iimm"]}, "iimm needs image and text features, which were not given"),
        ({"names": ["leep"]}, "leep needs zero-shot probabilities, which were not given"),
        ({"names": ["emms"]}, "emms needs image features and label embeddings, which were not given"),
        ({"draws": -1}, "draws must be 0 or more, got -1"),
    ],
)  # fmt: skip
def test_bad_input(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        score_all(**({"images": IMAGES, "labels": LABELS} | change))
