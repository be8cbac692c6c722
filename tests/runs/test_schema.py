"""Types and ranges: one sentence that names the setting, its value and what is allowed."""

import copy
import math

import pytest

from unseen.runs.schema import check_types

GOOD = {
    "seed": 0,
    "size": "demo",
    "ckpt_path": None,
    "model": {
        "name": "vit",
        "pretrained": False,
        "pooling": "auto",
        "channels_last": False,
        "optimizer": {"lr": 1e-3, "weight_decay": 0.0, "betas": [0.9, 0.999], "eps": 1e-8},
        "scheduler": {"warmup_steps": 0, "epochs": None},
    },
    "data": {
        "name": "digits",
        "root": None,
        "image_size": 32,
        "unseen": [7, "eight"],
        "num_unseen": None,
        "skip_bad": False,
        "split_seed": 0,
        "batch_size": 72,
        "eval_batch_size": 250,
        "train_size": None,
        "test_size": None,
        "unseen_per_class": None,
        "rotation": 0,
        "stratified": True,
        "eval_deterministic": True,
        "cache_gb": 20,
    },
    "probe": {
        "n_init": 10,
        "seed": 42,
        "k": None,
        "standardize": False,
        "at_start": True,
        "noise_levels": [0.5, 1],
        "save_embeddings": True,
    },
    "trainer": {
        "accelerator": "auto",
        "devices": 1,
        "num_nodes": 1,
        "max_steps": 200,
        "max_epochs": None,
        "val_check_interval": 100,
        "gradient_clip_val": 1.0,
        "accumulate_grad_batches": 1,
        "log_every_n_steps": 10,
    },
}


def test_a_good_configuration_passes() -> None:
    check_types(copy.deepcopy(GOOD))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("seed", "abc", "seed='abc' must be a valid integer"),
        ("seed", -1, "seed=-1 must be greater than or equal to 0"),
        ("seed", True, "seed=True must be a valid integer"),
        ("size", "huge", "size='huge' must be 'demo' or 'paper'"),
        ("model.optimizer.lr", "fast", "model.optimizer.lr='fast' must be a valid number"),
        ("model.optimizer.lr", 0, "model.optimizer.lr=0 must be greater than 0"),
        ("model.pooling", "max", "model.pooling='max' must be 'auto', 'paper', 'mean' or 'first'"),
        ("model.pretrained", "maybe", "model.pretrained='maybe' must be a valid boolean"),
        ("data.image_size", 32.5, "data.image_size=32.5 must be a valid integer"),
        ("data.num_unseen", 1, "data.num_unseen=1 must be greater than or equal to 2"),
        ("data.batch_size", 0, "data.batch_size=0 must be greater than or equal to 1"),
        ("data.unseen", "cat", "data.unseen='cat' must be a valid list"),
        ("data.cache_gb", -1, "data.cache_gb=-1 must be greater than or equal to 0"),
        ("data.cache_gb", math.nan, "data.cache_gb=nan must be greater than or equal to 0"),
        ("data.cache_gb", "all", "data.cache_gb='all' must be a valid number"),
        ("data.cache_gb", None, "data.cache_gb=None must be a valid number"),
        ("trainer.max_steps", 1.5, "trainer.max_steps=1.5 must be a valid integer"),
        ("probe.noise_levels", 0.5, "probe.noise_levels=0.5 must be a valid list"),
        ("probe.noise_levels", [0.5, 0], "probe.noise_levels=[0.5, 0] must be shares of noise above 0 and"),
        ("probe.noise_levels", [1.5, 2], "probe.noise_levels=[1.5, 2] must be shares of noise above 0 and"),
        ("probe.noise_levels", [math.nan], "probe.noise_levels=[nan] must be shares of noise above 0 and"),
        ("probe.noise_levels", [0.5, 0.5], "probe.noise_levels=[0.5, 0.5] must be shares of noise above 0"),
        ("probe.k", 0, "probe.k=0 must be greater than or equal to 1"),
    ],
)
def test_a_wrong_value_is_named(path: str, value: object, says: str) -> None:
    config = copy.deepcopy(GOOD)
    node = config
    *parents, key = path.split(".")
    for parent in parents:
        node = node[parent]
    node[key] = value
    with pytest.raises(ValueError, match="must be") as caught:
        check_types(config)
    assert str(caught.value).startswith(says)


def test_several_slips_are_told_at_once() -> None:
    config = copy.deepcopy(GOOD) | {"seed": "x", "size": "y"}
    with pytest.raises(ValueError, match=r"seed='x'.*size='y'"):
        check_types(config)
