"""Types and ranges: one sentence that names the setting, its value and what is allowed."""

import copy
import math
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf

from unseen.runs.build import begin
from unseen.runs.cli import register_resolvers
from unseen.runs.errors import UserError, configuration_sentence
from unseen.runs.schema import check_job, check_settings, no_checkpoint, read_places

CONFIGS = Path(__file__).parents[2] / "configs"
GOOD = {
    "seed": 0,
    "size": "demo",
    "ckpt_path": None,
    "extras": {"print_config": False},
    "optimized_metric": None,
    "resume": False,
    "plan": False,
    "recipe": {
        "pretrained": False,
        "lr": 1e-3,
        "warmup_steps": 0,
        "schedule_epochs": None,
        "max_steps": 200,
        "val_check_interval": 100,
        "precision": "auto",
        "eval_precision": "tf32",
    },
    "paths": {"root_dir": "/p", "log_dir": "/p/logs", "data_dir": "/p/data", "output_dir": "/p/logs/run"},
    "callbacks": {"layer_probe": {"_target_": "unseen.callbacks.layer_probe.LayerProbe"}, "other": None},
    "logger": {},
    "model": {
        "name": "vit",
        "pretrained": False,
        "pooling": "auto",
        "channels_last": False,
        "backbone": {"_target_": "unseen.backbones.timm.TimmSpec", "architecture": "a", "options": {"b": 1}},
        "sizes": {"demo": {"architecture": "vit_base", "options": {}}},
        "schedule_epochs": None,
        "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
        "tuning": {"_target_": "unseen.backbones.tuning.full", "_partial_": True},
        "optimizer": {
            "_target_": "torch.optim.AdamW",
            "_partial_": True,
            "lr": 1e-3,
            "betas": [0.9, 0.999],
            "eps": 1e-8,
        },
        "scheduler": {"_target_": "unseen.training.schedule.linear", "warmup_steps": 0, "epochs": None},
    },
    "data": {
        "name": "digits",
        "source": {"_target_": "unseen.data.sources.digits.Digits", "dataset": "SVHN"},
        "root": None,
        "image_sizes": {"demo": 32, "paper": 224},
        "seen": None,
        "test_fraction": 0.2,
        "pad": 0.1,
        "num_labels": None,
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
        "decode": "auto",
        "workers": "auto",
    },
    "probe": {
        "n_init": 10,
        "seed": 42,
        "k": None,
        "standardize": False,
        "image_bootstrap": None,
        "few_shot": [1, 20],
        "discovery": True,
        "layer_costs": False,
        "ensembles": True,
        "at_start": True,
        "noise_levels": [0.5, 1],
        "save_embeddings": True,
        "selectors": ["silhouette", "nc1"],
    },
    "trainer": {
        "accelerator": "auto",
        "devices": 1,
        "num_nodes": 1,
        "precision": "auto",
        "eval_precision": "tf32",
        "limit_train_batches": 3,
        "max_steps": 200,
        "max_epochs": None,
        "val_check_interval": 100,
        "gradient_clip_val": 1.0,
        "accumulate_grad_batches": 1,
        "log_every_n_steps": 10,
    },
}


