"""What makes two runs the same run."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from unseen.runs import identity
from unseen.runs.cli import register_resolvers
from unseen.runs.identity import _files_below, config_hash

CONFIGS = Path(__file__).parents[2] / "configs"


def composed(*overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=["paths.output_dir=out", "model=swin", *overrides])


def test_a_typed_checkpoint_makes_another_run(tmp_path: Path) -> None:
    hashes = {
        config_hash(composed(*typed), tmp_path)
        for typed in ([], ["ckpt_path=/a.ckpt"], ["ckpt_path=/b.ckpt"])
    }
    assert len(hashes) == 3


def test_a_run_that_goes_on_is_the_same_run(tmp_path: Path) -> None:
    own = f"ckpt_path={tmp_path}/checkpoints/last.ckpt"
    assert config_hash(composed(own), tmp_path) == config_hash(composed(), tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({"checkpoint": "/a.ckpt"}))
    assert config_hash(composed(own), tmp_path) == config_hash(composed("ckpt_path=/a.ckpt"), tmp_path)
    (tmp_path / "summary.json").write_text("[1]")
    assert config_hash(composed(own), tmp_path) == config_hash(composed(), tmp_path)


@pytest.mark.parametrize(
    ("override", "another"),
    [
        ("paths.data_dir=/elsewhere", False),
        ("data.cache_gb=0", False),
        ("data.eval_batch_size=10", False),
        ("logger=none", False),
        ("recipe.warmup_steps=3", True),  # model.scheduler.warmup_steps reads it
        ("model.sizes.paper.taps=[stem]", False),  # of a size that was not chosen
        ("probe.noise_levels=[1.0]", True),  # else a sweep that goes on would not add the rows
        ("probe.image_bootstrap=50", True),
        ("+data.own_key=1", True),
    ],
)
def test_only_what_changes_a_result_or_adds_to_it_makes_another_run(override: str, another: bool) -> None:
    assert (config_hash(composed(override)) != config_hash(composed())) is another


def test_of_very_many_images_only_the_names_count(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_MOST_SIZES", 2)
    images = shutil.copytree(photos, tmp_path / "images")

    def found() -> str:
        _files_below.cache_clear()
        return _files_below(str(images))

    before = found()
    first = next(images.rglob("*.png"))
    first.write_bytes(b"another picture")
    assert found() == before
    first.rename(first.with_name("another.png"))
    assert found() != before


def test_moved_images_are_the_same_images(tmp_path: Path, photos: Path) -> None:
    def found(root: Path) -> str:
        return config_hash(composed("data=image_folder", f"data.root={root}", "data.unseen=[cat,owl]"))

    moved = shutil.copytree(photos, tmp_path / "moved")
    assert found(moved) == found(photos)
    _files_below.cache_clear()
    next(moved.rglob("*.png")).write_bytes(b"another picture")
    assert found(moved) != found(photos)
    archives = [shutil.make_archive(str(tmp_path / name), "zip", photos) for name in ("one", "two")]
    assert found(Path(archives[0])) == found(Path(archives[1]))
    assert found(tmp_path / "nowhere") != found(tmp_path / "elsewhere")


def test_a_folder_that_links_lead_to_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "root" / "a").mkdir(parents=True)
    (tmp_path / "root" / "a" / "1.png").touch()
    alone = _files_below(str(tmp_path / "root"))
    _files_below.cache_clear()
    (tmp_path / "root" / "b").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "a" / "c").symlink_to(tmp_path / "root" / "a")
    assert _files_below(str(tmp_path / "root")) == alone


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert _files_below(str(tmp_path / "pipe")) == str(tmp_path / "pipe")
