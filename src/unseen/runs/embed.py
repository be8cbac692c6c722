"""Images to embeddings with one layer of a trained network: what the answer of a run is good for.

Legend: N images, B batch, D features, S image size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt

from unseen.atomic_files import write_file
from unseen.run_state import read_summary
from unseen.runs.checkpoints import Checkpoint, load_weights, read_checkpoint
from unseen.runs.objects import make
from unseen.runs.trust import check_network_trusted
from unseen.scores import ScoreTable
from unseen.selector_table import SELECTORS
from unseen.wording import count, listing, suggestion

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from unseen.backbones.protocol import Backbone, Tap

Device = Literal["auto", "cpu", "cuda"]
SUFFIXES = (".npz", ".parquet")


@dataclass(frozen=True)
class Embeddings:
    """What a layer makes of images.

    Attributes:
        values: (N, D) float32, a row an image.
        files: N paths below the folder that was given, or as they were given; `0`, `1`, ... of images in memory.
        layer: Its number, 0 is the shallowest.
        layer_name: Its module path.
        checkpoint: The file that the network is from.
        left_out: Files that are no usable images, with the reason.
    """

    values: npt.NDArray[np.float32]
    files: tuple[str, ...]
    layer: int
    layer_name: str
    checkpoint: str
    left_out: dict[str, str]

    def __len__(self) -> int:
        return len(self.files)

    def save(self, path: str | Path) -> None:
        """Write a file, whole or not at all: `.npz` (embeddings, files, layer_name) or `.parquet` (file, embedding).

        Raises:
            ValueError: The name has another ending, or `.parquet` needs pyarrow, which is not installed.
            OSError: It cannot be written.
        """
        path = Path(path)
        check_output(path)
        about = {"layer": self.layer, "layer_name": self.layer_name, "checkpoint": self.checkpoint}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".npz":
            arrays: dict[str, Any] = {"embeddings": self.values, "files": np.array(self.files, dtype=str)}
            arrays |= {name: np.array(value) for name, value in about.items()}
            write_file(path, lambda file: np.savez(file, **arrays))
            return
        import pyarrow as pa
        from pyarrow import parquet

        width = self.values.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(self.values.reshape(-1)), width)
        table = pa.table({"file": list(self.files), "embedding": column})
        table = table.replace_schema_metadata({"unseen": json.dumps(about)})

        def write(file: BinaryIO) -> None:
            parquet.write_table(table, file)

        write_file(path, write)


def check_output(path: Path) -> None:
    """Refuse a name that no embeddings can be written to, before any work is done."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"out={path} must end in {' or '.join(SUFFIXES)}")
    if path.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401  (only whether it is there)
        except ModuleNotFoundError:
            raise ValueError(
                f"out={path} needs pyarrow: pip install 'unseen[parquet]', or take .npz"
            ) from None


def embed(
    checkpoint: str | Path,
    images: str | Path | Sequence[str | Path | Image.Image],
    layer: str | int = "best",
    *,
    batch_size: int = 64,
    device: Device = "auto",
    skip_bad: bool = False,
    trust: Collection[str] = (),
) -> Embeddings:
    """Embed images with a layer of a trained network, as its run's evaluation did.

    Args:
        checkpoint: Of a run: `.../checkpoints/last.ckpt` or `best.ckpt`; a run folder stands for its last one.
        images: A folder or zip archive, searched at any depth, or a list of files or Pillow images.
        layer: `best`: of the largest NMI on the run's unseen classes at the checkpoint's step (read from scores.csv in
            the run folder); `recommended`: what the run's first selector chooses there without their labels; `last`; a
            number from 0; or a module path.
        batch_size: Images at a time.
        device: auto: a GPU if there is one.
        skip_bad: Leave out files that are no usable images, instead of refusing them.
        trust: Classes of your own, `package.Class`, that the checkpoint's network is made of.

    Raises:
        ValueError: One sentence: a checkpoint that cannot be read or trusted, no such layer, no images, a bad image.
    """
    import torch

    from unseen.backbones.taps import record_taps
    from unseen.data.canvases import progress
    from unseen.data.transforms import View, to_images
    from unseen.full_precision import full_precision

    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={device} is not one of auto, cpu, cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda: torch sees no GPU here")
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be a whole number of at least 1")
    path = Path(checkpoint).expanduser()
    read = read_checkpoint(path / "checkpoints/last.ckpt" if path.is_dir() else path, resume=False)
    files, open_image = _images(images)
    backbone = network_of(read, trust)
    tap = chosen_layer(layer, backbone.taps, read)
    place = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    backbone = backbone.to(place).eval()
    stored = read.made_by
    pad = {"pad": stored["data"]["pad"]} if "pad" in stored["data"] else {}
    view = View(stored["image_size"], **pad)
    rows: list[torch.Tensor] = []
    good: list[str] = []
    left_out: dict[str, str] = {}
    with (
        torch.no_grad(),
        full_precision(place, stored.get("eval_precision", 32)),
        record_taps(backbone, stored["model"]["pooling"]) as recorder,
        progress("embedding images", len(files), True) as advance,
    ):
        for some, canvases, bad in _canvases(files, open_image, view, batch_size):
            if bad and not skip_bad:
                name, reason = next(iter(bad.items()))
                raise ValueError(
                    f"{name} cannot be used ({reason}); mend or remove it, or leave such files out with skip_bad=true"
                )
            left_out |= bad
            good += some
            if some:
                size, mean, std = view.image_size, backbone.mean, backbone.std
                backbone(to_images(canvases.to(place), None, size=size, mean=mean, std=std))
                rows.append(recorder.take()[tap.layer].cpu())
            advance(len(some) + len(bad))
    if not good:
        raise ValueError(f"none of {count(len(files), 'image')} can be used")
    values = torch.cat(rows).numpy()
    return Embeddings(values, tuple(good), tap.layer, tap.name, str(read.path.resolve()), left_out)


