"""Jobs of a sweep, processes of a job and later runs decode the images once between them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import BARE, Ran, run_command

pytestmark = pytest.mark.slow

SHORT = (
    "model=resnet",
    "trainer.max_steps=2",
    *BARE,
    "probe.n_init=1",
    "data.batch_size=16",
)


@pytest.fixture(scope="module")
def images(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """An archive: it needs no seconds to settle, as a folder does that was written just now."""
    archive = shutil.make_archive(str(tmp_path_factory.mktemp("archive") / "photos"), "zip", photos)
    return ("data=image_folder", f"data.root={archive}", "data.unseen=[cat,owl]", *SHORT)


@pytest.fixture(scope="module")
def sweep(images: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    ran = run_command("train.py", "-m", "seed=0,1", *images, logs=tmp_path_factory.mktemp("sweep"))
    assert ran.code == 0, ran.out + ran.err
    return ran


def log(folder: Path) -> str:
    return (folder / "train.log").read_text()


def test_the_second_job_of_a_sweep_maps_what_the_first_decoded(sweep: Ran) -> None:
    first, second = map(log, sweep.folders)
    assert "decoded 100 images in" in first
    assert "mapped 100 decoded images from" in second
    assert "decoded 100 images in" not in second
    assert len(list((sweep.logs / "data" / "cache").glob("*.npy"))) == 1


def test_a_later_run_without_the_cache_has_the_same_scores(
    sweep: Ran, images: tuple[str, ...], tmp_path: Path
) -> None:
    ran = run_command("train.py", "seed=1", "data.cache_gb=0", *images, logs=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    mapped = sweep.folders[1]
    assert "decoded 100 images in" in log(ran.folder)
    assert (ran.folder / "scores.csv").read_text() == (mapped / "scores.csv").read_text()
    assert ran.summary()["config_hash"] in (mapped / "summary.json").read_text()
    assert not (tmp_path / "data").exists()


def test_one_process_of_a_job_decodes_and_the_other_maps(images: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_command("train.py", "trainer=ddp_cpu", "trainer.devices=2", *images, logs=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    said = "".join(path.read_text() for path in ran.folder.glob("*.log"))
    assert said.count("decoded 100 images in") == 1
    assert said.count("mapped 100 decoded images from") == 1


def test_a_folder_that_is_a_file_is_told_once_and_the_run_goes_on(
    images: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("in the way")
    ran = run_command("train.py", *images, logs=tmp_path)
    assert ran.code == 0, ran.out + ran.err
    assert ran.err.count("note: decoded images are in memory, not in") == 1