def test_a_good_configuration_passes() -> None:
    check_settings(copy.deepcopy(GOOD))


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("seed", "abc", "seed='abc' must be a valid integer"),
        ("seed", -1, "seed=-1 must be greater than or equal to 0"),
        ("model.backbone", 3, "model.backbone=3 must be a valid dictionary"),
        ("seed", True, "seed=True must be a valid integer"),
        ("size", "huge", "size='huge' must be 'demo' or 'paper'"),
        ("model.optimizer.lr", "fast", "model.optimizer.lr='fast' must be a valid number"),
        ("model.optimizer.lr", 0, "model.optimizer.lr=0 must be greater than 0"),
        ("model.pooling", "max", "model.pooling='max' must be 'auto', 'paper', 'mean' or 'first'"),
        ("model.pretrained", "maybe", "model.pretrained='maybe' must be a valid boolean"),
        ("data.image_size", 32.5, "data.image_size=32.5 must be a valid integer"),
        ("data.num_unseen", 1, "data.num_unseen=1 must be greater than or equal to 2"),
        ("data.batch_size", 0, "data.batch_size=0 must be greater than or equal to 1"),
        (
            "data.unseen",
            "cat",
            "data.unseen='cat' must be a list of names or ids, such as [cat,owl]; a name that",
        ),
        (
            "data.unseen",
            [0.5, 1.5],
            "data.unseen=[0.5, 1.5] must be a list of names or ids, such as [cat,owl]; a name",
        ),
        ("data.seen", ["cat", True], "data.seen=['cat', True] must be a list of names"),
        ("data.seen", [-1, 2], "data.seen=[-1, 2] must be a list of names"),
        ("data.cache_gb", -1, "data.cache_gb=-1 must be greater than or equal to 0"),
        ("data.decode", "later", "data.decode='later' must be 'auto', 'ahead' or 'on_the_fly'"),
        ("data.workers", -1, "data.workers=-1 must be greater than or equal to 0"),
        ("data.cache_gb", math.nan, "data.cache_gb=nan must be a finite number"),
        ("data.cache_gb", math.inf, "data.cache_gb=inf must be a finite number"),
        ("model.optimizer.eps", math.inf, "model.optimizer.eps=inf must be a finite number"),
        (
            "model.optimizer.betas",
            [math.nan, 0.9],
            "model.optimizer.betas=[nan, 0.9] must be a finite number",
        ),
        ("model.optimizer.betas", [0.9, 1.0], "model.optimizer.betas=[0.9, 1.0] must be less than 1"),
        ("model.scheduler.epochs", math.inf, "model.scheduler.epochs=inf must be a finite number"),
        ("data.split_seed", 10**20, f"data.split_seed={10**20} must be less than"),
        ("data.pad", True, "data.pad=True must be a valid number"),
        ("data.num_labels", "abc", "data.num_labels='abc' must be a valid integer"),
        ("data.test_fraction", [1, 2], "data.test_fraction=[1, 2] must be a valid number"),
        ("resume", "maybe", "resume='maybe' must be a valid boolean"),
        ("plan", "", "plan='' must be a valid boolean"),
        ("trainer.precision", "bf16-true", "trainer.precision='bf16-true' must be 'auto', '32-true', "),
        ("trainer.eval_precision", "16", "trainer.eval_precision='16' must be 32 or 'tf32'"),
        ("trainer.max_steps", 0, "trainer.max_steps=0 must be at least 1, or -1 with a trainer.max_epochs"),
        ("trainer.val_check_interval", 1.5, "trainer.val_check_interval=1.5 must be a whole number of steps"),
        (
            "trainer.val_check_interval",
            0,
            "trainer.val_check_interval=0 must be a whole number of steps, or a share",
        ),
        ("trainer.val_check_interval", 0.0, "trainer.val_check_interval=0.0 must be a whole number of steps"),
        ("trainer.val_check_interval", -1, "trainer.val_check_interval=-1 must be a whole number of steps"),
        ("trainer.val_check_interval", math.inf, "trainer.val_check_interval=inf must be"),
        ("trainer.accumulate_grad_batches", 10**20, f"trainer.accumulate_grad_batches={10**20} must be less"),
        ("trainer.deterministic", "perhaps", "trainer.deterministic='perhaps' must be a valid boolean or"),
        ("trainer.devices", 0, "trainer.devices=0 must be a number of processes from 1 to 1024, -1 or auto"),
        ("model.name", "a" * 1000, "model.name='aaaaaaaa"),
        ("data.cache_gb", "all", "data.cache_gb='all' must be a valid number"),
        ("data.cache_gb", None, "data.cache_gb=None must be a valid number"),
        ("trainer.max_steps", 1.5, "trainer.max_steps=1.5 must be a valid integer"),
        ("probe.noise_levels", 0.5, "probe.noise_levels=0.5 must be a valid list"),
        ("probe.noise_levels", [0.5, 0], "probe.noise_levels=[0.5, 0] must be shares of noise above 0 and"),
        ("probe.noise_levels", [1.5, 2], "probe.noise_levels=[1.5, 2] must be shares of noise above 0 and"),
        ("probe.noise_levels", [math.nan], "probe.noise_levels=[nan] must be a finite number"),
        ("probe.noise_levels", [0.5, 0.5], "probe.noise_levels=[0.5, 0.5] must be shares of noise above 0"),
        (
            "probe.selectors",
            "silhouette",
            "probe.selectors='silhouette' must be default, none, or a list of some of ",
        ),
        (
            "probe.selectors",
            ["silhouete"],
            "probe.selectors=['silhouete'] must be default, none, or a list of",
        ),
        (
            "probe.selectors",
            ["nc1", "nc1"],
            "probe.selectors=['nc1', 'nc1'] must be default, none, or a list of",
        ),
        ("probe.selectors", [], "probe.selectors=[] must be default, none"),
        ("probe.selectors", [["nc1"]], "probe.selectors=[['nc1']] must be default, none"),
        ("probe.few_shot", 5, "probe.few_shot=5 must be a list of some of 1, 2, 5, 10, 20, each once, or []"),
        ("probe.few_shot", [5, 3], "probe.few_shot=[5, 3] must be a list of some of"),
        ("probe.layer_costs", 1, "probe.layer_costs=1 must be a valid boolean"),
        ("probe.discovery", "yes", "probe.discovery='yes' must be a valid boolean"),
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
    with pytest.raises(ValueError, match="must") as caught:
        check_settings(config)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("probe.n_inti", "probe.n_init"),
        ("model.freeze", None),
        ("model.schedule_epoch", "model.schedule_epochs"),
        ("data.image_sizee", "data.image_size"),
        ("data._target_", None),
        ("lr", "model.optimizer.lr"),
        ("batch_size", "data.batch_size"),
        ("data.n_init", "probe.n_init"),
        ("model.sizes.demo.depth", None),
        ("recipe.steps", None),
        ("paths.logs", None),
    ],
)
def test_a_key_that_nothing_reads_is_refused_with_the_nearest_name(path: str, meant: str | None) -> None:
    config = copy.deepcopy(GOOD)
    node = config
    *parents, key = path.split(".")
    for parent in parents:
        node = node[parent]
    node[key] = 1
    with pytest.raises(ValueError, match="nothing reads it") as caught:
        check_settings(config)
    assert str(caught.value) == f"{path} is not a setting: nothing reads it" + (
        f" (did you mean {meant}?)" if meant else ""
    )


