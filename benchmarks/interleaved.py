"""A run of ours with the bare network's work in between, step by step: a drift of the machine meets both alike.

A machine that shares its host changes its speed within seconds. Two jobs of half a minute, one after the other, differ
by a tenth for that reason alone; two steps of a third of a second hardly do. Each side finds the caches as the others left
them, at every batch.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from benchmarks.job import bare_optimizer, bare_step
from benchmarks.setting import allow_all_algorithms

Batches = Sequence[tuple[Tensor, Tensor]]


class BareNetwork:
    """A network in channels_last that trains and embeds without anything around it.

    Args:
        network: What runs.
        steps: Over how many steps the learning rate falls.

    Attributes:
        seconds: Spent since `begin`.
        trained: Batches since `begin`; `embedded` likewise.
        embedded: See `trained`.
    """

    def __init__(self, network: nn.Module, steps: int) -> None:
        self._network = network.to(memory_format=torch.channels_last)
        self._first = {name: value.clone() for name, value in network.state_dict().items()}
        self._steps = steps
        self.begin()

    def begin(self) -> None:
        """Start again from the first weights, with a new schedule, at zero seconds."""
        self.seconds = 0.0
        self.trained = self.embedded = 0
        self._network.load_state_dict(self._first)
        self._optimizer, self._schedule = bare_optimizer(self._network, self._steps)

    def train(self, images: Tensor, labels: Tensor) -> None:
        """Take one step."""
        self.trained += 1
        self._network.train()
        bare_step(self._network, images, labels, self._optimizer, self._schedule)

    def embed(self, images: Tensor, _labels: Tensor) -> None:
        """Run one forward pass."""
        self.embedded += 1
        self._network.eval()
        with torch.no_grad():
            self._network(images)


class Interleaved(Callback):
    """After each batch of ours, lets every bare network do the same batch, and keeps the seconds apart.

    It comes last of the callbacks, and `on_phase` goes to the probe.

    Args:
        networks: The other sides.
        train: What a bare network does after our training step with this number, counted from 0.
        seen: Network input of the validation pass, batch by batch; empty: the bare networks leave it out.
        unseen: Likewise of the unseen images.
        warm_up: Steps whose seconds do not count, nor any before them.

    Attributes:
        ours: Seconds of our side since `begin`.
    """

    def __init__(
        self,
        networks: Sequence[BareNetwork],
        train: Callable[[BareNetwork, int], None],
        *,
        seen: Batches = (),
        unseen: Batches = (),
        warm_up: int = 0,
    ) -> None:
        self._networks = list(networks)
        self._train = train
        self._seen, self._unseen = seen, unseen
        self._warm_up = warm_up
        self.begin()

    def begin(self) -> None:
        """Start all clocks at zero; our side's runs."""
        gc.collect()
        for network in self._networks:
            network.begin()
        self._step = 0
        self.ours = 0.0
        self._resumed = time.perf_counter()

    def end(self) -> None:
        """Count our side's seconds since the last bare batch."""
        self.ours += time.perf_counter() - self._resumed

    def check(self, *, steps: int, evaluations: int = 0) -> None:
        """Make sure that every bare network did all of our side's batches.

        Args:
            steps: Our training steps.
            evaluations: Our evaluations, each of all seen and unseen batches.

        Raises:
            RuntimeError: If one did not.
        """
        expected = steps, evaluations * (len(self._seen) + len(self._unseen))
        for network in self._networks:
            if (network.trained, network.embedded) != expected:
                raise RuntimeError(
                    f"(trained, embedded) batches of a bare network are {network.trained, network.embedded}, ours "
                    f"{expected}: the two sides did not do the same"
                )

    def on_train_batch_end(self, *_: Any) -> None:
        """Train the bare networks."""
        self.end()
        step, self._step = self._step, self._step + 1
        self._others(lambda network: self._train(network, step))
        if step < self._warm_up:
            self.ours = 0.0
            for network in self._networks:
                network.seconds = 0.0

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Let the bare networks embed the same seen images."""
        if self._seen:
            self.end()
            self._others(lambda network: network.embed(*self._seen[batch_idx]))

    def on_phase(self, phrase: str, done: int, _total: int) -> None:
        """Let the bare networks embed the unseen images that come next."""
        if self._unseen and phrase == "embedding unseen images":
            self.end()
            self._others(lambda network: network.embed(*self._unseen[done]))

    def _others(self, work: Callable[[BareNetwork], None]) -> None:
        allow_all_algorithms()
        self._networks.append(self._networks.pop(0))  # none is always the one that comes after ours
        for network in self._networks:
            began = time.perf_counter()
            work(network)
            network.seconds += time.perf_counter() - began
        torch.use_deterministic_algorithms(True, warn_only=True)  # as our trainer has it
        self._resumed = time.perf_counter()
