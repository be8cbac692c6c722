"""What makes two runs the same run."""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.conf import ConfigSourceInfo, HydraConf, OverridesConf
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from unseen.runs import identity
from unseen.runs.cli import register_resolvers
from unseen.runs.identity import _files_below, config_hash, run_label, scored_run, set_by
from unseen.settings import ADDED, OF_BIASES, OF_TRANSFER, TABLE, effect_of

CONFIGS = Path(__file__).parents[2] / "configs"


def composed(*overrides: str, entry: str = "train") -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose(entry, overrides=["paths.output_dir=out", "model=swin", *overrides])


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
        ("probe.few_shot=[5]", True),
        ("+data.own_key=1", True),
        ("data.imbalance=3", True),
        ("data.shift=blur", True),
        ("data.cue_agreement=0", True),
    ],
)
def test_only_what_changes_a_result_or_adds_to_it_makes_another_run(override: str, another: bool) -> None:
    assert (config_hash(composed(override)) != config_hash(composed())) is another


@pytest.mark.parametrize("name", ADDED)
def test_a_run_of_before_a_setting_existed_is_the_same_run(name: str) -> None:
    """A sweep that was begun then is known again."""
    entry = "biases" if name.startswith("measures.") else "train"
    before, (*group, key) = composed(entry=entry), name.split(".")
    with open_dict(before):
        del OmegaConf.select(before, ".".join(group))[
            key
        ]  # Hydra's ~ takes a null for a key that is not there
    assert config_hash(before) == config_hash(composed(entry=entry))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [("train", "fd62a98990ec"), ("biases", "c77eebefca0e"), ("transfer", "19585b997123")],
)
def test_sweeps_of_an_earlier_version_go_on(entry: str, expected: str) -> None:
    """What a setting adds must be no other run at its default: see ADDED. These were the hashes before data.shift."""
    config = composed("paths.root_dir=/anywhere", "data=digits", entry=entry)
    assert config_hash(config) == expected


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


def test_other_embeddings_in_a_file_make_another_run(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"

    def found(value: float) -> str:
        np.savez(path, images=np.full((2, 2), value))
        _files_below.cache_clear()
        return config_hash(composed("encoder=embeddings_file", f"encoder.path={path}", entry="transfer"))

    assert found(1.0) == found(1.0) != found(2.0)


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


@pytest.mark.parametrize(
    ("typed", "label"),
    [
        ([], "swin-digits"),
        (["seed=3", "logger=wandb", "model=swin", "data.workers=0", "resume=true"], "swin-digits"),
        (["model.optimizer.lr=1e-3"], "swin-digits-lr=1e-3"),
        (["model.optimizer.lr=1e-4", "optimizer=sgd"], "swin-digits-lr=1e-4-sgd"),
        (["data.unseen=[7,8,9]", "size=paper"], "swin-digits-unseen=[7,8,9]-paper"),
        (["model.checkpoint=/home/me/a/best.pth"], "swin-digits-checkpoint=a/best.pth"),
        (["measures=[color,calibration]", "limit=40"], "swin-digits-color,calibration-limit=40"),
        (["experiment=digits"], "swin-digits"),  # an experiment with the name of its data
    ],
)
def test_a_run_is_named_by_what_was_typed_but_for_its_seed(typed: list[str], label: str) -> None:
    with typed_line(*typed):
        assert run_label("swin", "digits") == label


def test_long_names_are_cut_and_still_differ() -> None:
    labels = []
    for last in ("1", "2"):
        with typed_line(f"data.unseen=[{'a' * 200},{last}]"):
            labels.append(run_label("swin", "digits"))
    assert len(set(labels)) == 2
    assert {len(label) for label in labels} == {90}


@pytest.mark.parametrize(
    ("job", "checkpoint", "name"),
    [
        ("eval", None, ""),
        ("train", "logs/a/checkpoints/last.ckpt", ""),  # goes on under its own name
        ("eval", "logs/a/checkpoints/last.ckpt", "@a"),
        ("eval", "logs/a/checkpoints/best.ckpt", "@a"),
        ("biases", str(Path(__file__).parent), "@runs"),  # a run folder
    ],
)
def test_a_scored_run_is_in_the_name(job: str, checkpoint: str | None, name: str) -> None:
    with typed_line(job=job):
        assert scored_run(checkpoint) == name


def test_long_names_of_scored_runs_are_cut_and_still_differ() -> None:
    with typed_line(job="eval"):
        names = {scored_run(f"logs/{'b' * 30}{last}/checkpoints/last.ckpt") for last in "12"}
    assert len(names) == 2
    assert {name[:17] for name in names} == {f"@{'b' * 15}_"}
    assert {len(name) for name in names} == {25}


def test_which_choice_sets_what_nobody_typed() -> None:
    with typed_line("model=vit", "debug=tiny"):
        assert [set_by(name) for name in ("data.train_size", "probe.n_init", "data.rotation")] == [
            "debug=tiny", "debug=tiny", None,
        ]  # fmt: skip
    with typed_line("debug=tiny", "data.train_size=40"):
        assert set_by("data.train_size") is None


@contextmanager
def typed_line(*typed: str, job: str = "train") -> Iterator[None]:
    """Make Hydra believe that this was typed."""
    hydra = OmegaConf.structured(HydraConf(overrides=OverridesConf(task=list(typed))))
    hydra.job.name = job
    hydra.runtime.config_sources = [ConfigSourceInfo(path=str(CONFIGS), schema="file", provider="main")]
    HydraConfig.instance().set_config(OmegaConf.create({"hydra": hydra}))
    try:
        yield
    finally:
        HydraConfig.instance().cfg = None


def test_the_state_of_the_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "PROJECT_ROOT", tmp_path)
    state = identity.git_state.__wrapped__
    assert state() == {}

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init")
    assert state() == {}  # no commit
    (tmp_path / "code.py").write_text("1")
    git("add", "code.py")
    git("commit", "-m", "first")
    git("tag", "v1-rc")
    (tmp_path / "results").mkdir()  # beside the code
    assert state() == {"commit": git("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "code.py").write_text("2")
    assert state() == {"commit": git("rev-parse", "HEAD"), "dirty": True}


def test_a_name_has_one_effect_whatever_command_reads_it() -> None:
    tables = (TABLE, OF_BIASES, OF_TRANSFER)
    for one, other in itertools.combinations(tables, 2):
        for name in one.keys() & other.keys():
            assert one[name][1] == other[name][1] == effect_of(name)
