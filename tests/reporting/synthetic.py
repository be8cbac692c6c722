"""Run folders with made-up numbers in the real formats: config.yaml, scores.csv, summary.json, embeddings.npz."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from unseen.scores import Score, ScoreTable, destroyed_probe

LAYERS = {
    "resnet": 5, "vit": 13, "swin": 5, "pvt": 9, "cvt": 3, "poolformer": 4, "convnext": 5, "efficientnet_lite0": 9,
}  # fmt: skip
_PEAK = {"resnet": 0.8, "vit": 0.6, "swin": 1.0, "pvt": 0.7, "cvt": 1.0, "poolformer": 0.6, "convnext": 0.9}
_TOP = {
    "resnet": 0.62,
    "vit": 0.68,
    "swin": 0.59,
    "pvt": 0.76,
    "cvt": 0.63,
    "poolformer": 0.78,
    "convnext": 0.5,
}
_CLASSES = {"digits": (7, 3), "calligraphy": (15, 5), "cifar100": (20, 5)}
_PER_CLASS = 100
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the C one is many times as fast


@dataclass(frozen=True)
class Made:
    """What to make."""

    model: str = "vit"
    data: str = "calligraphy"
    size: str = "demo"
    seed: int = 0
    steps: tuple[int, ...] = (0, 100, 200)
    settings: tuple[tuple[str, Any], ...] = ()  # dotted key, value: changes to the configuration
    controls: bool = False  # nmi_chance, nmi_start_sd and accuracy rows
    status: str = "finished"
    reason: str | None = None
    schema: int | None = 1
    written: str = "2026-11-22T10:00:00+00:00"
    embeddings: bool = False
    unseen: tuple[str, ...] = ()  # classes that split.json names; () writes none


def make_run(folder: Path, made: Made) -> Path:
    """Write one run folder and return it."""
    folder.mkdir(parents=True)
    config = make_config(folder, made)
    facts = _facts(made, config)
    # the C one writes no names that are not UTF-8
    dumper = _DUMPER if str(folder).isprintable() else yaml.SafeDumper
    (folder / "config.yaml").write_text(yaml.dump(config, Dumper=dumper, sort_keys=False), encoding="utf-8")
    if made.status == "finished":
        table = make_scores(made)
        table.write(folder / "scores.csv")
        best = table.generalization()
        assert best is not None
        facts |= {
            "g": best.g, "best_layer": best.best_layer, "best_layer_name": best.best_layer_name,
            "best_depth": best.best_depth, "num_layers": best.num_layers,
            "seen_accuracy": round(float(_accuracy(made, made.steps[-1])), 4), "steps": made.steps[-1],
        }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    if made.embeddings:
        _write_embeddings(folder, made)
    if made.unseen:
        split = {
            "seen": [f"seen{n}" for n in range(7)],
            "unseen": made.unseen,
            "seed": config["data"]["split_seed"],
        }
        (folder / "split.json").write_text(json.dumps(split))
    return folder


def change_summary(folder: Path, *forget: str, **facts: Any) -> None:
    """Change some facts of a run's summary.json, and take some out."""
    path = folder / "summary.json"
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key not in forget}
    path.write_text(json.dumps(kept | facts))


FOUND = ("g", "best_layer", "best_layer_name", "best_depth", "num_layers")  # in summary.json, by scores.csv


