"""The papers' own lines, at the papers' architectures, on a few images: every backbone, both data sets.

Every backbone with calligraphy; CIFAR-100 takes other images and classes to one network, as tests/test_configs.py
builds every pair of network and data.
"""

from __future__ import annotations

import csv
import hashlib
import json
import pickle
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.cli.conftest import run_command

from unseen.data.sources.calligraphy import TRAIN_COUNTS
from unseen.data.sources.cifar100 import CLASSES

pytestmark = pytest.mark.slow
BACKBONES = {"resnet": 5, "vit": 13, "swin": 5, "pvt": 9, "cvt": 3, "poolformer": 4, "convnext": 5}  # layers
CUT = (
    "trainer=cpu", "model.pretrained=false", "data.image_size=64", "data.batch_size=16", "probe.k=10",
    "trainer.max_steps=1", "trainer.val_check_interval=1", "probe.at_start=false", "probe.save_embeddings=false",
    "callbacks.best_checkpoint=null",
)  # fmt: skip
# the weights of each network and the optimizer's take a gigabyte, and are written as those of a small network
UNSAVED = "callbacks.last_checkpoint=null"


@pytest.fixture(scope="module")
def calligraphy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip archive in the repository's layout: strokes at a place of the artist's own."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("calligraphy") / "calligraphy.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number, artist in enumerate(TRAIN_COUNTS):
            for part, images in (("train", 6), ("test", 4)):
                for image in range(images):
                    pixels = rng.integers(200, 256, (64, 64, 3)).astype(np.uint8)
                    pixels[:, 3 * number : 3 * number + 3] = 0
                    content = BytesIO()
                    Image.fromarray(pixels).save(content, "JPEG")
                    archive.writestr(f"{part}/{artist}/{image}.jpg", content.getvalue())
    return path


@pytest.fixture(scope="module")
def cifar100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torchvision's files with six training and two test images a class, and a patch that knows their check sums."""
    root = tmp_path_factory.mktemp("cifar")
    folder = root / "cifar-100-python"
    folder.mkdir()
    rng = np.random.default_rng(0)
    sums = {}
    for part, number in (("train", 600), ("test", 200)):
        data = rng.integers(0, 256, (number, 3072)).astype(np.uint8)
        content = pickle.dumps({"data": data, "fine_labels": [i % 100 for i in range(number)]})
        (folder / part).write_bytes(content)
        sums[part] = hashlib.md5(content).hexdigest()
    content = pickle.dumps({"fine_label_names": list(CLASSES)})
    (folder / "meta").write_bytes(content)
    (root / "sitecustomize.py").write_text(
        "from torchvision.datasets import CIFAR100 as C\n"
        f"C.train_list, C.test_list = [['train', {sums['train']!r}]], [['test', {sums['test']!r}]]\n"
        f"C.meta = C.meta | {{'md5': {hashlib.md5(content).hexdigest()!r}}}\n"
    )
    return root


def check(folder: Path, model: str, *, experiment: str) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert summary["status"] == "finished", summary["reason"]
    assert (summary["model"], summary["size"], summary["steps"]) == (model, "paper", 1)
    assert summary["num_layers"] == BACKBONES[model]
    assert config["model"]["pooling"] == "paper"
    assert (config["data"]["rotation"], config["data"]["eval_deterministic"]) == (10, False)
    assert (summary["seen_classes"], summary["unseen_classes"]) == (
        (15 if experiment == "calligraphy" else 20),
        5,
    )
    with (folder / "scores.csv").open() as file:
        layers = {
            row["layer"] for row in csv.DictReader(file) if row["probe"] == "nmi" and row["split"] == "unseen"
        }
    assert layers == {str(layer) for layer in range(-1, BACKBONES[model])}
    assert (folder / "checkpoints" / "last.ckpt").is_file() == (experiment == "cifar100")


def sweep(root: Path, logs: Path, *arguments: str, **options: Any) -> list[Path]:
    """Run train.py over what `arguments` name, on a few images; return the run folders."""
    ran = run_command(
        "train.py", "-m", *arguments, *CUT, f"data.root={root}", "data.train_size=40", "data.test_size=30",
        "data.unseen_per_class=6", logs=logs, **options,
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    return ran.folders


@pytest.mark.parametrize(
    ("experiment", "models"), [("calligraphy", list(BACKBONES)), ("cifar100", ["resnet"])]
)
def test_an_experiment_at_its_size(
    experiment: str, models: list[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root: Path = request.getfixturevalue(experiment)
    # the stand-in for CIFAR-100 patches torchvision, which a warm interpreter has loaded already
    options: dict[str, Any] = {"fresh": True, "PYTHONPATH": str(root)} if experiment == "cifar100" else {}
    saved = () if experiment == "cifar100" else (UNSAVED,)
    folders = sweep(
        root, tmp_path, f"experiment={experiment}", f"model={','.join(models)}", *saved, **options
    )
    for folder, model in zip(folders, models, strict=True):
        check(folder, model, experiment=experiment)


def test_the_other_poolings_at_the_papers_size(calligraphy: Path, tmp_path: Path) -> None:
    """Of PVT, whose last stage alone has a class token: each pooling reads something else."""
    poolings = ("model=pvt", "model.pooling=auto,mean,first")
    folders = sweep(calligraphy, tmp_path, "experiment=calligraphy", *poolings, UNSAVED)
    assert len(folders) == 3
    assert len({(folder / "scores.csv").read_text() for folder in folders}) == 3
