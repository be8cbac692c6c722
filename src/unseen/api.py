"""From Python, without a configuration: score embeddings, or every layer of any network.

Legend: N images, B batch, C channels, S image size, D features, L layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, RandomSampler

from unseen.backbones.discovery import UnusableTapsError, find_taps, main_layers, trace, with_known_layout
from unseen.backbones.protocol import Backbone, Tap
from unseen.backbones.taps import Pooling, check_pooling, record_taps
from unseen.callbacks.layer_scores import score_rows
from unseen.callbacks.preserve import preserve
from unseen.data.canvases import progress
from unseen.data.transforms import flat_pixels
from unseen.full_precision import full_precision
from unseen.probes import ProbePool, ProbeSuite, run_probes
from unseen.probes.inputs import checked_labels
from unseen.scores import CHANCE_PROBE, INPUT_LAYER, Generalization, ScoreTable
from unseen.wording import one_line

Array = npt.ArrayLike | Tensor


def probe(
    embeddings: Array, labels: Array, *, probes: Sequence[str] | None = None, **settings: Any
) -> dict[str, float]:
    """How well classes separate in embeddings: k-means NMI, nearest neighbours, linear probe.

    Args:
        embeddings: (N, D), one row an image: a tensor of any kind, an array, lists, or a pandas DataFrame.
        labels: (N,) classes: integers, texts, pandas categories, or floats without a fraction.
        probes: Which of `clusters`, `neighbors` and `linear`; None: all.
        settings: `n_init` and `seed` of k-means, `k` of NN@k, `standardize` of the linear probe; see
            `unseen.probes.ProbeSuite`.

    Returns:
        A score by name, NaN where it is undefined; `docs/measures.md` defines each.

    Raises:
        ValueError: In one sentence: shapes that do not match, NaN, labels that are no classes or all the same.

    >>> scores = probe([[0.0], [0.1], [5.0], [5.1]], ["a", "a", "b", "b"], probes=["clusters", "neighbors"])
    >>> scores["nmi"], scores["nn1"]
    (1.0, 1.0)
    """
    suite = ProbeSuite(probes=probes, **settings)
    _check_classes(labels, len(embeddings))  # type: ignore[arg-type]
    return run_probes(embeddings, labels, suite)


def probe_layers(
    model: nn.Module,
    images: Array | Iterable[Any],
    labels: Array | None = None,
    *,
    taps: Sequence[str] = (),
    pooling: Pooling = "auto",
    batch_size: int = 64,
    probes: Sequence[str] | None = None,
    **settings: Any,
) -> LayerScores:
    """Score every layer of a network on images: which one separates these classes best?

    For the generalization index g of arXiv 2402.14095 the classes must be ones that the network was not trained on.
    The network is only read: its weights and modes, and the random state, are as before afterwards.

    Args:
        model: Any network of square images, on any device.
        images: (N, C, S, S) floats as the network takes them, normalised; or a loader of such batches, alone or with
            their labels: (images, labels).
        labels: (N,) as for `probe`; None: the loader yields them.
        taps: Paths of the modules to read, with `*` and `?` (`encoder.layers.*`); empty: the rule of
            `unseen.backbones.discovery.find_taps`, else of `main_layers` there.
        pooling: How the output of a layer becomes a vector: class token else mean (`auto`), `paper`, `mean`, `first`.
        batch_size: Images at a time, where no loader says it.
        probes: As for `probe`; `clusters` must be among them.
        settings: As for `probe`.

    Raises:
        ValueError: In one sentence: no layers found, images that are not square, labels that do not match, NaN.
    """
    check_pooling(pooling)
    taps = [taps] if isinstance(taps, str | int) else taps
    if wrong := [tap for tap in taps if not isinstance(tap, str)]:
        raise ValueError(f"taps={taps} must be paths of modules, such as '{wrong[0]}' or 'layer*'")
    suite = ProbeSuite(probes=probes, **settings)
    if "clusters" not in {one.name for one in suite.probes}:
        raise ValueError(
            f"probes={list(probes or ())} must hold 'clusters': the best layer has the largest NMI"
        )
    if not isinstance(model, nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
    batches = _batches(images, labels, batch_size)
    first = next(batches, None)
    if first is None:
        raise ValueError("there are no images")
    with preserve(model):
        backbone = model if isinstance(model, Backbone) else _with_taps(model, first[0], taps, device)
        layers: list[list[Tensor]] = [[] for _ in backbone.taps]  # of each layer (B, D_l) tensors
        pixels: list[Tensor] = []
        found: list[Any] = []
        with (
            torch.no_grad(),
            full_precision(device),
            record_taps(backbone, pooling) as recorder,
            progress("embedding images", None, True) as advance,
        ):
            for batch, classes in itertools.chain([first], batches):
                backbone.network(batch.to(device))
                for held, embeddings in zip(layers, recorder.take(), strict=True):
                    held.append(embeddings if device.type == "cuda" else embeddings.cpu())
                pixels.append(flat_pixels(batch.float()).cpu())
                found.extend(classes)
                advance(1)
    everything = torch.cat(pixels)  # (N, D)
    targets = _check_classes(found if labels is None else labels, len(everything))
    return LayerScores(_score(layers, backbone.taps, everything, targets, suite))


def _check_classes(labels: Array, rows: int) -> Tensor:
    """Return the index of the class of each sample, (N,); all of one class are refused."""
    names, targets = checked_labels(labels, rows)
    if len(names) == 1:
        raise ValueError(f"all {rows} labels are the class {names[0]}; there is nothing to separate")
    return targets


def _batches(images: Any, labels: Any, batch_size: int) -> Iterator[tuple[Tensor, list[Any]]]:
    """Yield images (B, C, S, S) and their labels, none where they are given apart."""
    given = labels is not None
    if isinstance(images, Tensor | np.ndarray):
        if not given:
            raise ValueError(
                "labels are missing: give the class of each image, or a loader of (images, labels)"
            )
        batches: Iterable[Any] = torch.split(torch.as_tensor(images), batch_size)
    elif isinstance(images, Dataset):
        raise ValueError(
            "images is a Dataset; give a loader of it: torch.utils.data.DataLoader(images, batch_size=64)"
        )
    else:
        batches = images
        if given and isinstance(getattr(images, "sampler", None), RandomSampler):
            raise ValueError(
                "the loader shuffles, so that labels given beside it belong to other images; let it yield "
                "(images, labels), or take shuffle=False"
            )
    for batch in batches:
        pair = isinstance(batch, tuple | list) and len(batch) >= 2
        pictures = batch[0] if isinstance(batch, tuple | list) else batch
        if not pair and not given:
            raise ValueError("the loader must yield (images, labels), or labels must be given apart")
        if not isinstance(pictures, Tensor) or pictures.ndim != 4 or pictures.shape[2] != pictures.shape[3]:
            shape = tuple(pictures.shape) if isinstance(pictures, Tensor) else type(pictures).__name__
            raise ValueError(f"images must be square, of shape (B, C, S, S), got {shape}")
        if not pictures.is_floating_point():
            kind = str(pictures.dtype).removeprefix("torch.")
            raise ValueError(f"images must be floats as the network takes them, normalised, got {kind}")
        yield pictures, [] if given else list(np.asarray(batch[1]))


def _with_taps(model: nn.Module, images: Tensor, taps: Sequence[str], device: torch.device) -> Backbone:
    """Return the network with its layers found; images (B, C, S, S) are like those that it will get."""
    _, channels, _, size = images.shape
    kind: dict[str, Any] = {"channels": channels, "dtype": images.dtype}
    try:
        firings = trace(model, size, device, **kind)
    except Exception as error:  # whatever a network raises
        raise ValueError(
            f"{type(model).__name__} cannot take images of shape {(channels, size, size)}: {one_line(error)[:300]}"
        ) from error
    prefix = getattr(model, "num_prefix_tokens", None)  # timm's networks say it
    try:
        try:
            found = find_taps(model, firings, taps, prefix_tokens=prefix)
        except UnusableTapsError:
            names = [] if taps else main_layers(model, firings)
            if not names:
                raise
            found = find_taps(model, firings, names, prefix_tokens=prefix)
        known = with_known_layout(found, firings, lambda: trace(model, 2 * size, device, **kind))
    except UnusableTapsError as error:
        sentence = str(error).replace("model.backbone.taps", "taps=[...]")
        raise ValueError(f"{type(model).__name__}: {sentence}") from error
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # the images are normalised already
    return Backbone(model, known, num_classes=0, image_size=size, mean=zero, std=one)


def _score(
    layers: Sequence[list[Tensor]], taps: Sequence[Tap], pixels: Tensor, targets: Tensor, suite: ProbeSuite
) -> ScoreTable:
    values: dict[tuple[str, int, str], float] = {}
    with (
        ProbePool(layers[0][0].device) as pool,
        progress("probing layers", len(taps), True) as advance,
    ):
        pending = []
        for tap, held in zip(taps, layers, strict=True):
            try:
                pending.append(pool.submit(torch.cat(held), targets, suite))
            except ValueError as error:
                raise ValueError(f"layer {tap.layer} ({tap.name}): {error}") from error
            held.clear()
        for tap, scores in zip(taps, pending, strict=True):
            values |= {("unseen", tap.layer, name): value for name, value in scores.result().items()}
            advance(1)
    baseline = {("unseen", name): value for name, value in run_probes(pixels, targets, suite).items()}
    return ScoreTable(score_rows(0, 0, taps, layers=values, baseline=baseline, accuracy=None))


@dataclass(frozen=True)
class LayerScores(Sequence[dict[str, Any]]):
    """The scores of every layer on one set of classes: a sequence of rows, ready for `pandas.DataFrame(...)`.

    A row has layer (0 is the shallowest), name (module path), depth (0..1), and each score by name. The first row is
    the baseline on raw pixels, with layer -1, name `input` and no depth.

    Attributes:
        table: The scores as tidy rows, of one evaluation.
    """

    table: ScoreTable

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    @cached_property
    def _rows(self) -> list[dict[str, Any]]:
        rows: dict[int, dict[str, Any]] = {}
        for one in self.table.at(self.best.step, "unseen"):
            if one.layer >= INPUT_LAYER:
                row = {"layer": one.layer, "name": one.layer_name, "depth": one.depth}
                rows.setdefault(one.layer, row)[one.probe] = one.value
        return [rows[layer] for layer in sorted(rows)]

    @cached_property
    def best(self) -> Generalization:
        """g, the largest NMI over the layers, and the layer that has it."""
        best = self.table.generalization()
        assert best is not None
        return best

    @property
    def g(self) -> float:
        """The generalization index: the largest NMI over the layers, 0..1."""
        return self.best.g

    @property
    def best_layer(self) -> int:
        """The layer of the largest NMI."""
        return self.best.best_layer

    @property
    def best_layer_name(self) -> str:
        """Its module path."""
        return self.best.best_layer_name

    @property
    def baseline(self) -> dict[str, Any]:
        """The row of the raw pixels, which a network should beat."""
        return next(row for row in self if row["layer"] == INPUT_LAYER)

    @property
    def chance(self) -> float:
        """The NMI of the best layer's clusters with permuted labels: what no information at all gives."""
        return float(next(row[CHANCE_PROBE] for row in self if row["layer"] == self.best_layer))

    def __str__(self) -> str:
        shown = [("nmi", "NMI"), ("nn1", "NN@1"), ("r_precision", "R-prec."), ("linear_probe", "linear")]
        columns = [(key, heading) for key, heading in shown if key in self[0]]
        width = max(len(row["name"]) for row in self)
        lines = ["layer  " + "name".ljust(width) + "".join(heading.rjust(9) for _, heading in columns)]
        for row in self:
            number = "" if row["layer"] == INPUT_LAYER else str(row["layer"])
            cells = "".join(f"{row[key]:9.3f}" for key, _ in columns)
            lines.append(
                f"{number:>5}  {row['name']:<{width}}{cells}{' *' * (row['layer'] == self.best_layer)}"
            )
        lines.append(
            f"g {self.g:.3f} at layer {self.best_layer} of 0..{self.best.num_layers - 1} ({self.best_layer_name}); "
            f"raw pixels {self.baseline['nmi']:.3f}, chance {self.chance:.3f}"
        )
        return "\n".join(lines)
