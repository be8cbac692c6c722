"""Training and evaluation inside our command against the bare network: network, network_cuda.

A Lightning callback, added on the command line, does the same work with a bare network and a torchvision loader after
each batch of ours, in the same process, and keeps the seconds apart. A machine that shares its host changes its speed
within seconds; sides that take turns batch by batch meet the same machine.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from benchmarks.measure import Row, Settings, report, run_ours
from benchmarks.reference_flows import paper_transform
from benchmarks.whole_job import ALL_IMAGES, BATCH, lay_out

# null: the images of a class, which are the papers' 500 where none are left out, and fewer at the other sizes
PAPERS_JOB = (
    "experiment=calligraphy model=vit model.pretrained=false trainer.precision=bf16-mixed probe.k=null"
)
WARM_UP = 2  # first training steps, which count for `floor` only


class Beside(Callback):
    """After each batch of ours, does the bare one; writes the seconds of both sides when training has ended.

    Args:
        out: Gets {"steps": [[ours, bare], ...], "inputs": [[ours, torchvision], ...], "evaluation": [ours, bare],
            "total": [ours, bare]}.
        model: The bare network, an architecture of timm.
        side: Pixels.
        images: Training images for torchvision's loader; None: no loader.
        block: Steps after which the sides take turns; on a GPU more than one, because each turn waits for it.
    """

    def __init__(self, out: str, model: str, side: int, images: str | None = None, block: int = 1) -> None:
        self._out, self._model, self._side, self._images, self._block = Path(out), model, side, images, block
        self._network: nn.Module | None = None
        self._steps: list[list[float]] = []
        self._inputs: list[list[float]] = []
        self._evaluation, self._total = [0.0, 0.0], [0.0, 0.0]
        self._waited = 0.0  # ours, from the end of a batch to the start of the next
        self._undisturbed = False  # no evaluation since the last turn

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Build the other side and do what is slow at its first use; called once for each use of the trainer."""
        if self._network is not None:
            return
        import timm

        self._device, self._half = trainer.strategy.root_device, "mixed" in str(trainer.precision)
        network: nn.Module = timm.create_model(self._model, num_classes=20)
        self._network = network.to(self._device, memory_format=torch.channels_last).train()
        self._optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0)
        self._loader = _torchvision_batches(self._images) if self._images else None
        images = torch.rand(BATCH, 3, self._side, self._side, device=self._device)
        self._bare(self._train, images, torch.arange(BATCH, device=self._device) % 15)
        self._bare(self._embed, images)

    # ------------------------------------------------------------------ the clock
    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def _ours(self) -> float:
        """Return and count the seconds of our side since its last turn or the last call."""
        now = self._now()
        took, self._resumed = now - self._resumed, now
        self._total[0] += took
        return took

    def _bare(self, task: Callable[..., object], *arguments: Any) -> float:
        """Return the seconds of a task of the other side, which leaves modes and random numbers of ours alone."""
        strict = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(False)  # the trainer's choice, which costs time
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            began = self._now()
            task(*arguments)
            took = self._now() - began
        torch.use_deterministic_algorithms(strict, warn_only=True)
        self._resumed = self._now()
        return took

    # ------------------------------------------------------------------ the other side
    def _train(self, images: Tensor, labels: Tensor) -> None:
        assert self._network is not None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            loss = nn.functional.cross_entropy(self._network(images).float(), labels)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimizer.step()

    def _embed(self, images: Tensor) -> None:
        assert self._network is not None
        self._network.eval()
        with torch.no_grad():
            self._network(images)
        self._network.train()

    # ------------------------------------------------------------------ the turns
    def on_train_batch_start(self, *_: Any) -> None:
        if self._block == 1:
            self._waited = self._ours()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self._block:
            return
        ours = self._waited + self._ours()
        bare = sum(self._bare(self._train, batch.images, batch.labels) for _ in range(self._block))
        self._total[1] += bare
        other = self._bare(next, self._loader) if self._loader else 0.0
        if self._undisturbed and trainer.global_step > WARM_UP:
            self._steps.append([ours, bare])
            self._inputs.append([self._waited, other])
        self._undisturbed = True

    def on_validation_start(self, *_: Any) -> None:
        self._ours()
        self._undisturbed = False
        self._evaluation[0] -= self._total[0]

    def on_validation_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, *_: Any
    ) -> None:
        self._ours()
        # twice: as many unseen images as seen ones are embedded, in a pass for which Lightning has no hook
        bare = self._bare(self._embed, batch.images) + self._bare(self._embed, batch.images)
        self._evaluation[1] += bare
        self._total[1] += bare

    def on_validation_end(self, *_: Any) -> None:
        self._ours()
        self._evaluation[0] += self._total[0]

    def on_fit_end(self, *_: Any) -> None:
        self._ours()
        content = {
            "steps": self._steps,
            "inputs": self._inputs,
            "evaluation": self._evaluation,
            "total": self._total,
        }
        self._out.write_text(json.dumps(content), encoding="utf-8")


