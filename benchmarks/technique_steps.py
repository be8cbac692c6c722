"""Steps of each technique that fine-tunes an encoder, on CLIP ViT-B/32 with random weights: time, memory, what changes."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.measure import Row, Settings, in_fresh_process, memory, report

TECHNIQUES: dict[str, dict[str, Any]] = {
    "full": {},
    "bitfit": {},
    "attention": {},
    "lora": {"rank": 4},
    "adapter": {"reduction": 4},
    "probe": {},
}
# images of a step and classes: as published with CIFAR100; and cut
FULL, CUT, TINY = (128, 100), (16, 10), (4, 3)
_PASSES = 3  # in which LoRA must not move a weight
_TINY_NETWORK = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}


def technique_steps(settings: Settings) -> list[Row]:
    """Return two rows for each technique: processor time of a step but the first, and the peak of a fresh process.

    Processor time, over all threads, depends little on what else the machine does.
    """
    size = settings.pick(FULL, CUT, TINY)
    network = settings.pick("ViT-B-32", "ViT-B-32", "tiny")
    rows = []
    for name, arguments in TECHNIQUES.items():
        found = in_fresh_process(
            _quietly_measured, name, arguments, network, size, settings.seed, settings.rounds
        )
        inputs = "kept features of the image tower" if found["kept"] else "images"
        what = (
            f"a step of {name} on {network} with random weights, {size[0]} {inputs}, {size[1]} captions: "
            f"{found['trained']:,} of {found['parameters']:,} parameters are trained"
        )
        report(
            f"technique_steps, {name}: {min(found['seconds']):.3g} CPU s, {found['peak']:.0f} MB; {found['check']}"
        )
        rows.append(
            Row(f"technique_steps/{name}", what, found["seconds"], unit="CPU s", check=found["check"])
        )
        rows.append(
            Row(
                f"technique_memory/{name}",
                f"the process's peak in it, libraries included, {name}",
                [found["peak"]],
                unit="MB",
            )
        )
    return rows


def _quietly_measured(*arguments: Any) -> dict[str, Any]:
    from unseen.runs.console import quiet_libraries

    quiet_libraries()
    warnings.filterwarnings("ignore", message=".*no `val_dataloader`.*")
    return _measured(*arguments)


def _measured(
    name: str, arguments: dict[str, Any], network: str, size: tuple[int, int], seed: int, steps: int
) -> dict[str, Any]:
    """Train for a first step and `steps` more, then check what changed."""
    import torch

    from unseen.backbones.tuning import counted
    from unseen.encoders import tuning
    from unseen.encoders.clip import OpenClip
    from unseen.encoders.image_features import ImageFeatures, trains_image_tower

    if network == "tiny":
        _register_tiny()
    (batch, classes), cpu = size, torch.device("cpu")
    torch.manual_seed(seed)
    encoder: Any = OpenClip(network)
    more = {"classes": classes} if name == "probe" else {}
    encoder = getattr(tuning, name)(encoder, **arguments, **more).eval()
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(batch, 3, encoder.image_size, encoder.image_size, generator=generator)
    labels = torch.arange(batch) % classes
    kept = not trains_image_tower(encoder, images[:1])
    inputs = ImageFeatures.of(encoder, [(images, labels)]).rows if kept else images
    before = dict(_digests(encoder))
    node = {"_target_": "unseen.encoders.clip.OpenClip", "architecture": network, "pretrained": None}
    technique = {"_target_": f"unseen.encoders.tuning.{name}", "_partial_": True} | arguments
    made_by = {"encoder": node, "technique": technique, "seed": seed}
    tuner, trainer, took = _trained(
        encoder, (inputs, labels, labels), classes, steps, made_by, name, kept=kept
    )
    peak = memory("VmHWM")
    encoder.to(cpu).eval()
    after = dict(_digests(encoder))
    changed = {key for key in after if after[key] != before[key]}
    trained = {key for key, one in encoder.named_parameters() if one.requires_grad}
    checks = [
        "only these weights changed"
        if changed == trained
        else f"OTHERS CHANGED: {sorted(changed ^ trained)[:4]}"
    ]
    if name == "lora":
        checks.append(_of_lora(encoder, images))
    checks.append(_of_reload(encoder, tuner, trainer, images[:2], classes))
    total, count = counted(encoder)
    return {
        "trained": count, "parameters": total, "seconds": took[1:], "peak": peak, "kept": kept,
        "check": ", ".join(checks),
    }  # fmt: skip


def _trained(
    encoder: Any,
    batch: tuple[Any, ...],
    classes: int,
    steps: int,
    made_by: dict[str, Any],
    name: str,
    *,
    kept: bool,
) -> tuple[Any, Any, list[float]]:
    """Return tuner and trainer after some steps, and the processor time of each, optimiser included."""
    import torch
    from lightning.pytorch import Callback, Trainer

    from unseen.encoders.prompts import Prompts
    from unseen.runs.transfer.encoder_checkpoints import tuned_provenance
    from unseen.runs.transfer.parts import Captioned
    from unseen.training.encoder_tuner import EncoderTuner

    task: Any = SimpleNamespace(name="made up", classes=tuple(f"class {number}" for number in range(classes)))
    captioned, took = Captioned(task, Prompts()), []

    class Clock(Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            self.began = time.process_time()

        def on_train_batch_end(self, *_: Any) -> None:
            took.append(time.process_time() - self.began)

    tuner = EncoderTuner(
        encoder,
        captioned.embeddings_in_training(encoder),
        partial(torch.optim.SGD, lr=1e-2, momentum=0.9),
        embed=encoder.embed_image_features if kept else None,
        provenance=tuned_provenance(encoder, captioned, made_by, name, ""),
    )
    trainer = Trainer(
        accelerator="cpu", devices=1, max_steps=1 + steps, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[Clock()], limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(tuner, _Again(batch, 1 + steps))
    return tuner, trainer, took


class _Again:
    """One batch several times."""

    def __init__(self, batch: tuple[Any, ...], times: int) -> None:
        self._batch, self._times = batch, times

    def __len__(self) -> int:
        return self._times

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter([self._batch] * self._times)


def _digests(encoder: Any) -> Iterator[tuple[str, str]]:
    for name, value in encoder.state_dict().items():
        yield name, hashlib.sha256(value.detach().contiguous().numpy().data).hexdigest()


def _of_lora(encoder: Any, images: Any) -> str:
    """Return whether the weights in use stay as they are in forward passes: the published code moves them."""
    import torch

    from unseen.encoders.low_rank import changed_weights

    def in_use() -> list[Any]:
        return [getattr(module, name).detach().clone() for module, name in changed_weights(encoder)]

    before = in_use()
    with torch.no_grad():
        for _ in range(_PASSES):
            encoder.encode_images(images[:1])
            encoder.encode_texts(["a"])
    same = all(torch.equal(old, new) for old, new in zip(before, in_use(), strict=True))
    return f"{len(before)} weights {'stay' if same else 'MOVE'} in {_PASSES} forward passes"


def _of_reload(encoder: Any, tuner: Any, trainer: Any, images: Any, classes: int) -> str:
    """Return whether the encoder of a checkpoint gives the same logits."""
    import torch

    from unseen.runs.transfer.encoder_checkpoints import encoder_of, read_encoder_checkpoint

    def logits(of: Any) -> Any:
        with torch.no_grad():
            return of.logits(
                of.encode_images(images), of.encode_texts([f"class {n}" for n in range(classes)])
            )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "best.ckpt")
        tuner.accuracies, tuner._epoch = [0.0], 0  # nothing was held out here
        trainer.save_checkpoint(path, weights_only=True)
        megabytes = path.stat().st_size / 1e6
        again = encoder_of(read_encoder_checkpoint(path))
        same = torch.equal(logits(again), logits(encoder))
    return f"{'equal' if same else 'OTHER'} logits from a checkpoint of {megabytes:,.2f} MB"


def _register_tiny() -> None:
    import open_clip

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tiny.json").write_text(json.dumps(_TINY_NETWORK), encoding="utf-8")
        open_clip.add_model_config(folder)
