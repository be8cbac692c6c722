"""The whole job as a researcher would write it in an afternoon: the other side of `whole_job`.

    python -m benchmarks.reference_flow --data FOLDER --out result.json

FOLDER has seen/train/CLASS, seen/test/CLASS and unseen/CLASS. Images go one by one through torchvision's transforms on
PIL pictures, in a DataLoader; training is a plain loop; each evaluation makes one forward pass for the accuracy, one
for the unseen and one for the seen embeddings, with every hidden state moved to the CPU and concatenated whole before
it is pooled; scikit-learn scores one layer after the other. Nothing of `unseen` is imported.
"""

from __future__ import annotations

import time

_BEGAN = time.perf_counter()

import argparse  # noqa: E402  (the clock starts before the imports)
import json  # noqa: E402
import math  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import timm  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchvision import transforms  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402

from benchmarks.reference_probes import score_layer  # noqa: E402

_IMPORTS = time.perf_counter() - _BEGAN

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HIDDEN = ("stem", "stages.0", "stages.1", "stages.2", "stages.3")  # of timm's ConvNeXt


def paper_transform(size: int, rotation: float) -> transforms.Compose:
    """Return the transform of the papers, used for training and evaluation alike."""
    return transforms.Compose(
        [
            transforms.Resize(size),
            transforms.Pad(math.ceil(20 * size / 224), fill=255),
            transforms.RandomRotation(rotation),
            transforms.CenterCrop(size),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )


def hidden_states(network: nn.Module, loader: DataLoader[Any]) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return every hidden state of every image, L maps (N, D_l, H_l, W_l), and the labels (N,)."""
    kept: list[list[torch.Tensor]] = [[] for _ in HIDDEN]
    hooks = [
        network.get_submodule(name).register_forward_hook(
            lambda _module, _inputs, output, store=store: store.append(output.cpu())
        )
        for name, store in zip(HIDDEN, kept, strict=True)
    ]
    labels = []
    with torch.no_grad():
        for images, targets in loader:
            network(images)
            labels.append(targets)
    for hook in hooks:
        hook.remove()
    return [torch.cat(maps) for maps in kept], torch.cat(labels)


def score_images(
    network: nn.Module, loader: DataLoader[Any], *, k: int, n_init: int
) -> tuple[list[dict[str, float]], float]:
    """Return the scores of each layer, and the seconds that the probes took."""
    states, labels = hidden_states(network, loader)
    began = time.perf_counter()
    scores = []
    for state in states:
        pooled = state.mean((2, 3)).numpy()  # (N, D)
        scores.append(score_layer(pooled, labels.numpy(), k=k, n_init=n_init))
    return scores, time.perf_counter() - began


def accuracy(network: nn.Module, loader: DataLoader[Any]) -> float:
    """Return the share of images that the head names right."""
    right = total = 0
    with torch.no_grad():
        for images, targets in loader:
            right += int((network(images).argmax(1) == targets).sum())
            total += len(targets)
    return right / total


def run(settings: argparse.Namespace) -> dict[str, Any]:
    """Train and evaluate; return scores and seconds by phase."""
    began = time.perf_counter()
    transform = paper_transform(settings.size, settings.rotation)
    train_set: Dataset[Any] = ImageFolder(settings.data / "seen" / "train", transform)
    seen_set = ImageFolder(settings.data / "seen" / "test", transform)
    unseen_set = ImageFolder(settings.data / "unseen", transform)
    torch.manual_seed(settings.seed)
    network = timm.create_model(settings.model, num_classes=len(seen_set.classes))
    options = {"num_workers": settings.workers, "persistent_workers": settings.workers > 0}
    train_loader = DataLoader(train_set, settings.batch, shuffle=True, **options)
    seen_loader = DataLoader(seen_set, settings.eval_batch, **options)
    unseen_loader = DataLoader(unseen_set, settings.eval_batch, **options)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / settings.steps))
    k = settings.k or int(np.bincount(unseen_set.targets).max())
    phases = {
        "imports": _IMPORTS,
        "setup": time.perf_counter() - began,
        "training": 0.0,
        "embedding": 0.0,
        "probing": 0.0,
    }
    evaluations: list[dict[str, Any]] = []

    def evaluate(step: int) -> None:
        started = time.perf_counter()
        network.eval()
        found: dict[str, Any] = {"step": step, "seen_accuracy": accuracy(network, seen_loader)}
        found["unseen"], first = score_images(network, unseen_loader, k=k, n_init=settings.n_init)
        found["seen"], second = score_images(network, seen_loader, k=k, n_init=settings.n_init)
        network.train()
        phases["probing"] += first + second
        phases["embedding"] += time.perf_counter() - started - first - second
        evaluations.append(found)
        print(
            f"step {step}: seen accuracy {found['seen_accuracy']:.3f}, g {max(row['nmi'] for row in found['unseen']):.3f}",
            flush=True,
        )

    if settings.at_start:
        evaluate(0)
    step = 0
    while step < settings.steps:
        started = time.perf_counter()
        for images, targets in train_loader:
            loss = F.cross_entropy(network(images), targets)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step += 1
            phases.setdefault("first_step", time.perf_counter() - _BEGAN)
            if step % settings.every == 0 or step == settings.steps:
                phases["training"] += time.perf_counter() - started
                evaluate(step)
                started = time.perf_counter()
            if step == settings.steps:
                break
    phases["end"] = time.perf_counter() - _BEGAN
    return {"phases": phases, "evaluations": evaluations, "layers": list(HIDDEN), "k": k}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the settings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="convnextv2_atto")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rotation", type=float, default=10.0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--every", type=int, default=30)
    parser.add_argument("--at-start", action="store_true")
    parser.add_argument("--batch", type=int, default=72)
    parser.add_argument("--eval-batch", type=int, default=250)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--k", type=int, default=0, help="neighbours; 0: images of the largest unseen class")
    parser.add_argument("--n-init", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main() -> None:
    """Run and write the result."""
    settings = parse()
    result = run(settings)
    settings.out.write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
