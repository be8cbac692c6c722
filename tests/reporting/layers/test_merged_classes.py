"""Which unseen classes merge, by hand and against scikit-learn."""

from pathlib import Path

import numpy as np
from reporting.synthetic import Made, make_run
from sklearn.neighbors import NearestNeighbors

from unseen.reporting.collect import collect
from unseen.reporting.layers.analysis import analyse
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.layers.merged_classes import merged_classes, neighbour_classes


def test_by_hand() -> None:
    """Two images of class 0 beside each other, one beside the only image of class 1, which has it as neighbour."""
    embeddings = np.array([[0.0], [1.0], [10.0], [10.5]])
    shares = neighbour_classes(embeddings, np.array([0, 0, 0, 1]))
    np.testing.assert_allclose(shares, [[2 / 3, 1 / 3], [1, 0]])


def test_neighbours_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    embeddings, labels = rng.normal(5, 1, (90, 4)), rng.integers(0, 3, 90)
    nearest = NearestNeighbors(n_neighbors=2).fit(embeddings).kneighbors(embeddings)[1][:, 1]
    expected = [[np.mean(labels[nearest[labels == a]] == b) for b in range(3)] for a in range(3)]
    np.testing.assert_allclose(neighbour_classes(embeddings, labels), expected)


def table_rows(root: Path) -> list[tuple[object, ...]]:
    return [row.cells for row in merged_classes(analyse(group_runs(collect([root]).runs)[0])).rows]


def test_the_table_has_the_means_of_the_runs_that_have_the_class(tmp_path: Path) -> None:
    for seed, split, unseen in ((0, 0, ("a", "b")), (1, 0, ("a", "b")), (0, 1, ("a", "c"))):
        made = Made("poolformer", "digits", seed=seed, unseen=unseen, settings=(("data.split_seed", split),))
        folder = make_run(tmp_path / f"{seed}{split}", made)
        layers = {f"unseen_{layer}": np.array([[0.0], [1], [10], [11 - seed], [12]]) for layer in range(4)}
        np.savez(folder / "embeddings.npz", unseen_labels=np.array([0, 0, 0, 1, 1]), **layers)  # type: ignore[arg-type]
    rows = table_rows(tmp_path)
    (of_a,) = [row for row in rows if row[3] == "a"]
    assert of_a[4] == 3  # runs
    np.testing.assert_allclose([of_a[5], of_a[7]], [2 / 3, 1 / 3])
    assert {row[3]: row[6] for row in rows} == {"a": "b", "b": "a", "c": "a"}


def test_no_embeddings_or_broken_ones_are_no_rows(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", Made(model="poolformer"))
    assert table_rows(tmp_path) == []
    (folder / "embeddings.npz").write_bytes(b"not a zip file")
    assert table_rows(tmp_path) == []
