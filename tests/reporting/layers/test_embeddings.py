"""Pictures of embeddings."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, make_run
from sklearn.decomposition import PCA

from unseen.reporting.collect import collect
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.embeddings import pictures, principal_plane
from unseen.reporting.layers.groups import group_runs


def configuration_of(root: Path) -> Configuration:
    return group_runs(collect([root]).runs)[0][0]


def test_plane_by_hand() -> None:
    # all variance lies on the first axis, 9 times that of the second: 90 %
    points = np.array([[3.0, 0, 5], [-3, 0, 5], [0, 1, 5], [0, -1, 5]])
    plane, share = principal_plane(points)
    assert np.abs(plane).tolist() == [[3, 0], [3, 0], [0, 1], [0, 1]]
    assert share == pytest.approx(1)


def test_plane_is_that_of_scikit_learn() -> None:
    embeddings = np.random.default_rng(0).normal(size=(40, 7)) * np.arange(1, 8)
    plane, share = principal_plane(embeddings)
    oracle = PCA(2).fit(embeddings)
    assert np.abs(plane) == pytest.approx(np.abs(oracle.transform(embeddings)))
    assert share == pytest.approx(oracle.explained_variance_ratio_.sum())


def test_constant_embeddings_are_a_point() -> None:
    plane, share = principal_plane(np.ones((5, 3)))
    assert (plane == 0).all()
    assert math.isnan(share)
    assert principal_plane(np.array([[1.0], [2.0]]))[0].shape == (2, 2)  # one feature


def test_first_best_and_last_layer(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", Made(model="poolformer", data="calligraphy", embeddings=True))
    (folder / "split.json").write_text('{"unseen": ["csl", "hy", "mf", "shz", "wzm"]}')
    found, problem = pictures(configuration_of(tmp_path))
    assert problem == ""
    assert [picture.title.split(",")[0] for picture in found] == [
        "layer 0 (first)",
        "layer 2 (best)",
        "layer 3 (last)",
    ]
    assert found[0].classes == ("csl", "hy", "mf", "shz", "wzm")
    assert len(found[0].points) == 300
    assert {point["c"] for point in found[0].points} == set(found[0].classes)
    assert max(abs(point["x"]) for point in found[0].points) <= 1


def test_titles_say_what_is_special(tmp_path: Path) -> None:
    """A run whose own best layer is not the configuration's, saved at an earlier step, its first layer constant."""
    folder = make_run(tmp_path / "a", Made(model="poolformer"))
    facts = json.loads((folder / "summary.json").read_text()) | {"best_layer": 1}
    (folder / "summary.json").write_text(json.dumps(facts))
    points = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float16)
    np.savez(
        folder / "embeddings.npz", unseen_0=np.ones((6, 4), np.float16), unseen_1=points, unseen_3=points,
        unseen_labels=np.array([0, 1, 2, 0, 1, 2], np.int16), step=np.array(100),
    )  # fmt: skip
    found, problem = pictures(configuration_of(tmp_path))
    assert problem == ""
    titles = [picture.title for picture in found]
    assert titles[0] == "layer 0 (first), seed 0, step 100, all images at one point"
    assert titles[1].startswith("layer 1 (best of this run), seed 0, step 100, ")
    assert titles[2].startswith("layer 3 (last), ")


def test_of_several_runs_the_one_with_the_wanted_layer_is_shown(tmp_path: Path) -> None:
    for seed, best in ((0, 1), (1, 2)):
        made = Made(model="poolformer", data="calligraphy", seed=seed, embeddings=True)
        folder = make_run(tmp_path / str(seed), made)
        facts = json.loads((folder / "summary.json").read_text()) | {"best_layer": best}
        (folder / "summary.json").write_text(json.dumps(facts))
    config = configuration_of(tmp_path)
    assert config.g.best_layer == 2
    assert all("seed 1" in picture.title for picture in pictures(config)[0])


def test_no_embeddings_and_broken_ones(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", Made(model="poolformer"))
    assert pictures(configuration_of(tmp_path)) == ([], "embeddings were not saved")
    (folder / "embeddings.npz").write_bytes(b"not a zip file")
    found, problem = pictures(configuration_of(tmp_path))
    assert found == []
    assert "cannot be read" in problem
    np.savez(folder / "embeddings.npz", other=np.zeros(3))
    assert "cannot be read" in pictures(configuration_of(tmp_path))[1]