def _torchvision_batches(images: str) -> Iterator[Any]:
    """Yield batches of the papers' transform, image by image, epoch after epoch."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    loader = DataLoader(ImageFolder(images, paper_transform()), BATCH, shuffle=True, drop_last=True)
    while True:
        yield from loader


# ------------------------------------------------------------------ rows
def network(settings: Settings) -> list[Row]:
    """Return the rows of ConvNeXtV2-atto on calligraphy at 64 px, on the CPU."""
    steps, every, share = settings.pick((60, 30, 1.0), (20, 10, 0.16), (3, 3, 0.03))
    command = "model=timm model.name=convnextv2_atto data=calligraphy data.image_size=64 data.rotation=10 probe.n_init=1 trainer=cpu"
    found = _runs(
        settings, command, steps, every, share, {"model": "convnextv2_atto", "side": 64}, loader=True
    )
    job = f"{steps} steps of {BATCH}, evaluations every {every} and at 0, {share:.0%} of the images, ConvNeXtV2-atto at 64 px"

    def both(key: str) -> list[list[float]]:
        return [[sum(pair[side] for pair in one[key]) for one in found] for side in (0, 1)]

    totals = [[one["total"][side] for one in found] for side in (0, 1)]
    floor = f"training, loading, evaluations, probes and files against bare steps and forward passes: {job}"
    training = "steps between two evaluations, loading included, against bare steps on ready tensors"
    loading = (
        f"from the end of a step to the start of the next against torchvision's loader, batches of {BATCH}"
    )
    return [
        Row("floor", floor, *totals, overhead=True, target=settings.target(1.15)),
        Row("training_steps", training, *both("steps"), overhead=True, target=settings.target(1.05)),
        Row("inputs", loading, *both("inputs"), target=settings.target(4.0)),
        _share("probing_share", job, found),
    ]


def network_cuda(settings: Settings) -> list[Row]:
    """Return the rows of the papers' job, ViT-B at 224 px in bfloat16, on the GPU."""
    steps, every, share = settings.pick((500, 100, 1.0), (100, 50, 0.16), (20, 10, 0.05))
    beside = {"model": "vit_base_patch16_224", "side": 224, "block": 5}
    found = _runs(settings, PAPERS_JOB, steps, every, share, beside)
    job = f"{steps} steps of {BATCH}, evaluations every {every} and at 0, {share:.0%} of the images, ViT-B at 224 px, bf16-mixed"
    ours, bare = ([sum(pair[side] for pair in one["steps"]) for one in found] for side in (0, 1))
    what = f"steps between two evaluations, loading included, against bare steps on ready tensors: {job}"
    return [
        Row("training_steps_cuda", what, ours, bare, overhead=True),
        _share("probing_share_cuda", job, found),
    ]


def _share(name: str, job: str, found: list[dict[str, Any]]) -> Row:
    shares = [100 * (one["evaluation"][0] - one["evaluation"][1]) / one["total"][0] for one in found]
    return Row(
        name, f"evaluations less their bare forward passes, a share of the run: {job}", shares, unit="%"
    )


def _runs(
    settings: Settings,
    command: str,
    steps: int,
    every: int,
    share: float,
    beside: dict[str, Any],
    *,
    loader: bool = False,
) -> list[dict[str, Any]]:
    """Run our command with the callback; return what it wrote, run by run."""
    found = []
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        images, out = Path(folder) / "images", Path(folder) / "out.json"
        lay_out(settings.calligraphy(), images, share)
        beside = beside | {"_target_": "benchmarks.network.Beside", "out": out}
        beside |= {"images": images / "seen/train"} if loader else {}
        job = [*command.split(), *ALL_IMAGES, f"data.root={images}", f"trainer.max_steps={steps}"]
        job += [
            f"trainer.val_check_interval={every}",
            *(f"+callbacks.beside.{key}={value}" for key, value in beside.items()),
        ]
        for number in range(settings.rounds):
            run_ours(*job, f"seed={settings.seed + number}")
            found.append(json.loads(out.read_text(encoding="utf-8")))
            ours, bare = found[-1]["total"]
            report(
                f"{beside['model']}, run {number + 1} of {settings.rounds}: ours {ours:.3g} s, bare {bare:.3g} s"
            )
    return found