def make_config(folder: Path, made: Made) -> dict[str, Any]:
    """Return a configuration with the keys of a real one."""
    paper = made.size == "paper"
    calligraphy = made.data == "calligraphy"
    config: dict[str, Any] = {
        "size": made.size,
        "recipe": {"pretrained": paper, "lr": 2e-4 if paper else 1e-3, "max_steps": made.steps[-1]},
        "paths": {"root_dir": "/project", "data_dir": "/project/data", "output_dir": str(folder)},
        "data": {
            "name": made.data, "root": None, "image_size": 224 if paper else 64, "unseen": None, "num_unseen": None,
            "seen": None, "split_seed": 0, "batch_size": 72, "rotation": 10 if paper else 0.0,
            "stratified": not paper, "eval_deterministic": not paper,
            "num_labels": 95 if paper and made.data == "cifar100" else None,
            "train_size": 9100 if calligraphy else None, "test_size": 2500 if calligraphy else None,
            "unseen_per_class": 500 if calligraphy else None,
            "test_fraction": 0.2, "pad": 20 / 224,
            "source": {"_target_": _SOURCES.get(made.data, "unseen.Source"), "data_dir": "/project/data"},
        },
        "model": {
            "name": made.model, "pretrained": paper, "pooling": "paper" if paper else "auto",
            "channels_last": "auto", "backbone": _backbone(made.model, paper=paper),
            "optimizer": {"lr": 2e-4 if paper else 1e-3, "weight_decay": 0.0, "betas": [0.9, 0.999], "eps": 1e-8},
            "scheduler": {
                "warmup_steps": 0 if paper else 20,
                "epochs": (5 if made.model == "resnet" else 4) if paper else None,
            },
        },
        "probe": {"n_init": 1 if paper else 10, "seed": 42, "k": 500 if paper else None, "standardize": False},
        "trainer": {
            "_target_": "lightning.pytorch.Trainer", "accelerator": "auto", "devices": 1, "num_nodes": 1,
            "strategy": "auto", "precision": "16-mixed", "eval_precision": 32, "max_steps": made.steps[-1],
            "max_epochs": None, "val_check_interval": 100, "gradient_clip_val": 1.0, "accumulate_grad_batches": 1,
        },
        "callbacks": {
            "last_checkpoint": {"dirpath": f"{folder}/checkpoints"},
            "layer_probe": {
                "_target_": "unseen.callbacks.layer_probe.LayerProbe", "pooling": "paper" if paper else "auto",
            },
        },
        "logger": {"csv": {"folder": str(folder)}},
        "seed": made.seed,
        "ckpt_path": None,
    }  # fmt: skip
    for key, value in made.settings:
        place = config
        *parents, last = key.split(".")
        for parent in parents:
            place = place[parent]
        place[last] = value
    return config


_SOURCES = {
    "calligraphy": "unseen.data.sources.calligraphy.Calligraphy",
    "cifar100": "unseen.data.sources.cifar100.Cifar100",
}


def _backbone(model: str, *, paper: bool) -> dict[str, Any]:
    pvt = {
        "depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 320, 512], "num_attention_heads": [1, 2, 5, 8],
        "mlp_ratios": [8, 8, 4, 4], "sequence_reduction_ratios": [8, 4, 2, 1],
    }  # fmt: skip
    made: dict[str, Any] = {
        "_target_": "unseen.backbones.timm.TimmSpec", "architecture": model, "pretrained": paper,
        "has_checkpoint": paper, "options": {}, "taps": ["stages.*"],
    }  # fmt: skip
    if paper and model == "pvt":
        taps = ["pvt.encoder.block.*.*", "pvt.encoder.layer_norm"]
        made |= {"_target_": "unseen.backbones.transformers.TransformersSpec", "options": pvt, "taps": taps}
        made["checkpoint"] = "Zetatech/pvt-tiny-224"
    if paper and model == "resnet":
        made |= {"architecture": "resnet50.a1_in1k", "taps": ["maxpool", "layer[1234]"]}
    return made


