"""Pictures of the unseen classes in a run's folder: which images, how they look, and what they leave alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.seed import _collect_rng_states as collect_rng_states
from tests.data.conftest import datamodule

from unseen.class_sheet import COLUMNS, FILE, read_sheet
from unseen.data.sources.digits import Digits
from unseen.data.sources.image_folder import ImageFolder
from unseen.runs.thumbnails import spread_over, write_thumbnails


def test_images_are_spread_evenly_over_their_class() -> None:
    labels = torch.tensor([0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1])  # class 1: places 1, 2, 4, 5, ..., 12
    assert spread_over(labels, 0).tolist() == [0, 3]
    assert spread_over(labels, 1).tolist() == [
        1,
        4,
        6,
        8,
        10,
        12,
    ]  # the 0th, 2nd, 4th, 6th, 8th and last of 11
    assert spread_over(torch.tensor([7]), 7).tolist() == [0]


@pytest.mark.parametrize("shift", ["none", "invert"])
def test_they_are_what_the_network_gets(tmp_path: Path, shift: str) -> None:
    made = datamodule(Digits(), image_size=40, train_size=36, test_size=14, unseen_per_class=8, shift=shift)
    made.setup()
    write_thumbnails(tmp_path, made)
    rows = read_sheet(tmp_path / FILE, 3)
    assert rows[0].size == (COLUMNS * 40, 40)
    given = torch.cat([made.on_after_batch_transfer(batch, 0).images for batch in made.unseen_dataloader()])
    for label, row in enumerate(rows):
        shown = torch.tensor(np.asarray(row)).float() / 255  # (40, 240, 3)
        expected = given[spread_over(made.unseen_labels(), label)] / 2 + 0.5  # without the normalisation
        expected = expected.permute(2, 0, 3, 1).reshape(40, COLUMNS * 40, 3)
        assert (shown - expected).abs().mean() < 0.03  # the format loses a little


def test_large_images_are_made_small_and_no_generator_moves(tmp_path: Path, photos: Path) -> None:
    made = datamodule(ImageFolder(str(photos)), image_size=64, unseen=["cat", "owl"])
    made.setup()
    before = collect_rng_states()
    write_thumbnails(tmp_path, made)
    assert str(collect_rng_states()) == str(before)
    cat, owl = (np.asarray(row, dtype=float).mean((0, 1)) for row in read_sheet(tmp_path / FILE, 2))
    np.testing.assert_allclose(
        cat, [79.5, 159.5, 99.5], atol=4
    )  # colour of class 1 in `photos`, and mean noise
    np.testing.assert_allclose(owl, [199.5, 39.5, 99.5], atol=4)


def test_images_that_are_decoded_on_the_fly_are_the_same(tmp_path: Path, photos: Path) -> None:
    for decode in ("ahead", "on_the_fly"):
        made = datamodule(ImageFolder(str(photos)), image_size=32, unseen=["cat", "owl"], decode=decode)
        made.setup()
        (tmp_path / decode).mkdir()
        write_thumbnails(tmp_path / decode, made)
    ahead, later = ((tmp_path / decode / FILE).read_bytes() for decode in ("ahead", "on_the_fly"))
    assert ahead == later


def test_what_cannot_be_written_is_a_notice(
    tmp_path: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = datamodule(ImageFolder(str(photos)), image_size=32, unseen=["cat", "owl"])
    made.setup()
    (tmp_path / FILE).mkdir()  # no file can be put in its place
    write_thumbnails(tmp_path, made)
    assert "note: the report will have no pictures of the unseen classes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / FILE]


def test_a_bad_file_met_on_the_fly_does_not_end_the_run_here(
    tmp_path: Path, write_photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = datamodule(
        ImageFolder(str(write_photos)), image_size=32, unseen=["cat", "owl"], decode="on_the_fly"
    )
    made.setup()
    for path in (write_photos / "cat").iterdir():
        path.write_bytes(b"no picture")
    write_thumbnails(tmp_path, made)
    assert "cannot be used" in capsys.readouterr().err
    assert not (tmp_path / FILE).exists()


@pytest.fixture
def write_photos(tmp_path: Path, photos: Path) -> Path:
    """A copy of the photos that a test may change."""
    return Path(shutil.copytree(photos, tmp_path / "photos"))
