"""`python src/train.py` as people type it, cut small."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml
from tests.cli.conftest import TINY, Ran, run_command, start_command

from unseen.scores import ScoreTable

pytestmark = pytest.mark.slow


def test_the_answer_is_on_the_screen_and_in_the_folder(tiny_run: Ran) -> None:
    assert "★ best" in tiny_run.out
    assert "input (raw pixels)" in tiny_run.out
    lines, summary = tiny_run.out.strip().splitlines(), tiny_run.summary()
    assert lines[0] == "resnet from scratch on digits, seed 0: 4 steps, scored at the start and every 2 steps"
    assert f"{summary['parameters']:,} parameters, all are trained" in lines[2]
    assert f"seen accuracy {summary['seen_accuracy']:.3f} · g {summary['g']:.3f}" in lines[-4]
    recommended = f"layer {summary['recommended_layer']} ({summary['recommended_layer_name']})"
    assert f"recommended without unseen labels: {recommended}" in lines[-2]
    assert f"raw pixels {summary['input_unseen_nmi']:.3f}" in lines[-3]
    assert tiny_run.folder.name in lines[-1]
    assert "Traceback" not in tiny_run.err
    assert {path.name for path in tiny_run.folder.iterdir()} >= {
        "config.yaml", "split.json", "scores.csv", "summary.json", "checkpoints", "metrics", "train.log",
        "unseen_classes.webp",
    }  # fmt: skip
    assert {path.name for path in (tiny_run.folder / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}


def test_the_last_checkpoint_knows_the_best(tiny_run: Ran) -> None:
    """Also that of its own evaluation: else a resumed run would overwrite `best.ckpt` by a worse network."""
    content = torch.load(tiny_run.folder / "checkpoints" / "last.ckpt")
    (known,) = [state for name, state in content["callbacks"].items() if "'monitor': 'seen/loss'" in name]
    with (tiny_run.folder / "metrics" / "version_0" / "metrics.csv").open(encoding="utf-8") as file:
        losses = {
            int(row["step"]): float(row["seen/loss"]) for row in csv.DictReader(file) if row["seen/loss"]
        }
    assert known["best_model_score"].item() == pytest.approx(
        min(loss for step, loss in losses.items() if step > 0), rel=1e-5
    )
    assert Path(known["best_model_path"]).name == "best.ckpt"


def test_the_best_checkpoint_holds_weights_only(tiny_run: Ran, train, evaluate) -> None:
    best, last = (tiny_run.folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt"))
    assert best.stat().st_size < 0.5 * last.stat().st_size
    scored = evaluate(f"ckpt_path={best}")
    assert scored.code == 0, scored.out + scored.err
    refused = train("model=resnet", *TINY, f"ckpt_path={best}")
    assert refused.code == 1
    assert "holds weights only, as best.ckpt does; training goes on from a last.ckpt" in refused.err


def test_the_summary_has_what_others_rely_on(tiny_run: Ran) -> None:
    summary = tiny_run.summary()
    assert summary["status"] == "finished"
    assert summary["seed"] == 0
    assert (summary["model"], summary["data"], summary["size"]) == ("resnet", "digits", "demo")
    assert (summary["num_layers"], summary["steps"]) == (5, 4)
    needed = {
        "g",
        "best_layer",
        "best_layer_name",
        "seen_accuracy",
        "seconds",
        "split_hash",
        "versions",
        "config_hash",
    }
    needed |= {
        f"{split}_{probe}" for split in ("seen", "unseen") for probe in ("nmi", "nn1", "nnk", "linear_probe")
    }
    assert needed <= summary.keys()
    table = ScoreTable.read(tiny_run.folder / "scores.csv")
    assert table.steps == [0, 2, 4]
    assert json.loads((tiny_run.folder / "split.json").read_text())["unseen"]
    config = yaml.safe_load((tiny_run.folder / "config.yaml").read_text())
    assert (config["seed"], config["trainer"]["max_steps"]) == (0, 4)


def test_own_photos_with_any_timm_network(photos: Path, train) -> None:
    ran = train(
        "data=image_folder", f"data.root={photos}", "data.unseen=[cat,owl]", "model=timm",
        "model.name=convnextv2_atto", "trainer.max_steps=2", "data.image_size=32", "probe.n_init=1",
        "probe.at_start=false",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    assert json.loads((ran.folder / "split.json").read_text())["unseen"] == ["cat", "owl"]
    assert ran.summary()["model"] == "convnextv2_atto"


def test_a_killed_run_leaves_valid_files_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    """SIGKILL in the middle of training; the resumed run ends with the uninterrupted run's weights and scores."""
    line = ["model=resnet", "seed=3", *TINY, "trainer.max_steps=20", "trainer.val_check_interval=10"]
    line.append("probe.at_start=false")
    whole = run_command("train.py", *line, logs=tmp_path / "whole")
    process = start_command("train.py", *line, logs=tmp_path / "killed", said=tmp_path / "said")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list((tmp_path / "killed").rglob("last.ckpt")):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (folder,) = (path.parent for path in (tmp_path / "killed").rglob("summary.json"))
    left = json.loads((folder / "summary.json").read_text())
    assert left["status"] == "running"
    assert left["steps"] < 20
    assert len(ScoreTable.read(folder / "scores.csv")) > 0
    checkpoint = folder / "checkpoints" / "last.ckpt"
    resumed = run_command(
        "train.py", f"ckpt_path='{checkpoint}'", logs=tmp_path / "resumed"
    )  # its own settings
    assert resumed.code == 0, resumed.out + resumed.err
    assert (resumed.folder / "scores.csv").read_text() == (whole.folder / "scores.csv").read_text()
    first, second = (
        torch.load(ran.folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for ran in (whole, resumed)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_another_runs_checkpoint_is_refused(tiny_run: Ran, train) -> None:
    checkpoint = tiny_run.folder / "checkpoints" / "last.ckpt"
    ran = train("model=resnet", "seed=1", *TINY, f"ckpt_path='{checkpoint}'")
    assert ran.code == 1
    assert "trained with other settings: seed=0 (now 1)" in ran.err
    assert ran.summary()["status"] == "failed"
    broken = tiny_run.logs / "broken.ckpt"
    broken.write_bytes(checkpoint.read_bytes()[:1000])
    ran = train("model=resnet", *TINY, f"ckpt_path='{broken}'")
    assert ran.code == 1
    assert "cannot be read as a checkpoint" in ran.err


def test_ctrl_c_is_recorded(tmp_path: Path) -> None:
    line = ("model=resnet", *TINY, "trainer.max_steps=100000")
    process = start_command("train.py", *line, logs=tmp_path, said=tmp_path / "said")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.rglob("last.ckpt")):
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    code, err = process.wait(timeout=60), process.err
    assert code == 130, err
    assert "interrupted" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    (summary,) = tmp_path.rglob("summary.json")
    content = json.loads(summary.read_text())
    assert (content["status"], content["reason"]) == ("failed", "interrupted")
    assert content["g"] > 0


@pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/dev/full").exists(), reason="needs root to mount a tiny disk"
)
def test_a_full_disk_says_so(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        ran = run_command("train.py", "model=resnet", *TINY, logs=disk)
        assert ran.code == 1
        assert "No space left on device" in ran.err.strip().splitlines()[-1]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_folder_that_cannot_be_written_says_so(train, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    ran = train("model=resnet", *TINY, logs=blocked)
    assert ran.code == 1
    assert len(ran.err.strip().splitlines()) == 1
    assert str(blocked) in ran.err


def test_a_bad_picture_is_refused_or_left_out(photos: Path, tmp_path: Path, train) -> None:
    import shutil

    root = tmp_path / "photos"
    shutil.copytree(photos, root)
    (root / "dog" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n not a picture")
    line = ("data=image_folder", f"data.root={root}", "data.unseen=[cat,owl]", "data.image_size=32",
            "model=resnet", "trainer.max_steps=1", "probe.n_init=1", "probe.at_start=false")  # fmt: skip
    refused = train(*line)
    assert refused.code == 1
    assert "broken.png" in refused.err
    assert "data.skip_bad=true" in refused.err
    met = train(*line, "data.decode=on_the_fly", "data.workers=2")
    assert met.code == 1
    assert met.err.strip().splitlines()[-1].startswith("error: dog/broken.png cannot be used (")
    skipped = train(*line, "data.skip_bad=true")
    assert skipped.code == 0, skipped.err
    assert "note: 1 unreadable image was left out (data.skip_bad=true)" in skipped.err
    assert skipped.summary()["bad_files"] == 1


def test_help_is_quick_and_shows_the_promises(train) -> None:
    before = os.times()
    ran = train("--help", PYTHONPROFILEIMPORTTIME="1")
    assert ran.code == 0
    loaded = {line.rpartition("|")[2].strip() for line in ran.err.splitlines()}
    assert "hydra" in loaded
    assert not {"torch", "lightning", "sklearn", "timm", "numpy"} & loaded  # seconds on any machine
    assert os.times().children_user - before.children_user < 6  # seconds of a slow core, however busy it is
    for promise in (
        "-m model=vit,swin,convnext seed=0,1,2",
        "experiment=calligraphy",
        "data.unseen",
        "seed=0",
    ):
        assert promise in ran.out


def test_the_configuration_can_be_printed(train) -> None:
    ran = train("--cfg", "job", "--resolve", "model=swin", "seed=7")
    assert ran.code == 0, ran.err
    assert yaml.safe_load(ran.out)["seed"] == 7
