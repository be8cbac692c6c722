"""Every YAML of the group composes and makes a data module."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import OmegaConf
from tests.data.conftest import datamodule

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NAMES = [
    "calligraphy",
    "cifar100",
    "csv",
    "cue_conflict_shape",
    "cue_conflict_texture",
    "digits",
    "edges",
    "faces",
    "huggingface",
    "image_folder",
    "letters",
    "silhouettes",
    "textile",
    "textures",
    "torch_dataset",
    "torchvision",
    "typefaces",
]
PROMISED = {"name", "root", "image_size", "unseen", "num_unseen", "skip_bad", "split_seed"}
FOR_SOURCES = {
    "name",
    "source",
    "root",
    "image_sizes",
    "test_root",
    "dataset",
    "options",
    "patch_size",
    "templates",
    "class_names",
    "keep",  # three settings of a `Diet`
    "keep_share",
    "el2n",
    "subset",
    "image_column",
    "label_column",
    "cache_gb",
    "thumbnails",
    "cue_agreement",  # of a `ColourCue`
}


@pytest.fixture
def composed(tmp_path):
    """Composes the data group with a root of its own, so that the other groups do not matter."""
    (tmp_path / "root.yaml").write_text(
        "defaults:\n  - data: digits\n  - _self_\nsize: demo\nseed: 0\npaths:\n  data_dir: somewhere\n"
    )

    (tmp_path / "data").symlink_to(CONFIGS / "data")

    def run(*overrides):
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            config = compose("root", overrides=list(overrides))
        return OmegaConf.to_container(config.data, resolve=True)

    return run


def build(config, **more):
    arguments = {key: value for key, value in config.items() if key not in FOR_SOURCES}
    return datamodule(instantiate(config["source"]), **arguments, **more)


def test_no_file_is_forgotten():
    assert sorted(path.stem for path in (CONFIGS / "data").glob("[!_]*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["demo", "paper"])
def test_every_configuration_composes(composed, name, size):
    config = composed(f"data={name}", f"size={size}")
    assert set(config) >= PROMISED
    assert config["name"] == name
    demo = 32 if name in ("cifar100", "digits", "torch_dataset", "torchvision") else 64
    assert config["image_size"] == (224 if size == "paper" else demo)
    data = build(config, seed=0)
    assert data.batch_size == 72
    if name in ("digits", "calligraphy", "cifar100", "typefaces"):
        data.check(k=100)


def test_image_size_can_be_set(composed):
    assert composed("data=calligraphy", "data.image_size=96")["image_size"] == 96


def test_the_line_from_the_readme(composed, write_images):
    root = write_images({"cat": 6, "owl": 6, "dog": 6, "ant": 6})
    data = build(composed("data=image_folder", f"data.root={root}", "data.unseen=[cat,owl]"))
    data.check()
    data.setup()
    assert data.split.unseen_names == ("cat", "owl")


def test_whole_numbers_are_digits(composed):
    data = build(composed("data.unseen=[1,4]"))
    data.check()
    assert data.split.unseen_names == ("1", "4")


def test_drawing_needs_no_other_change(composed):
    data = build(composed("data.num_unseen=4", "data.split_seed=2"))
    data.check()
    assert len(data.split.unseen) == 4
    assert data.split.seed == 2


def test_missing_settings_say_so(composed):
    for name, words in (
        ("image_folder", "data.root is missing"),
        ("torchvision", "data.dataset is missing"),
        ("torch_dataset", "data.source.dataset is missing"),
    ):
        with pytest.raises(ValueError, match=words):
            build(composed(f"data={name}")).check()


def test_more_arguments_for_torchvision(composed):
    config = composed(
        "data=torchvision", "data.dataset=EMNIST", "+data.options.split=letters", "data.num_unseen=5"
    )
    data = build(config)
    data.check()
    assert data.source.options == {"split": "letters"}
    assert data.source.data_dir == "somewhere"


def test_the_papers_settings_are_settings(composed):
    data = build(
        composed(
            "data=cifar100", "size=paper", "data.num_labels=95", "data.rotation=10", "data.eval_deterministic=false",
            "data.stratified=false", "data.train_size=10000", "data.test_size=2000", "data.unseen_per_class=500",
        )
    )  # fmt: skip
    data.check(k=500)
    assert data.num_classes == 95


def test_a_torch_dataset_by_its_target(composed):
    dataset = "{_target_: torchvision.datasets.FakeData, size: 40, num_classes: 4, image_size: [3, 8, 8]}"
    data = build(composed("data=torch_dataset", f"data.source.dataset={dataset}", "data.num_unseen=2"))
    data.check()
    data.setup()
    assert sum(data.num_images(which) for which in ("train", "seen", "unseen")) == 40
    assert data.split.classes == ("0", "1", "2", "3")
