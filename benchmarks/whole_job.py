"""The whole job, as typed, against the papers' public code and against a plain loop: whole_job, whole_job_500.

ViT at demo size on calligraphy at 64 px. All sides are fresh processes and are timed from start to end; they start from
the same weights, on the same files, with as many threads as they like.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, CannotMeasure, Row, Settings, in_turns, run_child, run_ours

BATCH = 72
PARTS = {"seen/train": 9100, "seen/test": 2500, "unseen": 2500}  # the papers' numbers of images
UNSEEN = ("csl", "hy", "mf", "shz", "wzm")
ALL_IMAGES = ("data.train_size=null", "data.test_size=null", "data.unseen_per_class=null")
# data.cache_gb=0: a second run would profit from the first one's decoded images
JOB = "model=vit data=calligraphy data.rotation=10 data.eval_deterministic=false data.cache_gb=0 probe.n_init=1 trainer=cpu"
NAMES = {"authors": "the papers' public code (transformers' Trainer, scikit-learn)", "plain": "a plain loop"}


def whole_job(settings: Settings) -> list[Row]:
    """Return the rows of a short job, where evaluations weigh more than in the papers' job."""
    steps, every, share = settings.pick((60, 30, 1.0), (12, 6, 0.2), (2, 1, 0.03))
    return _rows(
        settings, "whole_job", steps, every, share, ("authors", "plain"), target=settings.target(3.0)
    )


def whole_job_500(settings: Settings) -> list[Row]:
    """Return the row of the papers' number of steps and of evaluations."""
    steps, every, share = settings.pick((500, 100, 1.0), (50, 10, 0.1), (2, 1, 0.03))
    return _rows(settings, "whole_job_500", steps, every, share, ("authors",))


def _rows(
    settings: Settings,
    name: str,
    steps: int,
    every: int,
    share: float,
    flows: tuple[str, ...],
    target: float | None = None,
) -> list[Row]:
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        images, weights, out = (Path(folder) / part for part in ("images", "weights", "out.json"))
        lay_out(settings.calligraphy(), images, share)
        write_initial_weights(weights, settings.seed)
        length = (
            f"trainer.max_steps={steps}",
            f"trainer.val_check_interval={every}",
            f"seed={settings.seed}",
        )

        def ours() -> float:
            took, found["ours"] = run_ours(*JOB.split(), *ALL_IMAGES, f"data.root={images}", *length)
            return took

        def reference(flow: str) -> float:
            arguments = (flow, images, weights, out, steps, every, settings.seed)
            took = run_child("-m", "benchmarks.reference_flows", *arguments)
            found[flow] = json.loads(out.read_text(encoding="utf-8"))
            return took

        sides = {"ours": ours, **{flow: partial(reference, flow) for flow in flows}}
        rounds = settings.pick(settings.rounds, min(settings.rounds, 3), 1)
        took = in_turns(name, rounds, sides)
    what = f"{steps} steps of {BATCH}, evaluations every {every} and at 0, {share:.0%} of the images, ViT at 64 px"
    rows = []
    for flow in flows:
        g, accuracy = (
            " and ".join(f"{found[side][key]:.3f}" for side in ("ours", flow))
            for key in ("g", "seen_accuracy")
        )
        row = Row(
            f"{name}/{flow}", f"python src/train.py against {NAMES[flow]}: {what}", took["ours"], took[flow]
        )
        row.check, row.target = f"g {g}, seen accuracy {accuracy}", target if flow == "authors" else None
        rows.append(row)
    return rows


def lay_out(root: Path, target: Path, share: float) -> None:
    """Write a share of the papers' images to a folder.

    Args:
        root: A folder or zip archive in either layout of data=calligraphy, or a folder with such an archive.
        target: Gets seen/train, seen/test and unseen, classes in proportion, at least four images of each.
        share: Of the 9,100 training, 2,500 seen test and 2,500 unseen images.
    """
    archives = [root] if root.is_file() else sorted(root.glob("*.zip"))
    base = zipfile.Path(archives[0]) if archives else root
    with_dots = zipfile.ZipFile(archives[0]).namelist() if archives else map(str, root.rglob("*.*"))
    classes: dict[str, dict[str, list[str]]] = {part: {} for part in PARTS}
    for name in sorted(with_dots):
        match = re.search(r"(?:^|/)(seen/train|seen/test|unseen|train|test)/([^/]+)/[^/]+\.\w+$", name)
        part, label = match.groups() if match else ("", "")
        if part in ("train", "test"):  # the papers take the training files of the unseen artists
            part = {"train": "unseen", "test": ""}[part] if label in UNSEEN else f"seen/{part}"
        if part:
            classes[part].setdefault(label, []).append(name)
    for part, wanted in PARTS.items():
        total = sum(map(len, classes[part].values()))
        if not total:
            raise CannotMeasure(f"{root} has no calligraphy images for {part}")
        for label, files in classes[part].items():
            number = min(len(files), max(4, round(len(files) * wanted * share / total)))
            (target / part / label).mkdir(parents=True, exist_ok=True)
            for file in (files[position * len(files) // number] for position in range(number)):
                (target / part / label / Path(file).name).write_bytes((base / file).read_bytes())


def write_initial_weights(folder: Path, seed: int) -> None:
    """Write the network that `model=vit seed=SEED` starts from as a checkpoint of transformers."""
    import timm
    import torch
    from omegaconf import OmegaConf
    from transformers import ViTConfig, ViTForImageClassification
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    demo = OmegaConf.load(ROOT / "configs/model/vit.yaml").sizes.demo
    torch.manual_seed(seed)
    ours = timm.create_model(demo.architecture, img_size=64, num_classes=15, **demo.options)
    config = ViTConfig(
        image_size=64, patch_size=demo.options.patch_size, hidden_size=ours.embed_dim, num_labels=15,
        num_hidden_layers=len(ours.blocks), num_attention_heads=demo.options.num_heads,
        intermediate_size=int(ours.embed_dim * demo.options.mlp_ratio), layer_norm_eps=ours.norm.eps,
    )  # fmt: skip
    theirs = ViTForImageClassification(config)
    theirs.load_state_dict(dict(_renamed(ours.state_dict())))
    theirs.save_pretrained(folder)


def _renamed(weights: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield timm's weights of a ViT under the names of transformers, with queries, keys and values apart."""
    names = {
        "cls_token": "vit.embeddings.cls_token", "pos_embed": "vit.embeddings.position_embeddings",
        "patch_embed.proj": "vit.embeddings.patch_embeddings.projection", "norm1": "layernorm_before",
        "norm2": "layernorm_after", "attn.proj": "attention.o_proj", "norm": "vit.layernorm", "head": "classifier",
    }  # fmt: skip
    for name, value in weights.items():
        new = re.sub(r"^blocks\.(\d+)\.", r"vit.layers.\1.", name)
        for old, theirs in names.items():
            new = re.sub(rf"(^|(?<=\d\.)){re.escape(old)}(?=\.|$)", theirs, new)
        if ".attn.qkv." in new:
            for projection, part in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
                yield new.replace("attn.qkv", f"attention.{projection}"), part
        else:
            yield new, value
