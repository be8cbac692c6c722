"""What `transfer.py` measures of an encoder before training, on a task's training images: one pass, then arrays.

Legend: N images, C classes, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from unseen.atomic_files import csv_text, write_text
from unseen.runs.console import console, notice
from unseen.runs.errors import user_errors
from unseen.runs.transfer.rows import Row, Rows
from unseen.runs.written_values import in_csv, on_screen

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from unseen.data.tasks import Task
    from unseen.encoders.encoder import Encoder
    from unseen.encoders.image_features import ImageFeatures
    from unseen.run_folder import RunFolder
    from unseen.runs.build import Run
    from unseen.runs.transfer.parts import Captioned
    from unseen.transfer import SampleNeed

Reals = npt.NDArray[np.float32]
DEMO_LABELS = "EMMS takes demo label embeddings, views of the encoder's own text tower, and no label models"
_NEED_COLUMNS = (
    "encoder", "task", "share", "images", "measure", "mean", "sd", "deviation", "draws", "seconds", "reason",
)  # fmt: skip


def label_vectors(
    encoder: Encoder, names: Sequence[str], kind: str | None, device: torch.device
) -> list[Reals]:
    """Return the vectors (C, E) of C class names that EMMS takes; none where nobody has asked for any.

    Args:
        encoder: Its own are taken where none were asked for.
        names: C bare names.
        kind: `masked` or `faithful`: those of the paper; None: the encoder's own, if it has some.
        device: On which they are computed.

    Raises:
        unseen.backbones.weights.WeightsUnavailable: A model of the paper's cannot be had.
    """
    from unseen.encoders.label_models import label_embeddings

    if kind is None:
        found: Sequence[Tensor] = encoder.label_embeddings(names)
    else:
        found = label_embeddings(names, padding=kind == "faithful", device=device)
    return [one.float().cpu().numpy() for one in found]


def embedded(
    encoder: Encoder, captioned: Captioned, features: ImageFeatures, device: torch.device
) -> dict[str, Any]:
    """Return arguments of `unseen.transfer.score_all` for the images of these features, as arrays."""
    import torch

    from unseen.encoders.zero_shot import image_embeddings

    with torch.no_grad():
        images = image_embeddings(encoder, features, device).numpy()
        texts = captioned.embeddings(encoder).float().cpu().numpy()
    return {
        "images": images,
        "labels": features.labels.numpy(),
        "texts": texts,
        "probabilities": class_probabilities(encoder, images, texts, device),
    }


def class_probabilities(encoder: Encoder, images: Reals, texts: Reals, device: torch.device) -> Reals:
    """Return zero-shot probabilities (N, C) of image embeddings (N, D) and caption embeddings (C, D)."""
    import torch

    table = torch.from_numpy(texts).to(device)
    with torch.no_grad():
        logits = [
            encoder.logits(some.to(device), table).cpu()
            for some in torch.split(torch.from_numpy(images), 4096)
        ]
    probabilities: Reals = torch.cat(logits).softmax(dim=1).numpy()
    return probabilities


def save_embeddings(folder: RunFolder, given: dict[str, Any], encoder: Encoder, task: Task) -> None:
    """Write embeddings.npz, which `model=FILE` measures again without the encoder."""
    from unseen.encoders.embeddings_file import Embeddings

    vectors = given["label_embeddings"]
    made = Embeddings(
        **given | {"label_embeddings": np.stack(vectors) if vectors else None},
        names=task.classes,
        encoder=encoder.name,
        task=task.name,
        composed=encoder.composed,
        label_models=folder.summary["label_models"] or "",
    )
    with user_errors(OSError):
        folder.write_embeddings(made.save)


def measure(run: Run, plain: dict[str, Any], task: str, given: dict[str, Any], rows: Rows) -> None:
    """Add the measures of the training images to the rows, and write what else of them is wanted."""
    rows.add(*_score_rows(task, given, plain))
    run.folder.add_facts(values=rows.values())
    run.folder.write_summary("running")
    if plain["shares"]:
        console().print(_write_sample_need(run.folder.path, plain["model"]["name"], task, given, plain))


def _score_rows(task: str, given: dict[str, Any], plain: dict[str, Any]) -> list[Row]:
    """Return a row for each measure; what a task does not allow is said."""
    from unseen.transfer import score_all

    with user_errors():
        found = score_all(**given, draws=plain["draws"], seed=plain["seed"])
    for name, one in found.items():
        if one.reason:
            notice(f"{name} has no value: {one.reason}")
    return [
        Row(task, name, one.value, one.low, one.high, one.images, one.seconds, one.percentile)
        for name, one in found.items()
    ]


def _write_sample_need(
    folder: Path, encoder: str, task: str, given: dict[str, Any], plain: dict[str, Any]
) -> Table:
    """Write sample_need.csv, the measures on shares of the images; return the table for the screen."""
    from unseen.transfer import sample_need
    from unseen.transfer.sample_need import DRAWS

    draws = DRAWS if plain["draws"] is None else plain["draws"]
    with user_errors():
        rows = sample_need(**given, shares=plain["shares"], draws=draws, seed=plain["seed"])
    lines = (
        (
            encoder, task, row.share, row.images, row.measure, in_csv(row.mean), in_csv(row.sd), in_csv(row.deviation),
            row.draws, in_csv(row.seconds), row.reason,
        )
        for row in rows
    )  # fmt: skip
    write_text(folder / "sample_need.csv", csv_text(_NEED_COLUMNS, lines))
    return _need_table(f"{task}: measures on shares of {len(given['labels']):,} images, mean ± sd", rows)


def _need_table(title: str, rows: Sequence[SampleNeed]) -> Table:
    """Return a row a measure, a column a share."""
    table = Table(title=title, title_justify="left")
    table.add_column("measure", no_wrap=True)
    shares = sorted({row.share for row in rows})
    for share in shares:
        table.add_column(f"{share:g}", justify="right", no_wrap=True)
    cells: dict[str, list[str]] = {}
    for row in rows:
        spread = "" if row.draws == 1 or row.reason else f" ± {on_screen(row.sd)}"
        cells.setdefault(row.measure, []).append(f"{on_screen(row.mean)}{spread}")
    for measure, of_shares in cells.items():
        table.add_row(measure, *of_shares)
    return table
