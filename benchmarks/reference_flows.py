"""The whole job without this project, written in two ways: the other sides of `whole_job`.

    python -m benchmarks.reference_flows authors DATA NETWORK OUT STEPS EVERY SEED

`authors` is the flow of the papers' public code (arXiv 2402.14095, 2405.01524): transformers' Trainer with its
defaults (no loader processes, evaluation in batches of 8), torchvision's transforms image by image, an accuracy pass
at each evaluation, and one more pass for each set of images, whose hidden states go to the CPU whole, batch by batch,
before the class token is kept; then scikit-learn's KMeans and neighbour graph, layer after layer. The public code also
draws two principal components of every layer; this one does not. It has no linear probe.

`plain` is what a careful person writes against it: a loop without a framework, only class tokens kept, one pass
for accuracy and embeddings of the seen images, centred features, NumPy's product and partition for the neighbours. It
scores the linear probe, too.

DATA has seen/train/CLASS, seen/test/CLASS and unseen/CLASS, NETWORK the initial weights; OUT gets the scores.
Nothing of `unseen` is imported.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Scores = dict[str, dict[str, Any]]  # "STEP/SPLIT": probe to a value for each layer

SIDE, BATCH, ROTATION = 64, 72, 10.0  # pixels, images of a step, degrees
LEARNING_RATE, WARM_UP = 1e-3, 20  # those of size=demo
SEED = 42  # of k-means and of the linear probe's split


def paper_transform() -> transforms.Compose:
    """Return the papers' transform of one PIL picture, used for training and evaluation alike."""
    return transforms.Compose(
        [
            transforms.Resize(SIDE),
            transforms.Pad(math.ceil(20 * SIDE / 224), fill=255),
            transforms.RandomRotation(ROTATION),
            transforms.CenterCrop(SIDE),
            transforms.ToTensor(),
            transforms.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )


class Pictures(ImageFolder):
    """Images in the form that transformers' models take."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        image, label = super().__getitem__(index)
        return {"pixel_values": image, "labels": label}


def data_sets(root: Path) -> list[Pictures]:
    """Return training, seen test and unseen images."""
    return [Pictures(root / part, paper_transform()) for part in ("seen/train", "seen/test", "unseen")]


# ------------------------------------------------------------------ the papers' public code
def authors(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune and evaluate as the papers' public code does."""
    from sklearn.neighbors import NearestNeighbors
    from transformers import Trainer, TrainerCallback, TrainingArguments, ViTForImageClassification

    network = ViTForImageClassification.from_pretrained(options.network)
    train, seen, unseen = data_sets(options.data)
    k = int(np.bincount(unseen.targets).max())
    scores: Scores = {}

    def score_layers(images: Pictures) -> dict[str, list[float]]:
        num_classes, labels = len(images.classes), np.asarray(images.targets)
        batches: list[list[Features]] = []  # of batches, of layers: (B, D)
        for start in range(0, len(images), BATCH):
            chosen = range(start, min(start + BATCH, len(images)))
            inputs = torch.stack([images[index]["pixel_values"] for index in chosen])
            with torch.no_grad():
                states = network(inputs, output_hidden_states=True).hidden_states
            batches.append([state.cpu().numpy()[:, 0].copy() for state in states])
        found: dict[str, list[float]] = {"nmi": [], "nn1": [], "nnk": []}
        for features in map(np.concatenate, zip(*batches, strict=True)):  # (N, D) of each layer
            kmeans = KMeans(n_clusters=num_classes, random_state=SEED, n_init="auto").fit(features)
            found["nmi"].append(float(normalized_mutual_info_score(labels, kmeans.labels_)))
            graph = NearestNeighbors(n_neighbors=k, n_jobs=-1).fit(features).kneighbors_graph()
            same = labels[graph.indices.reshape(len(labels), k)] == labels[:, None]  # (N, k), nearest first
            found["nn1"].append(float(same[:, 0].mean()))
            found["nnk"].append(float(same.mean()))
        return found

    class ScoreLayers(TrainerCallback):
        def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 0:
                self.on_evaluate(args, state, control)

        def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            network.eval()
            scores[f"{state.global_step}/unseen"] = score_layers(unseen)
            scores[f"{state.global_step}/seen"] = score_layers(seen)
            network.train()

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=network,
            args=TrainingArguments(
                output_dir=folder, use_cpu=True, seed=options.seed, report_to="none", disable_tqdm=True,
                per_device_train_batch_size=BATCH, max_steps=options.steps, learning_rate=LEARNING_RATE,
                warmup_steps=WARM_UP, eval_strategy="steps", eval_steps=options.every, save_steps=options.every,
                save_total_limit=2, load_best_model_at_end=True, logging_steps=10, remove_unused_columns=False,
            ),
            train_dataset=train, eval_dataset=seen, callbacks=[ScoreLayers()],
            compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())},
        )  # fmt: skip
        trainer.train()
    accuracies = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    return result(scores, options.steps, accuracies[-1])


