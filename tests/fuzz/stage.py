"""What lines refer to: images, checkpoints good and bad, run folders, and things that are not what they should be."""

from __future__ import annotations

import json
import os
import shutil
import stat
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tests.cli.conftest import ROOT, environment
from tests.cli.test_transfer_command import TOY
from tests.cli.warm_python import WarmPython
from tests.fuzz.line import TINY, with_tiny

CLASSES = ("bear", "cat", "dog", "fox", "owl")
# Not the default split, so that a checkpoint scored on default data shows.
TRAINED = {"data.unseen": "[0,1]", "trainer.max_steps": "2", "data.batch_size": "48"}


@dataclass(frozen=True)
class Stage:
    """Paths that lines name; all below one folder.

    Attributes:
        root: The folder.
        photos: A folder of images in five classes; `photos_zip` holds the same.
        run: A finished run folder of resnet on digits, classes 0 and 1 unseen; `other` is a copy of it.
    """

    root: Path

    @property
    def photos(self) -> Path:
        return self.root / "photos"

    @property
    def photos_zip(self) -> Path:
        return self.root / "photos.zip"

    @property
    def run(self) -> Path:
        return self.root / "runs" / "first"

    @property
    def other(self) -> Path:
        return self.root / "runs" / "second"

    @property
    def checkpoint(self) -> Path:
        return self.run / "checkpoints" / "last.ckpt"

    @property
    def other_checkpoint(self) -> Path:
        return self.other / "checkpoints" / "last.ckpt"

    @property
    def own(self) -> Path:
        """A folder with a small encoder, and the configuration that chooses it: `--config-dir` and PYTHONPATH."""
        return self.root / "own"

    @property
    def embeddings(self) -> Path:
        """An .npz file of what an encoder made of a task."""
        return self.root / "embeddings.npz"

    def odd(self, name: str) -> Path:
        """One of: empty, text.txt, empty.ckpt, noise.ckpt, truncated.ckpt, picture.ckpt, fifo, one_class, locked.

        Or `null`, a device as in /dev. What begins with `own_` is for lines that may put a file of their own in its
        place: `own_null`, `own_full`, `own_fifo`.
        """
        return self.root / "odd" / name


def set_stage(root: Path, warm: WarmPython) -> Stage:
    """Make everything below `root`; takes a training run.

    Raises:
        RuntimeError: That plain run failed; nothing can be tried then.
    """
    stage = Stage(root)
    _draw_photos(stage)
    _write_encoder(stage)
    (root / "cwd").mkdir()
    arguments = [*with_tiny(TINY | TRAINED), f"hydra.run.dir={stage.run}"]
    done = warm.run(
        ROOT / "src" / "train.py", arguments, cwd=root / "cwd", env=environment(root / "logs"), timeout=300
    )
    if done.returncode or json.loads((stage.run / "summary.json").read_text())["status"] != "finished":
        raise RuntimeError(f"the stage's own command failed:\n{done.stdout}{done.stderr}")
    shutil.copytree(stage.run, stage.other)
    _make_odd_things(stage)
    return stage


def _draw_photos(stage: Stage) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (stage.photos / name).mkdir(parents=True)
        for picture in range(12):
            pixels = rng.integers(0, 80, (40, 48, 3)) + np.array([number * 40, 160 - number * 40, 60])
            Image.fromarray(pixels.astype(np.uint8)).save(stage.photos / name / f"{picture:02d}.png")
    with zipfile.ZipFile(stage.photos_zip, "w") as archive:
        for path in sorted(stage.photos.rglob("*.png")):
            archive.write(path, path.relative_to(stage.photos))
    for name in ODD_NAMES:
        shutil.copytree(stage.photos, stage.root / name)


def _write_encoder(stage: Stage) -> None:
    (stage.own / "encoder").mkdir(parents=True)
    (stage.own / "toy_encoder.py").write_text(TOY)
    (stage.own / "encoder" / "tiny.yaml").write_text("_target_: toy_encoder.Toy\nwidth: 8\n")
    rng, labels = np.random.default_rng(0), np.arange(60) % 3
    images, texts = rng.normal(size=(60, 8)), rng.normal(size=(3, 8))
    np.savez(stage.embeddings, images=images, texts=texts, labels=labels)
    np.savez(stage.root / "zero.npz", images=images * (labels > 0)[:, None], texts=texts, labels=labels)
    np.savez(stage.root / "widths.npz", images=images, texts=texts[:, :5], labels=labels)
    np.savez(stage.root / "one.npz", images=images, texts=texts, labels=0 * labels)
    np.savez(stage.root / "beyond.npz", images=images, texts=texts, labels=labels + 1)
    np.savez(stage.root / "no_texts.npz", images=images, labels=labels)
    (stage.root / "noise.npz").write_bytes(rng.bytes(5_000))


ODD_NAMES = (
    "with space",
    "ünï-写真",
    "quo'te",
    'dou"ble',
    "com,ma",
    "a=b",
    "dol${x}lar",
    "100%",
    "ha#sh",
    "[b]",
    "$HOME",
)


def _make_odd_things(stage: Stage) -> None:
    odd = stage.root / "odd"
    odd.mkdir()
    (odd / "empty").mkdir()
    (odd / "text.txt").write_text("not an image, an archive or a checkpoint\n")
    (odd / "empty.ckpt").touch()
    (odd / "noise.ckpt").write_bytes(np.random.default_rng(0).bytes(10_000))
    whole = stage.checkpoint.read_bytes()
    (odd / "truncated.ckpt").write_bytes(whole[: len(whole) // 2])
    shutil.copy(stage.photos / "cat" / "00.png", odd / "picture.ckpt")
    for name in ("fifo", "own_fifo"):
        os.mkfifo(odd / name)
    for name, minor in (("null", 3), ("own_null", 3), ("own_full", 7)):
        with suppress(PermissionError):  # only root makes devices; to others the path is one that is missing
            os.mknod(odd / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
    shutil.copytree(stage.photos / "cat", odd / "one_class" / "cat")
    (odd / "locked").mkdir()
    (odd / "locked").chmod(0)
