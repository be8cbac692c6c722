"""Silhouettes, edges and cue-conflict images in small: which picture an image was made of decides its part."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from tests.data.conftest import zipped

from unseen.data.catalog import DataUnavailableError
from unseen.data.sources.texture_vs_shape import TextureVsShape

CONFLICT = "stimuli/style-transfer-preprocessed-512"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder laid out as the repository."""
    names = [f"stimuli/filled-silhouettes/cat/cat{number}.png" for number in (1, 6, 7, 10)]
    names += [f"stimuli/edges/dog/dog{number}.png" for number in (2, 8)]
    names += [f"{CONFLICT}/cat/{name}.png" for name in ("cat1-dog3", "cat9-dog1", "cat2-cat2")]
    for name in names:
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "clone" / name)
    return tmp_path / "clone"


def parts(source: TextureVsShape) -> dict[str, tuple[str, str]]:
    return {
        entry.reference.rpartition("/")[2]: (entry.class_name, entry.part) for entry in source.list().entries
    }


def test_objects_of_test_images_are_trained_on_in_no_set(clone: Path) -> None:
    root = str(clone)
    assert parts(TextureVsShape(root=root, show="silhouettes")) == {
        "cat1.png": ("cat", "train"), "cat6.png": ("cat", "train"),
        "cat7.png": ("cat", "test"), "cat10.png": ("cat", "test"),
    }  # fmt: skip
    assert parts(TextureVsShape(root=root, show="edges")) == {
        "dog2.png": ("dog", "train"),
        "dog8.png": ("dog", "test"),
    }
    assert parts(TextureVsShape(root=root, show="cue_conflict")) == {
        "cat1-dog3.png": ("cat", "train"), "cat9-dog1.png": ("cat", "test"), "cat2-cat2.png": ("cat", "train"),
    }  # fmt: skip


def test_by_texture_the_texture_is_the_class_and_its_picture_decides(clone: Path) -> None:
    source = TextureVsShape(root=str(clone), show="cue_conflict", label="texture")
    assert parts(source) == {
        "cat1-dog3.png": ("dog", "test"), "cat9-dog1.png": ("dog", "train"), "cat2-cat2.png": ("cat", "train"),
    }  # fmt: skip
    assert source.read(f"{CONFLICT}/cat/cat1-dog3.png").size == (8, 8)


def test_an_archive_of_the_sets_alone_is_read_too(tmp_path: Path, clone: Path) -> None:
    (clone / "stimuli" / "filled-silhouettes").rename(clone / "silhouettes")
    for number, top in enumerate(("", "texture-vs-shape-master/")):
        archive = zipped(clone, tmp_path / f"{number}.zip", top)
        source = TextureVsShape(root=str(archive), show="silhouettes")
        source.check()
        assert source.known_counts() == {"cat": {"train": 2, "test": 2}}
        (image, *_) = source.list().entries
        assert source.read(image.reference).size == (8, 8)


def test_what_is_missing_or_called_otherwise_gets_a_sentence(clone: Path) -> None:
    with pytest.raises(DataUnavailableError, match="nowhere does not exist; get the images by git clone"):
        TextureVsShape(root="nowhere").check()
    with pytest.raises(DataUnavailableError, match=r"has no folder stimuli/edges or edges; get"):
        TextureVsShape(root=str(clone / CONFLICT), show="edges").check()
    with pytest.raises(ValueError, match="must be shape, or texture with"):
        TextureVsShape(root=str(clone), label="texture").check()
    with pytest.raises(ValueError, match="is not one of silhouettes, edges, cue_conflict"):
        TextureVsShape(root=str(clone), show="photos").check()  # type: ignore[arg-type]
    (clone / "stimuli/edges/dog/dog2.png").rename(clone / "stimuli/edges/dog/spot.png")
    with pytest.raises(
        ValueError, match=r"stimuli/edges/dog/spot.png is not called as in .*, such as cat7.png"
    ):
        TextureVsShape(root=str(clone), show="edges").list()