def test_a_key_that_an_interpolation_reads_is_a_setting() -> None:
    config = copy.deepcopy(GOOD) | {"tag": "a"}
    unresolved = {"name": "${tag}", "data": {"source": {"split": "${..splits.${size}}"}}}
    config["data"]["splits"] = {"demo": 1}
    check_settings(config, read_places(OmegaConf.create(unresolved)))
    config["data"]["spilts"] = {"demo": 1}
    with pytest.raises(ValueError, match=r"data\.spilts is not a setting.*did you mean data\.splits"):
        check_settings(config, read_places(OmegaConf.create(unresolved)))


def test_a_key_that_stands_for_one_of_its_object_is_a_setting() -> None:
    config = copy.deepcopy(GOOD)
    config["data"]["dataset"] = None  # data.source.dataset=SVHN was typed instead
    check_settings(config)


def test_what_is_missing_is_named() -> None:
    config = copy.deepcopy(GOOD)
    del config["data"]["source"]
    with pytest.raises(ValueError, match=r"^data\.source is missing$"):
        check_settings(config)


def test_steps_without_end_need_epochs() -> None:
    config = copy.deepcopy(GOOD)
    config["trainer"]["max_steps"] = -1
    with pytest.raises(ValueError, match=r"trainer\.max_steps=-1 has no end: give trainer\.max_epochs"):
        check_settings(config)
    check_settings(config | {"trainer": config["trainer"] | {"max_epochs": 2}})


def test_several_slips_are_told_at_once() -> None:
    config = copy.deepcopy(GOOD) | {"seed": "x", "size": "y"}
    with pytest.raises(ValueError, match=r"seed='x'.*size='y'"):
        check_settings(config)


