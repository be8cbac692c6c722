"""Small pictures of the unseen classes in the folder of a run: what the scores are of, for whoever reads them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.atomic_files import write_file
from unseen.class_sheet import COLUMNS, FILE, LARGEST_SIDE, MOST_CLASSES, write_sheet
from unseen.runs.console import notice

if TYPE_CHECKING:
    from torch import Tensor

    from unseen.data.datamodule import SeenUnseenDataModule


def write_thumbnails(folder: Path, datamodule: SeenUnseenDataModule) -> None:
    """Write a sheet of the unseen classes, as the network gets their images; nothing is drawn at random.

    A sheet that cannot be written is a notice: no number comes from it.
    """
    from PIL import Image

    from unseen.data.canvases import UnreadableImageError

    labels = datamodule.unseen_labels()
    side = min(LARGEST_SIDE, datamodule.image_size)
    try:
        rows = []
        for label in range(min(MOST_CLASSES, len(datamodule.split.unseen_names))):
            images = datamodule.unseen_images(spread_over(labels, label))  # (B, 3, S, S)
            pictures = map(Image.fromarray, images.permute(0, 2, 3, 1).contiguous().numpy())
            rows.append([one.resize((side, side), Image.Resampling.BILINEAR) for one in pictures])
        write_file(folder / FILE, partial(write_sheet, rows), durable=False)
    except (OSError, UnreadableImageError) as error:
        notice(f"the report will have no pictures of the unseen classes: {error}")


def spread_over(labels: Tensor, label: int) -> Tensor:
    """Return the indices (B,) of at most 6 images of a class, evenly spread over those it has, in order.

    >>> import torch
    >>> spread_over(torch.tensor([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 0).tolist()
    [1, 3, 5, 6, 8, 10]
    """
    import torch

    own = torch.nonzero(labels == label).flatten()
    chosen = torch.linspace(0, len(own) - 1, min(COLUMNS, len(own))).round().long()
    return own[chosen]