def _facts(made: Made, config: dict[str, Any]) -> dict[str, Any]:
    seen, unseen = _CLASSES.get(made.data, (7, 3))
    same = {
        key: value
        for key, value in config.items()
        if key not in ("paths", "logger", "callbacks", "ckpt_path")
    }
    return {
        "schema": made.schema, "status": made.status, "reason": made.reason,
        "model": made.model, "data": made.data, "size": made.size, "seed": made.seed,
        "command": ["src/train.py", f"model={made.model}", f"data={made.data}", f"seed={made.seed}"],
        "split_hash": hashlib.sha256(
            repr((made.data, made.unseen, config["data"]["split_seed"])).encode()
        ).hexdigest()[:12],
        "config_hash": hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:12],
        "k": config["probe"]["k"] or _PER_CLASS, "seen_classes": seen, "unseen_classes": unseen,
        "unseen_images": unseen * _PER_CLASS, "seen_test_images": seen * 20, "largest_unseen_class": _PER_CLASS,
        "seconds": 60.0, "written": made.written,
    }  # fmt: skip


def _accuracy(made: Made, step: int) -> float:
    rng = np.random.default_rng([made.seed, step, len(made.model), ord(made.model[0])])
    return float(np.clip(0.98 - 0.85 * np.exp(-step / 60) + rng.normal(0, 0.006), 0, 1))


