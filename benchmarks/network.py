"""Training and probing against the bare network: `floor`, `training_steps`, `probing`.

Our side is the trainer, the module and the callback of a real run, in `floor` with its checkpoints and metrics; the other is the same network in channels_last on
batches that were made beforehand, without Lightning. Both in this process, in turn: `floor` and `training_steps` batch
by batch (`interleaved.py`), `probing` whole.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.floors import forward_flops, job_flops, suite_flops
from benchmarks.interleaved import BareNetwork, Interleaved
from benchmarks.job import (
    BATCH,
    UNSEEN,
    Listener,
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
from benchmarks.timing import Pair, alternate, seconds, spread, take_pairs
from benchmarks.whole_job import EVALUATIONS
from unseen.callbacks.layer_probe import LayerProbe
from unseen.probes import ProbePool, ProbeSuite

WARM_UP_STEPS = 2


def _suite(images: int) -> ProbeSuite:
    return ProbeSuite(n_init=1, k=images // UNSEEN)


def floor(setting: Setting) -> list[Row]:
    """Return the rows of the whole job against its bare forward passes and training steps."""
    size = setting.size
    steps, side = size.train_steps, size.image_size
    evaluations = EVALUATIONS if size.cut == 1 else 1
    data = made_up_data(train=BATCH * steps, evaluated=size.floor_images, side=side)
    training = cached_images(data, "train", steps)
    seen, unseen = cached_images(data, "seen"), cached_images(data, "unseen")
    network = new_backbone(side)
    bare = BareNetwork(network, steps)
    between = Interleaved([bare], lambda other, step: other.train(*training[step]), seen=seen, unseen=unseen)
    probe = new_probe(_suite(size.floor_images), between.on_phase)

    def run() -> float:
        """Run ours with the other in between; return the seconds in the probes."""
        module = new_module(side)
        with tempfile.TemporaryDirectory() as folder, probe_clock() as clock:
            trainer = new_trainer(
                [probe, between], max_steps=steps, every=steps // evaluations, folder=Path(folder)
            )
            between.begin()
            trainer.fit(module, data)
            between.end()
        between.check(steps=steps, evaluations=evaluations)
        return clock.seconds

    spent_probing: list[float] = []

    def take(_number: int) -> Pair:
        spent_probing.append(run())
        return Pair(between.ours, bare.seconds)

    setting.report("floor: warming up")
    run()  # finds the raw pixels' scores, too, which a run needs only once
    pairs = take_pairs(take, pairs=setting.pairs, on_pair=setting.show_pair("floor"), go_on=setting.go_on)
    embedded = 2 * evaluations * size.floor_images
    flops = job_flops(forward_flops(network, side), trained=BATCH * steps, embedded=embedded)
    at_best = setting.floors.matmul_seconds(flops)
    without = [
        Pair(pair.ours - spent, pair.reference) for pair, spent in zip(pairs, spent_probing, strict=True)
    ]
    times = "one evaluation" if evaluations == 1 else f"{evaluations} evaluations"
    work = (
        f"{steps} steps of {BATCH} and {times} of 2 x {size.floor_images} images, {side} px, ConvNeXtV2-atto"
    )
    note = "the raw pixels' scores, found once a run, are not in it"
    cut = "a cut: what does not shrink with the images weighs more than among the 2,500 of the target; --full measures them"
    notes = [note] if size.name == "full" else [note, cut]
    return [
        paired(
            "floor", f"trainer, callback and probes against bare steps and forward passes: {work}", pairs,
            at_most=1.15, floor=at_best, notes=notes, details={"probing_seconds": spread(spent_probing)._asdict()},
        ),
        paired(
            "floor/network", "the same less the seconds inside the probes", without, at_most=1.15, floor=at_best,
            notes=notes,
        ),
    ]  # fmt: skip


def training_steps(setting: Setting) -> list[Row]:
    """Return the row of steps between two evaluations against a plain loop over the same canvases."""
    size = setting.size
    steps, side = size.train_steps, size.image_size
    planned = steps + WARM_UP_STEPS
    data = made_up_data(train=BATCH * planned, evaluated=40, side=side)
    canvases = list(data.train_dataloader())
    bare_network = new_backbone(side)
    bare = BareNetwork(bare_network, planned)

    def step_from_canvases(other: BareNetwork, step: int) -> None:
        batch = data.on_after_batch_transfer(canvases[step], 0)
        other.train(batch.images.contiguous(memory_format=torch.channels_last), batch.labels)

    between = Interleaved([bare], step_from_canvases, warm_up=WARM_UP_STEPS)

    def take(_number: int) -> Pair:
        module = new_module(side)
        trainer = new_trainer(
            [new_probe(ProbeSuite(n_init=1, k=5)), between], max_steps=planned, every=10 * planned
        )
        between.begin()
        trainer.fit(module, data)  # what follows the last step is not counted
        between.check(steps=planned)
        return Pair(between.ours, bare.seconds)

    setting.report("training_steps: warming up")
    take(0)
    pairs = take_pairs(
        take, pairs=setting.pairs, on_pair=setting.show_pair("training_steps"), go_on=setting.go_on
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
    side, images = size.image_size, size.probing_images
    suite = _suite(images)
    data = made_up_data(train=BATCH, evaluated=images, side=side)
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
            for batch, _ in evaluating:
                network(batch)
        with ProbePool("cpu") as pool:
            for scores in [pool.submit(embeddings, labels, suite) for embeddings, labels in layers]:
                scores.result()

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
    least = job_flops(forward_flops(network, side), trained=0, embedded=images)
    least += sum(suite_flops(*embeddings.shape, int(labels.max()) + 1) for embeddings, labels in layers)
    return [
        paired(
            "probing",
            f"all that an evaluation adds to the validation pass against one bare forward pass of {images} "
            f"unseen images and the suite on {len(layers)} layers of {images} images, {side} px",
            pairs,
            at_most=1.10,
            floor=setting.floors.matmul_seconds(least),
            notes=["pooling inside the validation pass is not in our side"],
        )
    ]