def composed(*overrides: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", overrides=["model=resnet", *overrides], return_hydra_config=True)


@pytest.mark.parametrize(
    "overrides", [[], ["logger=none"], ["size=paper"], ["+tag=a", "hydra.run.dir=logs/${tag}"]]
)
def test_a_good_job_passes(overrides: list[str]) -> None:
    check_job(composed(*overrides))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("+model.sizes.demo.epochz=1", r"model\.sizes\.demo\.epochz is not a setting"),
        ("+model.sizes.huge.taps=[stem]", r"model\.sizes\.huge\.taps is not a setting"),
        ("+model.freeze=true", r"model\.freeze is not a setting: nothing reads it"),
        ("+data.test_root=/x", r"data\.test_root is not a setting"),  # the digits have none
        ("+tag=a", "tag is not a setting"),
        ("ckpt_path=/nowhere.ckpt", r"ckpt_path=/nowhere\.ckpt is not a file"),
        ("ckpt_path=''", "ckpt_path='' is not a path"),
        ("plan=maybe", "plan='maybe' must be a valid boolean"),
        ("+callbacks.mine=1", r"callbacks\.mine=1 must be a valid dictionary"),
        ("callbacks.layer_probe.pooling=max", r"set model\.pooling"),
        ("+trainer.limit_val_batches=2", "would leave images out of the evaluation"),
        ("+trainer.inference_mode=true", "is set by the program and cannot be typed"),
        ("+callbacks.layer_probe.save_embeddings=false", r"use probe\.save_embeddings"),
        ("+model.backbone.checkpoint_path=/x", "model.checkpoint=/path/to/weights"),
        ("++model.optimizer=3", r"model\.optimizer=3 must be a group of settings"),
        ("~model.optimizer", r"^model\.optimizer is missing$"),
    ],
)
def test_a_bad_job_is_refused(override: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_job(composed(override))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("optimizer.lr=.9", "model.optimizer.lr"),
        ("scheduler.warmup_steps=1", "model.scheduler.warmup_steps"),
        ("tuning.rank=4", "model.tuning"),  # full fine-tuning has no rank
        ("optimzer=sgd", "optimizer"),
        ("debgu=tiny", "debug"),
        ("lr=.1", "model.optimizer.lr"),
    ],
)
def test_a_slip_that_hydra_refuses_is_told_with_the_nearest_name(typed: str, meant: str) -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        composed(typed)
    assert f" is not a setting (did you mean {meant}?)" in str(configuration_sentence(caught.value))


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("trainer.max_time=00:01:00", "; another argument is added with a plus: +trainer.max_time=..."),
        (
            "model.optimizer.foreach=true",
            "; another argument is added with a plus: +model.optimizer.foreach=...",
        ),
        (
            "trainer.limit_val_batches=2",
            "trainer.limit_val_batches would leave images out of the evaluation: the",
        ),
        (
            "trainer.enable_checkpointing=false",
            "; use callbacks.last_checkpoint=null or callbacks.best_checkpoint=nu",
        ),
    ],
)
def test_an_argument_of_an_object_that_no_file_has(typed: str, says: str) -> None:
    with pytest.raises(ConfigCompositionException) as caught:
        composed(typed)
    assert says in str(configuration_sentence(caught.value))


def test_groups_of_other_commands_are_not_meant() -> None:
    """A model of train.py is no encoder of transfer.py."""
    with pytest.raises(ConfigCompositionException) as caught:
        composed("encodr=x")
    assert "encodr is not a setting; the configuration has" in str(configuration_sentence(caught.value))
    with pytest.raises(ConfigCompositionException) as caught:
        composed("hydra/launchr=joblib")
    says = "hydra/launchr is not a setting or a group of settings (did you mean hydra/launcher?)"
    assert says in str(configuration_sentence(caught.value))


@pytest.mark.parametrize("typed", ["plan=true", "resume=true", "optimized_metric=g", "hparams_search=optuna"])
def test_what_only_a_sweep_reads_is_refused_in_a_single_run(typed: str) -> None:
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    with pytest.raises(
        UserError, match=r"is read by (sweeps|searches \(hparams_search=optuna\)) only: add -m"
    ):
        begin(composed(typed))


def test_what_another_network_reads_is_refused() -> None:
    config = composed("model=vit", "+model.sizes.demo.epochs=3")
    with pytest.raises(ValueError, match=r"model\.sizes\.demo\.epochs is not a setting: nothing reads it"):
        check_job(config)


def test_what_a_size_would_have_said_may_be_typed_over() -> None:
    """model/resnet.yaml has the epochs of its schedule in each size; a typed value leaves them unread."""
    check_job(composed("model=resnet", "model.scheduler.epochs=3"))


def test_a_selector_whose_package_is_missing_is_refused_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    config = copy.deepcopy(GOOD)
    config["probe"]["selectors"] = ["silhouette_umap"]
    monkeypatch.setattr("unseen.runs.schema.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"silhouette_umap, which needs .*pip install 'unseen\[umap\]'"):
        check_settings(config)


def test_a_run_folder_in_place_of_its_checkpoint_is_told(tmp_path: Path) -> None:
    assert no_checkpoint(tmp_path) == "is not a file"
    (tmp_path / "checkpoints").mkdir()
    last = tmp_path / "checkpoints" / "last.ckpt"
    last.touch()
    assert (
        no_checkpoint(tmp_path)
        == no_checkpoint(tmp_path / "checkpoints")
        == f"is not a file (did you mean {last}?)"
    )
