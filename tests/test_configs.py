"""Every YAML composes, resolves and passes the schema; every model x data pair can be built."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import OmegaConf

from unseen.runs.cli import register_resolvers
from unseen.runs.data_parts import make_datamodule
from unseen.runs.identity import config_hash
from unseen.runs.schema import check_settings
from unseen.runs.trust import KNOWN_CLASSES, KNOWN_PARTS, targets
from unseen.settings import _WITHIN, TABLE, effect_of, flatten

CONFIGS = Path(__file__).parents[1] / "configs"
OF_OTHERS = {
    "measures",
    "benchmark",
    "technique",
    "encoder",
    "transfer_experiment",
}  # groups of other entries
GROUPS = sorted(path.name for path in CONFIGS.iterdir() if path.is_dir() and path.name not in OF_OTHERS)
OPTIONS = [
    (group, path.stem)
    for group in GROUPS
    for path in sorted((CONFIGS / group).glob("*.yaml"))
    if not path.stem.startswith("_")
]
OF_ONE_FILE = {
    "data.dataset",
    "data.image_column",
    "data.label_column",
    "data.subset",
    "data.options",
    "data.patch_size",
    "trainer._target_",
    "trainer.limit_train_batches",
}  # not in the table: they may change the result
MODELS = [name for group, name in OPTIONS if group == "model"]
DATA = [name for group, name in OPTIONS if group == "data"]
# a network gets images of these as of image_folder; what they read is tested by tests/data
AS_FOLDERS = {
    "silhouettes", "edges", "cue_conflict_shape", "cue_conflict_texture", "textures", "textile",
    "letters", "faces",
}  # fmt: skip


def resolved(*overrides: str, config: str = "train") -> dict[str, Any]:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose(config, overrides=["paths.output_dir=out", *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(composed)
    OmegaConf.set_struct(composed, False)
    composed.pop("hydra")
    plain: dict[str, Any] = OmegaConf.to_container(composed, resolve=True)  # type: ignore[assignment]
    return plain


@cache
def chosen(group: str, option: str) -> dict[str, Any]:
    """The settings with one file of a group; two tests read them and change none."""
    experiment = ["experiment=bias_induced"] if group == "induce" else []  # the only one that has this group
    return resolved(*experiment, f"{group}={option}")


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids=lambda value: value)
def test_every_yaml_composes_and_each_setting_has_one_effect(group: str, option: str) -> None:
    """A new setting must be put into the table: what it affects decides which runs are the same run."""
    plain = chosen(group, option)
    check_settings(plain)
    for key, _ in flatten(plain).items():
        effects = {effect for pattern, effect in _WITHIN.items() if fnmatchcase(key, pattern)}
        in_table = any(key == name or key.startswith(f"{name}.") for name in TABLE)
        assert len(effects) == 1 or (in_table and not effects) or key in OF_ONE_FILE, key
        assert effect_of(key) in (effects or {effect_of(key)})


@pytest.mark.parametrize("config", ["train", "eval"])
def test_the_entries_compose(config: str) -> None:
    check_settings(resolved(config=config))


@pytest.mark.parametrize("technique", sorted(path.stem for path in (CONFIGS / "technique").glob("*.yaml")))
def test_the_demonstration_has_a_learning_rate_for_each_technique(technique: str) -> None:
    plain = resolved("transfer_experiment=demo", f"technique={technique}", config="transfer")
    rates = plain.pop("rates")["unseen"]["encoders"]["tuning"]
    check_settings(plain)
    assert plain["model"]["optimizer"]["lr"] == rates[technique]
    assert plain["limit"] == 240  # it comes after the settings of transfer.yaml


def test_the_papers_experiment_is_the_papers() -> None:
    """arXiv 2402.14095 and 2405.01524: AdamW 2e-4 without decay or warm-up, 4 epochs planned (ResNet 5), batch 72."""
    plain = resolved("experiment=calligraphy", "model=vit")
    optimizer, scheduler = plain["model"]["optimizer"], plain["model"]["scheduler"]
    assert (optimizer["lr"], optimizer["weight_decay"], optimizer["betas"]) == (2e-4, 0.0, [0.9, 0.999])
    assert (scheduler["warmup_steps"], scheduler["epochs"]) == (0, 4)
    assert (plain["data"]["batch_size"], plain["data"]["train_size"], plain["data"]["test_size"]) == (
        72,
        9100,
        2500,
    )
    assert (plain["data"]["image_size"], plain["data"]["rotation"], plain["data"]["stratified"]) == (
        224,
        10,
        False,
    )
    assert (plain["trainer"]["max_steps"], plain["trainer"]["val_check_interval"]) == (500, 100)
    assert plain["trainer"]["gradient_clip_val"] == 1.0
    assert (plain["trainer"]["precision"], plain["trainer"]["eval_precision"]) == ("16-mixed", 32)
    assert (plain["probe"]["n_init"], plain["probe"]["k"], plain["model"]["pooling"]) == (1, 500, "paper")
    assert plain["callbacks"]["layer_probe"]["pooling"] == "paper"
    assert resolved("experiment=calligraphy", "model=resnet")["model"]["scheduler"]["epochs"] == 5
    assert resolved("experiment=cifar100", "model=cvt")["data"]["num_labels"] == 95


def test_seed_zero_is_a_seed() -> None:
    assert resolved("seed=0")["seed"] == 0


def test_where_decoded_images_are_does_not_make_another_run() -> None:
    """A sweep begun before there was a cache, or without it, is known again."""
    register_resolvers()
    hashes = set()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        for override in (
            "data.cache_gb=20",
            "data.cache_gb=0",
            "~data.cache_gb",
            "data.decode=on_the_fly",
            "data.workers=2",
        ):
            hashes.add(config_hash(compose("train", overrides=["paths.output_dir=out", override])))
        other = config_hash(compose("train", overrides=["paths.output_dir=out", "data.pad=0"]))
    assert len(hashes) == 1
    assert other not in hashes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data"),
    [(model, data) for model in MODELS for data in DATA if data not in AS_FOLDERS],
)
def test_every_pair_is_built(model: str, data: str, photos: Path, tmp_path: Path) -> None:
    pictures = {str(path): path.parent.name for path in sorted(photos.glob("*/*.png"))}
    if data == "csv":
        lines = ["path,label", *(f"{path},{label}" for path, label in pictures.items())]
        (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8")
    if data == "huggingface":
        datasets = pytest.importorskip("datasets")
        made = datasets.Dataset.from_dict({"image": list(pictures), "label": list(pictures.values())})
        made.cast_column("image", datasets.Image()).save_to_disk(tmp_path / "set")
    of_data = {
        "csv": [f"data.root={tmp_path / 'table.csv'}", "data.unseen=[cat,owl]"],
        "huggingface": [f"data.name={tmp_path / 'set'}", "data.unseen=[cat,owl]"],
        "image_folder": [f"data.root={photos}", "data.unseen=[cat,owl]"],
        "torchvision": ["data.dataset=SVHN", "data.num_unseen=3"],
        "torch_dataset": [
            "data.source.dataset={_target_: torchvision.datasets.FakeData, size: 40, num_classes: 4}",
            "data.num_unseen=2",
        ],
    }
    of_model = {
        "module": [
            "model.backbone.network._target_=tests.backbones.test_module.Net",
            "model.backbone.taps=[first]",
        ],
    }
    plain = resolved(f"model={model}", f"data={data}", *of_data.get(data, []), *of_model.get(model, []))
    spec = instantiate(plain["model"]["backbone"], _convert_="all")
    size = plain["data"]["image_size"]
    spec.check(size)
    datamodule = make_datamodule(plain, spec)
    datamodule.check(None)
    backbone = spec.build(4, size)
    assert backbone.image_size == size
    assert sum(weight.numel() for weight in backbone.parameters()) <= 4e6 or model in {
        "efficientnet_lite0",
        "efficientnet_lite1",
        "efficientnet_lite2",
        "torchvision",
    }


def test_checkpoints_may_name_every_class_that_our_files_name() -> None:
    """Else eval.py would refuse a checkpoint of ours."""
    found = set()
    for group, part, key in (
        ("model", "model", "backbone"),
        ("tuning", "model", "tuning"),
        ("data", "data", "source"),
    ):
        for option in [option for name, option in OPTIONS if name == group]:
            found.add(chosen(group, option)[part][key]["_target_"])
    assert found == KNOWN_CLASSES
    parts = set()
    for group, part in (
        ("loss", "model"),
        ("optimizer", "model"),
        ("scheduler", "model"),
        ("augment", "data"),
    ):
        for option in [option for name, option in OPTIONS if name == group]:
            parts.update(targets(chosen(group, option)[part][group]))
    assert parts == KNOWN_PARTS
