"""Evaluation on a device that is not the CPU: in float32 whatever the training's precision, and kept on the CPU."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.fake_cuda import fake_device, moved
from torch import nn

from unseen.backbones.protocol import Backbone, Tap
from unseen.backbones.taps import record_taps
from unseen.callbacks.layer_probe import LayerProbe
from unseen.callbacks.layer_scores import EmbeddingBank
from unseen.distributed import ProcessGroup
from unseen.full_precision import EvalPrecision
from unseen.probes import ProbeSuite
from unseen.training import SeenClassifier
from unseen.training.module import LabelledImages

HALF = (0.5, 0.5, 0.5)
DTYPES = [torch.float16, torch.bfloat16]


def classifier(eval_precision: EvalPrecision = 32) -> SeenClassifier:
    """A network of two layers on `meta`."""
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 5))
    taps = tuple(Tap(layer, str(layer), float(layer), "nchw") for layer in (0, 1))
    backbone = Backbone(network, taps, num_classes=5, image_size=16, mean=HALF, std=HALF)
    return SeenClassifier(backbone, score_accuracy=False, eval_precision=eval_precision)


def batch(device: str) -> LabelledImages:
    numbers = torch.zeros(6, dtype=torch.long, device=device)
    return LabelledImages(torch.zeros(6, 3, 16, 16, device=device), numbers, numbers)


def dtypes_of(module: SeenClassifier) -> list[torch.dtype]:
    """The types in which the network's own modules will have computed, filled as they run."""
    seen: list[torch.dtype] = []
    for layer in module.backbone.network:
        layer.register_forward_hook(lambda _module, _inputs, output: seen.append(output.dtype))
    return seen


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_seen_images_are_evaluated_in_float32(dtype: torch.dtype) -> None:
    module = classifier().eval()
    with fake_device():
        module = moved(module, "cuda")
        module._device = torch.device("cuda", 0)  # as Lightning's own `to` notes it
        used = dtypes_of(module)
        with torch.no_grad(), torch.autocast("cuda", dtype):
            module(batch("cuda").images)
            assert dtype in used  # or the test would not see a difference
            used.clear()
            module.validation_step(batch("cuda"), 0)
        assert set(used) == {torch.float32}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_unseen_images_are_embedded_in_float32_and_kept_on_the_cpu(dtype: torch.dtype) -> None:
    module = classifier().eval()
    with fake_device():
        module = moved(module, "cuda")
        used = dtypes_of(module)
        strategy = SimpleNamespace(
            root_device=torch.device("cuda"),
            batch_to_device=lambda held, device: LabelledImages(*(part.to(device) for part in held)),
        )
        datamodule = SimpleNamespace(num_images=lambda split: 12)
        trainer: Any = SimpleNamespace(strategy=strategy, datamodule=datamodule)
        probe = LayerProbe(ProbeSuite(k=2), run_folder=SimpleNamespace())  # type: ignore[arg-type]
        probe._group = ProcessGroup()
        with record_taps(module.backbone, "auto") as probe._recorder, torch.autocast("cuda", dtype):
            bank = probe._embed(trainer, module, [batch("cpu"), batch("cpu")], "embedding")
        assert set(used) == {torch.float32}
        kept = [bank.pop(0), bank.pop(1), bank.labels, bank.indices]
        assert {each.device.type for each in kept} == {"cpu"}
        assert [each.shape for each in kept] == [(12, 4), (12, 4), (12,), (12,)]


@pytest.mark.parametrize(("precision", "products"), [(32, "ieee"), ("tf32", "tf32")])
def test_both_splits_are_evaluated_in_the_precision_of_the_module(
    precision: EvalPrecision, products: str
) -> None:
    module, used = classifier(precision).eval(), []
    module.backbone.network[0].register_forward_hook(
        lambda *_: used.append(
            (torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision)
        )
    )
    with fake_device():
        module = moved(module, "cuda")
        module._device = torch.device("cuda", 0)
        strategy = SimpleNamespace(root_device=torch.device("cuda"), batch_to_device=lambda held, _: held)
        datamodule = SimpleNamespace(num_images=lambda split: 12)
        trainer: Any = SimpleNamespace(strategy=strategy, datamodule=datamodule)
        probe = LayerProbe(ProbeSuite(k=2), run_folder=SimpleNamespace())  # type: ignore[arg-type]
        probe._group = ProcessGroup()
        with record_taps(module.backbone, "auto") as probe._recorder:
            with torch.no_grad():
                module.validation_step(batch("cuda"), 0)
            probe._recorder.take()
            probe._embed(trainer, module, [batch("cuda")], "embedding")
    assert used == [(products, products)] * 2


def test_a_bank_takes_tensors_of_any_device() -> None:
    with fake_device():
        bank = EmbeddingBank(1)
        labels = torch.zeros(3, dtype=torch.long, device="cuda")
        bank.add([torch.zeros(3, 8, dtype=torch.float16, device="cuda")], labels, labels)
        assert (bank.labels.device.type, bank.indices.device.type) == ("cpu", "cpu")
        embeddings = bank.pop(0)
        assert (embeddings.device.type, embeddings.dtype) == ("cpu", torch.float32)