def make_scores(made: Made) -> ScoreTable:
    """Return scores that rise to a peak inside the network; the seen ones rise to the end."""
    layers = LAYERS.get(made.model, 6)
    rng = np.random.default_rng([made.seed, *made.model.encode(), *made.data.encode()])
    depth = np.linspace(0, 1, layers)
    harder = 0.35 if made.data == "cifar100" else 1.0
    rows: list[Score] = []

    def put(step: int, split: str, layer: int, probe: str, value: float) -> None:
        name = {-1: "input", -2: "head"}.get(layer, f"blocks.{layer}")
        at = None if layer < 0 else float(depth[layer])
        rows.append(Score(step, step // 14, split, layer, name, at, probe, float(value)))

    for step in made.steps:
        trained = 1 - np.exp(-(step + 20) / 80)
        peak = (
            _TOP.get(made.model, 0.45)
            * harder
            * np.exp(-(((depth - _PEAK.get(made.model, 0.7)) / 0.45) ** 2))
        )
        curves = {"unseen": peak * trained, "seen": (0.15 + 0.8 * depth**1.5) * trained}
        for split, curve in curves.items():
            classes = _CLASSES.get(made.data, (7, 3))[split == "unseen"]
            ceiling = 0.99 if split == "unseen" else 0.19
            for layer in range(-1, layers):
                score = 0.3 * harder if layer < 0 else np.clip(curve[layer] + rng.normal(0, 0.02), 0, 1)
                put(step, split, layer, "nmi", score)
                put(step, split, layer, "nn1", 1 / classes + (1 - 1 / classes) * score**0.5)
                put(step, split, layer, "nnk", ceiling * (1 / classes + (1 - 1 / classes) * score))
                put(step, split, layer, "nnk_ceiling", ceiling)
                put(step, split, layer, "r_precision", 1 / classes + (1 - 1 / classes) * score)
                put(step, split, layer, "nn_chance", (_PER_CLASS - 1) / (classes * _PER_CLASS - 1))
                put(step, split, layer, "linear_probe", 1 / classes + (1 - 1 / classes) * score**0.4)
                put(step, split, layer, "linear_probe_chance", 1 / classes)
                if made.controls:
                    put(step, split, layer, "nmi_chance", abs(rng.normal(0.012, 0.003)))
                    put(step, split, layer, "nmi_start_sd", abs(rng.normal(0.02, 0.005)))
        if made.controls:
            put(step, "seen", -2, "accuracy", _accuracy(made, step))
    return ScoreTable(rows)


def make_evaluation(folder: Path, made: Made, trained: Path, *, step: int = 200, **changes: Any) -> Path:
    """Write the folder of `eval.py ckpt_path=... probe.noise_levels=[1.0]`: the training run's configuration hash."""
    make_run(folder, made)
    table = ScoreTable.read(folder / "scores.csv")
    rows = table.at(step)
    layers, noise = LAYERS[made.model], destroyed_probe(1)
    rows += [
        Score(step, 0, "unseen", layer, f"blocks.{layer}", layer / (layers - 1), noise, 0.01 * (layer + 1))
        for layer in range(layers)
    ]
    ScoreTable(rows).write(folder / "scores.csv")
    change_summary(folder, *FOUND)
    checkpoint = str(trained / "checkpoints" / "last.ckpt")
    facts = json.loads((folder / "summary.json").read_text())
    facts |= {"steps": step, "checkpoint": checkpoint, "command": ["src/eval.py", f"ckpt_path={checkpoint}"]}
    (folder / "summary.json").write_text(json.dumps(facts | changes.get("facts", {})))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["ckpt_path"] = checkpoint
    config["model"]["backbone"]["pretrained"] = False
    config["trainer"]["max_steps"] = -1  # whatever was typed for the evaluation
    config["probe"] |= {"noise_levels": [1.0], "at_start": True} | changes.get("probe", {})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


def put_nmi(folder: Path, curve: list[float], *, pixels: float = 0.05, extra: tuple[Score, ...] = ()) -> None:
    """Give a run this NMI curve at its only step."""
    rows = [Score(0, 0, "unseen", -1, "stage-1", None, "nmi", pixels), *extra]
    for layer, value in enumerate(curve):
        rows.append(
            Score(0, 0, "unseen", layer, f"stage{layer}", layer / max(len(curve) - 1, 1), "nmi", value)
        )
    ScoreTable(rows).write(folder / "scores.csv")
    change_summary(folder, *FOUND)


def make_curves(
    root: Path,
    model: str,
    curves: list[list[float]],
    data: str = "digits",
    *,
    split: int = 0,
    settings: tuple[tuple[str, Any], ...] = (),
    **more: float,
) -> None:
    """Write a run with one step for each NMI curve, seeds 0, 1, ..."""
    for seed, curve in enumerate(curves):
        made = Made(model, data, seed=seed, steps=(0,), settings=(("data.split_seed", split), *settings))
        number = len(list(root.glob("*")))
        put_nmi(
            make_run(root / f"{number}", replace(made, unseen=tuple(f"c{split + n}" for n in range(3)))),
            curve,
            **more,
        )


def _write_embeddings(folder: Path, made: Made) -> None:
    rng = np.random.default_rng(made.seed)
    labels = np.repeat(np.arange(_CLASSES.get(made.data, (7, 3))[1]), 60)
    arrays = {"unseen_labels": labels}
    last = LAYERS.get(made.model, 6) - 1
    for layer, apart in ((0, 0.3), (last * 2 // 3, 3.0), (last, 1.5)):
        centres = rng.normal(0, apart, (labels.max() + 1, 16))
        arrays[f"unseen_{layer}"] = (centres[labels] + rng.normal(0, 1, (len(labels), 16))).astype(np.float16)
    np.savez(folder / "embeddings.npz", **arrays)  # type: ignore[arg-type]


def make_sweep(
    root: Path, *, models: tuple[str, ...] = tuple(LAYERS), data: tuple[str, ...] = ("calligraphy", "cifar100"),
    seeds: int = 3, **settings: Any,
) -> None:  # fmt: skip
    """Write a folder for every model, data set and seed."""
    for name in data:
        for model in models:
            for seed in range(seeds):
                make_run(root / f"{model}_{name}_{seed}", Made(model=model, data=name, seed=seed, **settings))


if __name__ == "__main__":  # python synthetic.py FOLDER: a sweep to look at
    target = Path(sys.argv[1])
    make_sweep(target / "a", controls=True, embeddings=True)
    make_run(
        target / "failed", Made(model="swin", seed=9, status="failed", reason="the <disk> is full & gone")
    )
    make_run(target / "half", Made(model="swin", seed=8, status="running"))
    make_run(target / "future", Made(model="swin", seed=7, schema=9))
    make_run(target / "again", Made(model="vit", seed=0, controls=True, written="2026-11-22T09:00:00+00:00"))
