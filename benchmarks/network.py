"""Training and probing against the bare network: `floor`, `training_steps`, `probing`.

Our side is the trainer, the module and the callback of a real run; the other is the same network in channels_last on
batches that were made beforehand, without Lightning. Both in this process, in turn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import nn

from benchmarks.floors import forward_flops, job_flops, suite_flops
from benchmarks.job import (
    BATCH,
    SEEN,
    SPEC,
    UNSEEN,
    Listener,
    bare_optimizer,
    bare_step,
    cached_images,
    made_up_data,
    new_backbone,
    new_module,
    new_probe,
    new_trainer,
    probe_clock,
)
from benchmarks.rows import Row, paired
from benchmarks.setting import Setting, allow_all_algorithms
from benchmarks.timing import Pair, alternate, seconds, spread
from benchmarks.whole_job import EVALUATIONS
from unseen.callbacks.layer_probe import LayerProbe
from unseen.probes import ProbeSuite, run_probes

WARM_UP_STEPS = 2


def _suite(setting: Setting) -> ProbeSuite:
    return ProbeSuite(n_init=1, k=setting.size.eval_images // UNSEEN)


def floor(setting: Setting) -> list[Row]:
    """Return the rows of the whole job against its bare forward passes and training steps."""
    size = setting.size
    steps, side = size.train_steps, size.image_size
    evaluations = EVALUATIONS if size.cut == 1 else 1
    data = made_up_data(train=BATCH * steps, evaluated=size.eval_images, side=side)
    training = cached_images(data, "train", steps)
    evaluating = cached_images(data, "seen") + cached_images(data, "unseen")
    probe = new_probe(_suite(setting))
    probing: list[float] = []

    def ours() -> float:
        module = new_module(side)
        trainer = new_trainer([probe], max_steps=steps, every=steps // evaluations)
        with probe_clock() as clock:
            took = seconds(lambda: trainer.fit(module, data))
        probing.append(clock.seconds)
        return took

    def bare_job(network: nn.Module) -> None:
        optimizer, schedule = bare_optimizer(network, steps)
        network.train()
        for images, labels in training:
            bare_step(network, images, labels, optimizer, schedule)
        network.eval()
        with torch.no_grad():
            for images, _ in evaluations * evaluating:
                network(images)

    def bare(network: nn.Module) -> Callable[[], float]:
        network = network.to(memory_format=torch.channels_last)

        def reference() -> float:
            allow_all_algorithms()
            return seconds(lambda: bare_job(network))

        return reference

    network, plain = new_backbone(side), SPEC.create(side, num_classes=SEEN)
    reference, as_made_by_timm = bare(network), bare(plain)

    setting.report("floor: warming up")
    ours()  # finds the raw pixels' scores, too, which a run needs only once
    reference()
    as_made_by_timm()
    probing.clear()
    pairs = alternate(
        ours, reference, pairs=setting.pairs, on_pair=setting.show_pair("floor"), go_on=setting.go_on
    )
    spent_probing = list(probing)
    plain_pairs = alternate(
        ours,
        as_made_by_timm,
        pairs=setting.pairs,
        on_pair=setting.show_pair("floor/timm"),
        go_on=setting.go_on,
    )
    embedded = 2 * evaluations * size.eval_images
    flops = job_flops(forward_flops(network, side), trained=BATCH * steps, embedded=embedded)
    at_best = setting.floors.matmul_seconds(flops)
    without = [
        Pair(pair.ours - spent, pair.reference) for pair, spent in zip(pairs, spent_probing, strict=True)
    ]
    times = "one evaluation" if evaluations == 1 else f"{evaluations} evaluations"
    work = (
        f"{steps} steps of {BATCH} and {times} of 2 x {size.eval_images} images, {side} px, ConvNeXtV2-atto"
    )
    note = "the raw pixels' scores, found once a run, are not in it"
    return [
        paired(
            "floor", f"trainer, callback and probes against bare steps and forward passes: {work}", pairs,
            at_most=1.15, floor=at_best, notes=[note], details={"probing_seconds": spread(spent_probing)._asdict()},
        ),
        paired(
            "floor/network", "the same less the seconds inside the probes", without, at_most=1.15, floor=at_best,
            notes=[note],
        ),
        paired(
            "floor/timm", f"as floor, against bare steps and forward passes of the network as timm makes it: {work}",
            plain_pairs, at_most=1.15, floor=at_best, notes=[note, "its response normalisation is slower than ours"],
        ),
    ]  # fmt: skip


class StepClock(Callback):
    """The moment when each training step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Note it."""
        self.ends.append(time.perf_counter())


def training_steps(setting: Setting) -> list[Row]:
    """Return the row of steps between two evaluations against a plain loop over the same canvases."""
    size = setting.size
    steps, side = size.train_steps, size.image_size
    planned = steps + WARM_UP_STEPS
    data = made_up_data(train=BATCH * planned, evaluated=40, side=side)
    canvases = list(data.train_dataloader())
    bare_network = new_backbone(side).to(memory_format=torch.channels_last).train()

    def ours() -> float:
        clock = StepClock()
        module = new_module(side)
        trainer = new_trainer(
            [new_probe(ProbeSuite(n_init=1, k=5)), clock], max_steps=planned, every=10 * planned
        )
        trainer.fit(module, data)
        return clock.ends[-1] - clock.ends[WARM_UP_STEPS - 1]

    def reference() -> float:
        allow_all_algorithms()
        optimizer, schedule = bare_optimizer(bare_network, planned)
        for number, raw in enumerate(canvases):
            if number == WARM_UP_STEPS:
                began = time.perf_counter()
            batch = data.on_after_batch_transfer(raw, 0)
            images = batch.images.contiguous(memory_format=torch.channels_last)
            bare_step(bare_network, images, batch.labels, optimizer, schedule)
        return time.perf_counter() - began

    setting.report("training_steps: warming up")
    ours()
    reference()
    pairs = alternate(
        ours, reference, pairs=setting.pairs, on_pair=setting.show_pair("training_steps"), go_on=setting.go_on
    )
    flops = job_flops(forward_flops(bare_network, side), trained=BATCH * steps, embedded=0)
    row = paired(
        "training_steps",
        f"{steps} steps of {BATCH} with the callback on against a plain loop with the same transform and optimiser, "
        f"{side} px, ConvNeXtV2-atto",
        pairs,
        at_least=0.97,
        floor=setting.floors.matmul_seconds(flops),
    )
    row.details = {
        "steps_per_second": {
            "ours": spread([steps / pair.ours for pair in pairs])._asdict(),
            "reference": spread([steps / pair.reference for pair in pairs])._asdict(),
        }
    }
    return [row]


class TimedProbe(LayerProbe):
    """The callback, with the seconds spent in its hooks. What its hooks cost inside the network is not in them."""

    seconds = 0.0

    def on_validation_start(self, *arguments: Any) -> None:
        """Time it."""
        began = time.perf_counter()
        super().on_validation_start(*arguments)
        self.seconds += time.perf_counter() - began

    def on_validation_batch_end(self, *arguments: Any, **named: Any) -> None:
        """Time it."""
        began = time.perf_counter()
        super().on_validation_batch_end(*arguments, **named)
        self.seconds += time.perf_counter() - began

    def on_validation_epoch_end(self, *arguments: Any) -> None:
        """Time it."""
        began = time.perf_counter()
        super().on_validation_epoch_end(*arguments)
        self.seconds += time.perf_counter() - began


def probing(setting: Setting) -> list[Row]:
    """Return the row of an evaluation's own cost against one bare pass over the unseen images and the suite."""
    size = setting.size
    side, suite = size.image_size, _suite(setting)
    data = made_up_data(train=BATCH, evaluated=size.eval_images, side=side)
    module = new_module(side)
    probe = TimedProbe(suite, Listener())
    evaluating = cached_images(data, "unseen")
    network = new_backbone(side).to(memory_format=torch.channels_last).eval()

    def ours() -> float:
        probe.seconds = 0.0
        new_trainer([probe], max_steps=1, every=1).validate(module, data, verbose=False)
        return probe.seconds

    def bare_pass() -> None:
        with torch.no_grad():
            for images, _ in evaluating:
                network(images)
        for embeddings, labels in layers:
            run_probes(embeddings, labels, suite)

    def reference() -> float:
        allow_all_algorithms()
        return seconds(bare_pass)

    setting.report("probing: warming up")
    ours()  # finds the raw pixels' scores, too, which a run needs only once
    with probe_clock(keep_inputs=True) as clock:
        ours()
    layers = [(embeddings.clone(), labels.clone()) for embeddings, labels in clock.inputs]
    reference()
    pairs = alternate(
        ours, reference, pairs=setting.pairs, on_pair=setting.show_pair("probing"), go_on=setting.go_on
    )
    least = job_flops(forward_flops(network, side), trained=0, embedded=size.eval_images)
    least += sum(suite_flops(*embeddings.shape, int(labels.max()) + 1) for embeddings, labels in layers)
    return [
        paired(
            "probing",
            f"all that an evaluation adds to the validation pass against one bare forward pass of {size.eval_images} "
            f"unseen images and the suite on {len(layers)} layers of {size.eval_images} images, {side} px",
            pairs,
            at_most=1.10,
            floor=setting.floors.matmul_seconds(least),
            notes=["pooling inside the validation pass is not in our side"],
        )
    ]
