"""The whole job, as typed, against the papers' public code and against a plain flow: `whole_job`.

ViT at demo size on calligraphy at 64 px, in the papers' proportions: 500 steps of batch 72 over 9,100 images, evaluations
at steps 0, 100, ..., 500 of 2,500 unseen and 2,500 seen images, one k-means start, float32. All sides are fresh processes
and are timed from start to end; they start from the same weights, on the same files, with as many threads as they like.
"""

from __future__ import annotations

import json
import re
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, CannotMeasure, Row, Settings, in_turns, run_child, run_ours

BATCH, TRAIN_IMAGES, EVAL_IMAGES = 72, 9100, 2500
UNSEEN = ("csl", "hy", "mf", "shz", "wzm")
PARTS = {"seen/train": TRAIN_IMAGES, "seen/test": EVAL_IMAGES, "unseen": EVAL_IMAGES}
ALL_IMAGES = ("data.train_size=null", "data.test_size=null", "data.unseen_per_class=null")
PAPERS = ("data.rotation=10", "data.eval_deterministic=false", "probe.n_init=1")


def whole_job(settings: Settings) -> list[Row]:
    """Return the rows of our command against both flows."""
    steps, every, share = settings.pick((500, 100, 1.0), (40, 20, 0.16), (2, 1, 0.03))
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as name:
        folder = Path(name)
        lay_out(settings.calligraphy(), folder / "images", share)
        write_initial_weights(folder / "network", settings.seed)
        ours = [
            "model=vit", "data=calligraphy", f"data.root={folder / 'images'}", *ALL_IMAGES, *PAPERS,
            f"trainer.max_steps={steps}", f"trainer.val_check_interval={every}", "trainer=cpu", f"seed={settings.seed}",
        ]  # fmt: skip
        found: dict[str, Any] = {}

        def run_command() -> float:
            # without the cache of decoded images, of which a second run would profit
            took, found["ours"] = run_ours([*ours, "data.cache_gb=0"])
            return took

        def run_flow(flow: str) -> float:
            took = run_child(
                ["-m", "benchmarks.reference_flows", flow, "--data", str(folder / "images"), "--network",
                 str(folder / "network"), "--out", str(folder / "out.json"), "--steps", str(steps), "--every", str(every),
                 "--seed", str(settings.seed)]
            )  # fmt: skip
            found[flow] = json.loads((folder / "out.json").read_text(encoding="utf-8"))
            return took

        sides = {
            "ours": run_command,
            "authors": lambda: run_flow("authors"),
            "plain": lambda: run_flow("plain"),
        }
        took = in_turns(
            sides, settings.pick(settings.rounds, min(settings.rounds, 3), 1), settings.report, "whole_job"
        )
    what = (
        f"{steps} steps of {BATCH}, evaluated every {every} and at 0, {share:.0%} of the images, ViT at 64 px"
    )
    names = {
        "authors": "the papers' public code (transformers' Trainer, scikit-learn)",
        "plain": "a plain loop",
    }
    rows = []
    for flow, name in names.items():
        (g, accuracy), (g_flow, accuracy_flow) = (
            (found[side]["g"], found[side]["seen_accuracy"]) for side in ("ours", flow)
        )
        check = f"g {g:.3f} and {g_flow:.3f}, seen accuracy {accuracy:.3f} and {accuracy_flow:.3f}"
        target = 3.0 if flow == "authors" and settings.size == "full" else None
        rows.append(Row(f"whole_job/{flow}", f"python src/train.py against {name}: {what}", took["ours"], took[flow],
                        target=target, check=check))  # fmt: skip
    return rows


def lay_out(root: Path, target: Path, share: float) -> None:
    """Write a share of the papers' 9,100 training, 2,500 seen test and 2,500 unseen images to a folder.

    Args:
        root: A folder or zip archive in either layout of data=calligraphy, or a folder with such an archive.
        target: Gets seen/train, seen/test and unseen, classes in proportion, at least four images of each.
        share: Of these numbers.
    """
    archives = [root] if root.is_file() else sorted(root.glob("*.zip"))
    base = zipfile.Path(archives[0]) if archives else root
    names = zipfile.ZipFile(archives[0]).namelist() if archives else [
        str(path.relative_to(root)) for path in root.rglob("*.*")
    ]  # fmt: skip
    classes: dict[str, dict[str, list[str]]] = {part: {} for part in PARTS}
    for name in sorted(names):
        match = re.search(r"(?:^|/)(seen/train|seen/test|unseen|train|test)/([^/]+)/[^/]+\.\w+$", name)
        if match is None:
            continue
        part, label = match.groups()
        if part in ("train", "test") and label in UNSEEN:
            part = {"train": "unseen", "test": "left out"}[part]  # as the papers do
        elif part in ("train", "test"):
            part = f"seen/{part}"
        if part in classes:
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
    theirs = ViTForImageClassification(
        ViTConfig(
            image_size=64, patch_size=demo.options.patch_size, hidden_size=ours.embed_dim, num_hidden_layers=len(ours.blocks),
            num_attention_heads=demo.options.num_heads, intermediate_size=int(ours.embed_dim * demo.options.mlp_ratio),
            layer_norm_eps=ours.norm.eps, num_labels=15,
        )
    )  # fmt: skip
    theirs.load_state_dict(dict(_renamed(ours.state_dict())))
    theirs.save_pretrained(folder)


def _renamed(weights):  # type: ignore[no-untyped-def]
    """Yield timm's weights of a ViT under the names of transformers, with queries, keys and values apart."""
    names = {
        "cls_token": "vit.embeddings.cls_token", "pos_embed": "vit.embeddings.position_embeddings",
        "patch_embed.proj": "vit.embeddings.patch_embeddings.projection", "norm1": "layernorm_before",
        "norm2": "layernorm_after", "attn.proj": "attention.o_proj", "norm": "vit.layernorm", "head": "classifier",
    }  # fmt: skip
    for name, value in weights.items():
        new = re.sub(r"^blocks\.(\d+)\.", r"vit.layers.\1.", name)
        if ".attn.qkv." in new:
            for projection, part in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
                yield new.replace("attn.qkv", f"attention.{projection}"), part
            continue
        for old, theirs in names.items():
            new = re.sub(rf"(^|(?<=\d\.)){re.escape(old)}(?=\.|$)", theirs, new)
        yield new, value
