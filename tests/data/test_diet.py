"""Training on the hardest, the easiest or random images: by hand, with the files that the scores are in."""

from collections import Counter
from pathlib import Path

import pytest
from tests.data.conftest import datamodule

from unseen.data.diet import Diet, el2n_table, read_el2n
from unseen.data.selection import Chosen
from unseen.data.sources.digits import Digits

TRAIN = Chosen(("a1", "a2", "a3", "a4", "b1", "b2", "b3", "c,1"), (0, 0, 0, 0, 1, 1, 1, 2))
SCORES = [0.1, 0.4, 0.2, 0.3, 1.0, 0.9, 1.1, 0.5]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "el2n.csv"
    path.write_bytes(el2n_table(TRAIN, ("a", "b", "c"), SCORES))
    return path


def test_by_hand(file: Path) -> None:
    """Of each class the half, in the order of the images: 2 of 4, 2 of 3 (1.5, to even), the only one of c."""
    hardest, easiest = (Diet(keep, 0.5, file).of(TRAIN) for keep in ("hardest", "easiest"))
    assert hardest.references == ("a2", "a4", "b1", "b3", "c,1")
    assert easiest.references == ("a1", "a3", "b1", "b2", "c,1")
    assert hardest.labels == easiest.labels == (0, 0, 1, 1, 2)
    assert Diet("hardest", 0.25, file).of(TRAIN).references == ("a2", "b3", "c,1")
    assert Diet().of(TRAIN) == TRAIN


def test_random_images_need_no_scores_and_follow_the_seed() -> None:
    drawn = [Diet("random", 0.5, None, seed).of(TRAIN) for seed in range(200)]
    assert drawn[3] == Diet("random", 0.5, None, 3).of(TRAIN)
    assert {one.labels for one in drawn} == {(0, 0, 1, 1, 2)}
    times = Counter(name for one in drawn for name in one.references)
    assert all(70 < times[name] < 130 for name in ("a1", "a2", "a3", "a4"))  # 100, with a deviation of 7


def test_a_file_gives_its_scores(file: Path) -> None:
    assert file.read_text().splitlines()[:2] == ["image,class,el2n", "a1,a,0.1"]
    assert read_el2n(file) == dict(zip(TRAIN.references, SCORES, strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be used"),
        ("path,label\na1,0", "its first line is not image,class,el2n"),
        ("image,class,el2n\na1,a\n", "cannot be used"),
        ("image,class,el2n\na1,a,high\n", "cannot be used"),
        ("image,class,el2n\na1,a,nan\n", "a score is not finite"),
        (
            "image,class,el2n\na1,a,0.1\n",
            "has no score of 7 training images, such as a2: it is of other classes",
        ),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "el2n.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        Diet("hardest", 0.5, path).of(TRAIN)


def test_what_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"keep=hardest needs data\.el2n=FILE"):
        Diet("hardest")
    with pytest.raises(ValueError, match="nothing is not a file; callbacks=el2n writes such files"):
        Diet("easiest", 0.5, tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"keep_share=1 must lie between 0 and 1"):
        Diet("random", 1)
    with pytest.raises(ValueError, match="keep=some is none of all, hardest, easiest, random"):
        Diet("some")  # type: ignore[arg-type]


def test_training_images_alone_are_left_out() -> None:
    whole, half = (
        datamodule(Digits(), image_size=8, train_size=70, test_size=14, unseen_per_class=4, diet=diet)
        for diet in (None, Diet("random", 0.5))
    )
    for data in (whole, half):
        data.setup()
    assert (whole.keeps_all, half.keeps_all) == (True, False)
    assert (whole.num_images("train"), half.num_images("train")) == (70, 35)
    assert set(half.references("train")) < set(whole.references("train"))
    assert all(half.references(kind) == whole.references(kind) for kind in ("seen", "unseen"))
    assert "35 training (the random 0.5 of each class)" in half.description()
