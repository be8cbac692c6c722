"""A run folder, read.

Legend: N images, D features.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from unseen.reporting.collect import find_folders
from unseen.reporting.run_files import read_config
from unseen.run_folder import EMBEDDINGS
from unseen.run_state import read_summary
from unseen.scores import ScoreTable
from unseen.wording import listing

if TYPE_CHECKING:
    from collections.abc import Collection

    from unseen.api import LayerScores
    from unseen.backbones.cut import CutNetwork
    from unseen.backbones.protocol import Backbone


@dataclass(frozen=True)
class SavedRun:
    """What a run has left; see docs/python.md. Files are read when they are asked for.

    Attributes:
        folder: The run folder.
        summary: What summary.json says: g, best layer, seen accuracy, status, versions, ...
    """

    folder: Path
    summary: dict[str, Any] = field(repr=False)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved settings."""
        return read_config(self.folder / "config.yaml")

    @cached_property
    def classes(self) -> dict[str, list[str]]:
        """The names of the `seen` and `unseen` classes."""
        split = json.loads((self.folder / "split.json").read_text(encoding="utf-8"))
        return {name: list(split[name]) for name in ("seen", "unseen")}

    @cached_property
    def scores(self) -> list[dict[str, Any]]:
        """Every number of every evaluation, a row each, ready for `pandas.DataFrame(run.scores)`."""
        return [asdict(row) for row in self._table]

    @cached_property
    def layers(self) -> LayerScores:
        """The last evaluation's scores of every layer on the unseen classes."""
        from unseen.api import LayerScores

        return LayerScores(ScoreTable(self._table.at(self._table.steps[-1])))

    @cached_property
    def embeddings(self) -> dict[int, npt.NDArray[np.floating[Any]]]:
        """Of the unseen images at the last evaluation, (N, D) by layer: the first, the best and the last one."""
        prefix = "unseen_"
        arrays = self._arrays
        return {int(key.removeprefix(prefix)): arrays[key] for key in arrays if key[len(prefix) :].isdigit()}

    @cached_property
    def labels(self) -> npt.NDArray[np.str_]:
        """The class of each of these images by name, (N,)."""
        return np.array(self.classes["unseen"])[self._arrays["unseen_labels"].astype(np.int64)]

    def network(
        self, checkpoint: Literal["last", "best"] = "last", *, trust: Collection[str] = ()
    ) -> Backbone:
        """Return the trained network in eval mode; its `taps` name the layers.

        Args:
            checkpoint: `last`, which the last scores are of, or `best`, of least loss on the seen classes.
            trust: Classes of your own, `package.Class`, that it is made of.

        Raises:
            ValueError: There is no such file, or it cannot be read, trusted or fitted.
        """
        from unseen.runs.checkpoints import read_checkpoint
        from unseen.runs.embed import network_of

        path = self.folder / "checkpoints" / f"{checkpoint}.ckpt"
        return network_of(read_checkpoint(path, resume=False), trust)

    def cut(
        self,
        layer: str | int = "best",
        checkpoint: Literal["last", "best"] = "last",
        *,
        trust: Collection[str] = (),
    ) -> CutNetwork:
        """Return the trained network up to a layer: normalised images in, embeddings (B, D) out.

        Args:
            layer: `best`, `recommended`, `last`, a number from 0, or a module path, as of `unseen.embed`.
            checkpoint: As of `network`.
            trust: As of `network`.

        Raises:
            ValueError: As `network`; or there is no such layer, or the network cannot be cut there.
        """
        from unseen.backbones.cut import cut
        from unseen.runs.checkpoints import read_checkpoint
        from unseen.runs.embed import chosen_layer, network_of

        read = read_checkpoint(self.folder / "checkpoints" / f"{checkpoint}.ckpt", resume=False)
        network = network_of(read, trust)
        tap = chosen_layer(layer, network.taps, read)
        return cut(network, tap.layer, pooling=read.made_by["model"]["pooling"])

    @cached_property
    def _table(self) -> ScoreTable:
        return ScoreTable.read(self.folder / "scores.csv")

    @cached_property
    def _arrays(self) -> dict[str, npt.NDArray[Any]]:
        path = self.folder / EMBEDDINGS
        if not path.is_file():
            raise ValueError(
                f"{path} is not there: the run has saved no embeddings (probe.save_embeddings=false)"
            )
        try:
            with np.load(path, allow_pickle=False) as file:
                return dict(file)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def load_run(folder: str | Path) -> SavedRun:
    """Read a run folder.

    Args:
        folder: One that `train.py` or `eval.py` has made: it holds summary.json.

    Raises:
        ValueError: It is not one; where it holds some, the sentence names them.
    """
    path = Path(folder).expanduser()
    if not (path / "summary.json").is_file():
        found = find_folders([path]) if path.is_dir() else []
        inside = (
            f"; it holds {listing([one.relative_to(path.resolve()) for one in found], shown=4)}"
            if found
            else ""
        )
        kind = "no run folder (it has no summary.json)" if path.is_dir() else "no folder"
        raise ValueError(f"{folder} is {kind}{inside}")
    summary = read_summary(path)
    if not summary:
        raise ValueError(f"{path / 'summary.json'} is damaged")
    return SavedRun(path, summary)