def network_of(checkpoint: Checkpoint, trust: Collection[str] = ()) -> Backbone:
    """Return the trained network of a checkpoint, in eval mode.

    Args:
        checkpoint: As `read_checkpoint` returns it.
        trust: Classes of your own that it may be made of.

    Raises:
        ValueError: It names other classes than ours and these, or its weights do not fit.
    """
    import torch

    check_network_trusted(checkpoint, trust)
    stored = checkpoint.made_by
    node = stored["model"]["backbone"] | {"pretrained": False}  # its weights are in the file
    spec: Any = make(node, "model.backbone", methods=("check", "build"))
    with torch.random.fork_rng(devices=[]):
        backbone: Backbone = spec.build(stored["num_classes"], stored["image_size"])
        if tuning := stored["model"].get("tuning"):  # adapters are part of the network
            make(tuning | {"_partial_": True}, "model.tuning")(backbone)
    whole = checkpoint.content["state_dict"]  # also of what training needs besides
    weights = {name: value for name, value in whole.items() if name.startswith("backbone.")}
    holder = torch.nn.ModuleDict({"backbone": backbone})
    load_weights(holder, replace(checkpoint, content=checkpoint.content | {"state_dict": weights}))
    return backbone.eval()


def chosen_layer(layer: str | int, taps: Sequence[Tap], checkpoint: Checkpoint) -> Tap:
    """Return the layer that is meant: best, recommended, last, a number, or a module path."""
    if layer == "best":
        return taps[_best_layer(checkpoint)]
    if layer == "recommended":
        return taps[_recommended_layer(checkpoint)]
    if layer == "last":
        return taps[-1]
    text = str(layer)
    for tap in taps:
        if text in (str(tap.layer), tap.name):
            return tap
    names = [tap.name for tap in taps]
    raise ValueError(
        f"layer={text} is none of best, recommended, last, 0..{len(taps) - 1}, {listing(names)}"
        f"{suggestion(text, names)}"
    )


def _best_layer(checkpoint: Checkpoint) -> int:
    """Return the layer of the largest unseen NMI at the checkpoint's step, by the scores of its run."""
    best = _scores(checkpoint, "best").generalization(checkpoint.at[0])
    assert best is not None
    return best.best_layer


def _recommended_layer(checkpoint: Checkpoint) -> int:
    """Return the layer that the run's first selector chooses at the checkpoint's step."""
    table, folder = _scores(checkpoint, "recommended"), checkpoint.path.resolve().parent.parent
    selector = SELECTORS.get(str(read_summary(folder).get("recommended_by")))
    choice = table.choice(selector, checkpoint.at[0]) if selector else None
    if choice is None:
        raise ValueError(
            f"layer=recommended: the run in {folder} has no scores of a selector at step {checkpoint.at[0]} "
            "(probe.selectors=default writes them); take layer=best, or name a layer by its number or module path"
        )
    return choice.layer


def _scores(checkpoint: Checkpoint, layer: str) -> ScoreTable:
    """Return the scores of the checkpoint's run, which has some of its step."""
    path = checkpoint.path.resolve().parent.parent / "scores.csv"
    step = checkpoint.at[0]
    if not path.is_file():
        raise ValueError(
            f"layer={layer} needs the scores of the run, and there is no {path}; name a layer by its number or module "
            "path"
        )
    table = ScoreTable.read(path)
    if step not in table.steps:
        raise ValueError(f"layer={layer}: {path} has no scores of step {step}, which {checkpoint.path} is of")
    return table


# ------------------------------------------------------------------ images
def _images(images: Any) -> tuple[list[str], Callable[[str], Image.Image]]:
    """Return the names of the images, and what opens one by its name."""
    from PIL import Image

    from unseen.data.files import open_tree
    from unseen.data.images import MAX_BYTES, decode, to_rgb
    from unseen.regular_files import read_bytes

    if isinstance(images, str | os.PathLike):
        tree = open_tree(os.fspath(images), "images")
        found = tree.find()
        if not found.images:
            raise ValueError(f"images={images} holds no image that can be read (.jpg, .png, ...)")
        return [*found.images, *found.unreadable], lambda name: decode(tree.read(name))
    given = list(images)
    if not given:
        raise ValueError("images is an empty list")
    if all(isinstance(one, Image.Image) for one in given):
        return [str(number) for number in range(len(given))], lambda name: to_rgb(given[int(name)])
    if all(isinstance(one, str | os.PathLike) for one in given):
        names = [os.fspath(one) for one in given]
        return names, lambda name: decode(read_bytes(Path(name), MAX_BYTES))
    raise ValueError("images must be a folder, a zip archive, or a list of files or of Pillow images")


def _canvases(
    files: Sequence[str], open_image: Callable[[str], Image.Image], view: Any, batch_size: int
) -> Iterator[tuple[list[str], torch.Tensor, dict[str, str]]]:
    """Yield for each batch the good files, their canvases (B, 3, S, S), and what is wrong with the others."""
    import torch

    from unseen.data.canvases import decode_into_memory

    for first in range(0, len(files), batch_size):
        some = files[first : first + batch_size]
        decoded = decode_into_memory(open_image, some, view.frame, show_progress=False)
        kept = [place for place in range(len(some)) if place not in decoded.reasons]
        bad = {some[place]: decoded.reasons[place] for place in sorted(decoded.reasons)}
        yield [some[place] for place in kept], torch.from_numpy(decoded.canvases)[kept], bad