# ------------------------------------------------------------------ a plain, fast flow
def plain(options: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune and evaluate in a loop of one's own."""
    from transformers import ViTForImageClassification, get_linear_schedule_with_warmup

    torch.manual_seed(options.seed)
    network = ViTForImageClassification.from_pretrained(options.network)
    train, seen, unseen = data_sets(options.data)
    k = int(np.bincount(unseen.targets).max())
    scores: Scores = {}
    accuracy = math.nan

    def score_layers(images: Pictures) -> tuple[dict[str, list[float]], float]:
        batches, right = [], 0  # of batches, of layers: (B, D)
        with torch.no_grad():
            for batch in DataLoader(images, 250):
                output = network(batch["pixel_values"], output_hidden_states=True)
                batches.append([state[:, 0].numpy().copy() for state in output.hidden_states])
                right += int((output.logits.argmax(1) == batch["labels"]).sum())
        labels = np.asarray(images.targets)
        layers = [score_layer(np.concatenate(some), labels, k=k) for some in zip(*batches, strict=True)]
        return {probe: [layer[probe] for layer in layers] for probe in layers[0]}, right / len(images)

    def evaluate(step: int) -> float:
        network.eval()
        scores[f"{step}/unseen"], _ = score_layers(unseen)
        scores[f"{step}/seen"], right = score_layers(seen)
        network.train()
        return right

    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, WARM_UP, options.steps)
    evaluate(0)
    network.train()
    step = 0
    while step < options.steps:
        for batch in DataLoader(train, BATCH, shuffle=True):
            network(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            step += 1
            if step % options.every == 0 or step == options.steps:
                accuracy = evaluate(step)
            if step == options.steps:
                break
    return result(scores, step, accuracy)


def score_layer(features: Features, labels: Labels, *, k: int) -> dict[str, float]:
    """Return NMI with one k-means start, NN@1, NN@k and the linear probe's accuracy of (N, D) features.

    The definitions are those of docs/measures.md. Features are centred, which changes no score and saves the logistic
    regression most of its iterations where they are far from the origin.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from threadpoolctl import threadpool_limits

    features = features - features.mean(axis=0)
    # products as small as these are many times slower with several BLAS threads
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore")  # constant layers, and fits that stop early
        clusters = KMeans(len(np.unique(labels)), n_init=1, random_state=SEED).fit_predict(features)
        train_x, test_x, train_y, test_y = train_test_split(
            features, labels, test_size=0.2, stratify=labels, random_state=SEED
        )
        linear = LogisticRegression(C=1.0, max_iter=5000).fit(train_x, train_y)
    nn1, nnk = neighbours(features, labels, k=k)
    return {
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "nn1": nn1,
        "nnk": nnk,
        "linear_probe": float(linear.score(test_x, test_y)),
    }


def neighbours(features: Features, labels: Labels, *, k: int, rows: int = 500) -> tuple[float, float]:
    """Return NN@1 and NN@k from blocks of rows of the distances: faster here than scikit-learn's search."""
    squares, first, among = np.einsum("nd,nd->n", features, features), 0, 0
    for start in range(0, len(features), rows):
        distances = squares - 2 * features[start : start + rows] @ features.T
        own = labels[start : start + rows]
        distances[np.arange(len(own)), np.arange(start, start + len(own))] = np.inf
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        first += int((labels[distances.argmin(1)] == own).sum())
        among += int((labels[nearest] == own[:, None]).sum())
    return first / len(features), among / (k * len(features))


def result(scores: Scores, step: int, accuracy: float) -> dict[str, Any]:
    """Return what is compared: g and accuracy at the last step, and every score."""
    return {"g": max(scores[f"{step}/unseen"]["nmi"]), "seen_accuracy": accuracy, "scores": scores}


FLOWS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"authors": authors, "plain": plain}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("flow", choices=FLOWS)
    for place in ("data", "network", "out"):
        parser.add_argument(place, type=Path)
    for number in ("steps", "every", "seed"):
        parser.add_argument(number, type=int)
    chosen = parser.parse_args()
    chosen.out.write_text(json.dumps(FLOWS[chosen.flow](chosen)), encoding="utf-8")
