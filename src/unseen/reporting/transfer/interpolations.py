"""The interpolation.csv of a run of transfer.py: accuracies with weights between zero-shot and fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from unseen.reporting.checked_rows import read_cells
from unseen.reporting.run_files import Count, Name, Share, checked

FILE = "interpolation.csv"
TASK, OTHER, MEAN_OF_OTHERS = "task", "other", "mean of others"
_COLUMNS = ("encoder", "trained_on", "technique", "alpha", "tested_on", "role", "accuracy", "change", "n")


class CurveRow(BaseModel):
    """Accuracy on a task, or its mean over the other tasks, with weights (1 - alpha) zero-shot + alpha fine-tuned."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    encoder: Name
    trained_on: Name
    technique: Name
    alpha: Annotated[float, Field(ge=0, le=1)]
    tested_on: Name
    role: Literal["task", "other", "mean of others"]
    accuracy: Share
    change: Annotated[float, Field(ge=-1, le=1)]  # against zero-shot
    n: Count


Curve = dict[tuple[float, str], CurveRow]  # by alpha, and `task` or `mean of others`


def read_curve(path: Path, of: tuple[str, str, str]) -> Curve:
    """Return the rows on the task itself and on the mean of the others; none where there is no file.

    Args:
        path: A file of a run's folder.
        of: Encoder, task that was trained on, and technique of the run.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not what a run writes, or is of another run; one sentence.
        csv.Error: It is no CSV.
    """
    try:
        rows = [checked(CurveRow, cells) for cells in read_cells(path, _COLUMNS)]
    except FileNotFoundError:
        return {}
    curve: Curve = {}
    for row in rows:
        if (row.encoder, row.trained_on, row.technique) != of:
            raise ValueError(
                f"it has rows of {row.encoder}, {row.trained_on}, {row.technique}, and the run is {', '.join(of)}"
            )
        if row.role == OTHER:
            continue
        if (row.alpha, row.role) in curve:
            raise ValueError(f"{row.role} at alpha {row.alpha:g} is there twice")
        curve[row.alpha, row.role] = row
    return curve
