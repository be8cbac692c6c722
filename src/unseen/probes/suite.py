"""All probes of the table on one layer, under one set of settings, several layers side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

from unseen.probe_table import PROBES, SCORES, SETTINGS, Probe
from unseen.probes.inputs import at_most, checked_embeddings, checked_labels
from unseen.probes.threads import one_thread
from unseen.selector_table import ROWS, Selector

MOST_IMAGES = 2000  # that a selector looks at; several compare all pairs

# Images x features^2, the work of a preconditioner. For 2,500 x 768 and 15 classes an H200 took 0.09 s and a core of
# its host 0.18 s, for 10,000 x 768 and 100 it was 0.16 s and 0.89 s; the cores take other layers at the same time.
_LARGEST_ON_CPU = 4e9


class ProbeSuite:
    """Which probes run, with which settings.

    Args:
        probes: Names in `unseen.probe_table.PROBES`; None: all.
        settings: Of `unseen.probe_table.SETTINGS`; one left out has its default there. `k`, the neighbours of `nnk`, is
            by default the size of the largest class of the labels at hand; the papers use that of the largest unseen
            class for the seen set too, so a caller with several sets gives it. `n_init=1` gives the numbers of
            arXiv 2402.14095 and 2405.01524.
        selectors: Scores by which a layer can be chosen, of `unseen.selector_table`, that are computed, too.
        num_unseen: Number of unseen classes, which selectors take; needed where there are selectors.

    Raises:
        ValueError: A probe or setting is unknown, or a value not allowed.
    """

    def __init__(
        self,
        *,
        probes: Sequence[str] | None = None,
        selectors: Sequence[Selector] = (),
        num_unseen: int | None = None,
        **settings: Any,
    ) -> None:
        known = {probe.name: probe for probe in PROBES}
        for kind, given, allowed in (("probe", probes or (), known), ("setting", settings, SETTINGS)):
            for name in given:
                if name not in allowed:
                    raise ValueError(f"unknown {kind} {name!r}; known are {', '.join(allowed)}")
        self.probes: tuple[Probe, ...] = PROBES if probes is None else tuple(known[name] for name in probes)
        self.settings = {name: setting.default for name, setting in SETTINGS.items()} | settings
        for name, value in self.settings.items():
            SETTINGS[name].check(name, value)
        self.selectors = tuple(selectors)
        self.num_unseen = num_unseen

    def of(self, split: str) -> ProbeSuite:
        """Return the same probes with the selectors and further scores that are of this split."""
        selectors = [one for one in self.selectors if one.split == split and one.function]
        names = [probe.name for probe in self.probes]
        settings = {
            name: value
            for name, value in self.settings.items()
            if split == "unseen" or not SETTINGS[name].of_unseen
        }
        return ProbeSuite(probes=names, selectors=selectors, num_unseen=self.num_unseen, **settings)

    def only(self, *probes: str) -> ProbeSuite:
        """Return some of the probes, without further scores and selectors."""
        return ProbeSuite(
            probes=probes, **{name: value for name, value in self.settings.items() if not SETTINGS[name].adds}
        )


def run_probes(
    embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike, suite: ProbeSuite
) -> dict[str, float]:
    """Scores of one layer by name, in the order of `unseen.probe_table.SCORES`.

    Args:
        embeddings: One layer's features, (N, D).
        labels: Any integers, (N,).
        suite: Probes and settings.

    Returns:
        One float per score; NaN where it is undefined (see each probe).

    Raises:
        ValueError: If the inputs are malformed, or contain NaN or infinity because the network diverged.
    """
    with ProbePool(embeddings.device if isinstance(embeddings, Tensor) else "cpu") as pool:
        return pool.submit(embeddings, labels, suite).result()


@dataclass(frozen=True)
class PendingScores:
    """Scores of a layer whose probes may still run."""

    parts: Sequence[Future[dict[str, float]]]

    def result(self) -> dict[str, float]:
        """Wait for the scores; return one float per name."""
        scores = {name: value for part in self.parts for name, value in part.result().items()}
        if unknown := scores.keys() - {*SCORES, *ROWS}:
            raise ValueError(
                f"a probe returned scores that are not in the table of probes: {sorted(unknown)}"
            )
        return {name: scores[name] for name in (*SCORES, *ROWS) if name in scores}


class ProbePool:
    """Runs probes of several layers side by side: on the CPU as many as torch has threads, with one thread each.

    On a GPU they run one after the other; beside them, on the CPU, those that are slower on a GPU.

    Args:
        device: Where the embeddings are.

    Attributes:
        workers: Layers that are worth working on at a time.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._device = torch.device(device)
        self._stack = ExitStack()
        self.workers = torch.get_num_threads()

    def __enter__(self) -> ProbePool:
        self._stack.enter_context(one_thread(torch.device("cpu")))
        # libraries change the warnings' filters for a moment, and two threads would restore each other's
        self._stack.enter_context(warnings.catch_warnings())
        self._on_cpu = self._stack.enter_context(ThreadPoolExecutor(self.workers, "probe"))
        self._on_gpu = self._stack.enter_context(ThreadPoolExecutor(1, "gpu-probe"))
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is not None:
            self._on_cpu.shutdown(cancel_futures=True)
            self._on_gpu.shutdown(cancel_futures=True)
        self._stack.close()

    def submit(
        self, embeddings: Tensor | npt.ArrayLike, labels: Tensor | npt.ArrayLike, suite: ProbeSuite
    ) -> PendingScores:
        """Begin to score a layer; arguments and errors are those of `run_probes`."""
        features = checked_embeddings(embeddings)  # (N, D)
        _, targets = checked_labels(labels, len(features))
        values = dict(suite.settings)
        if values["k"] is None:
            values["k"] = int(targets.bincount().max())
        size = features.numel() * features.shape[1]
        parts = []
        for probe in reversed(suite.probes):  # the slowest is the last in the table
            on_cpu = not features.is_cuda or (probe.small_on_cpu and size <= _LARGEST_ON_CPU)
            call = partial(
                copy_context().run,  # a warning belongs to the layer that the caller names
                _named(probe.function),
                features.cpu() if on_cpu else features,
                labels,
                **{name: values[name] for name in probe.settings},
            )
            parts.append((self._on_cpu if on_cpu else self._on_gpu).submit(call))
        if suite.selectors:
            rows = at_most(MOST_IMAGES, len(features), values["seed"])
            some = features[rows.to(features.device)].cpu()
            values |= {"labels": targets[rows], "num_classes": suite.num_unseen}
            for selector in suite.selectors:
                arguments = {name: values[name] for name in selector.arguments}
                parts.append(self._on_cpu.submit(copy_context().run, _select, selector, some, arguments))
        return PendingScores(parts)


def _select(selector: Selector, features: Tensor, arguments: dict[str, Any]) -> dict[str, float]:
    return {selector.row: _named(selector.function)(features, **arguments)}


def _named(function: str) -> Callable[..., Any]:
    module, name = function.split(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
