"""What only a CUDA device can show; `make test-gpu` runs these, elsewhere each is skipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from tests.cli.conftest import TINY, run_command

from unseen.biases import high_pass, low_pass
from unseen.biases.band_noise import low_contrast, with_noise
from unseen.data.datamodule import SeenUnseenDataModule
from unseen.data.selection import SelectionRule
from unseen.data.sources.digits import Digits
from unseen.data.transforms import View
from unseen.full_precision import full_precision
from unseen.probes import ProbePool, ProbeSuite, run_probes
from unseen.runs.trainer import make_trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here"),
]


def layers(count: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Layers of overlapping classes, far from the origin, (600, 40) each."""
    random = np.random.default_rng(0)
    labels = np.arange(600) % 6
    means = random.normal(size=(count, 6, 40))
    made = [mean[labels] + 2 * random.normal(size=(600, 40)) + 30 for mean in means]
    return [torch.from_numpy(layer).float() for layer in made], torch.from_numpy(labels)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scores_are_those_of_the_cpu(dtype: torch.dtype) -> None:
    made, labels = layers(3)
    suite = ProbeSuite(n_init=3, k=50)
    with ProbePool("cuda") as pool:
        pending = [pool.submit(layer.to("cuda", dtype), labels, suite) for layer in made]
        found = [scores.result() for scores in pending]
    for layer, on_gpu in zip(made, found, strict=True):
        on_cpu = run_probes(layer.to(dtype), labels, suite)
        for probe in ("nn1", "nnk", "nnk_ceiling", "r_precision"):
            assert on_gpu[probe] == pytest.approx(on_cpu[probe], abs=1e-9)
        assert on_gpu["nmi"] == pytest.approx(on_cpu["nmi"], abs=0.02)  # rounding may end in another optimum
        assert on_gpu["linear_probe"] == pytest.approx(on_cpu["linear_probe"], abs=1.5 / 120)


def test_scores_repeat_bit_for_bit() -> None:
    (layer,), labels = layers(1)
    assert run_probes(layer.cuda(), labels, ProbeSuite()) == run_probes(layer.cuda(), labels, ProbeSuite())


def test_training_is_in_bfloat16_where_the_gpu_has_it() -> None:
    settings = {"_target_": "lightning.pytorch.Trainer", "accelerator": "gpu", "devices": 1, "num_nodes": 1,
                "precision": "auto", "max_steps": 1, "val_check_interval": 1}  # fmt: skip
    has_bfloat16 = torch.cuda.get_device_capability() >= (8, 0)
    assert make_trainer(settings, [], []).precision == ("bf16-mixed" if has_bfloat16 else "16-mixed")


def test_evaluation_is_in_the_precision_that_was_asked_for() -> None:
    """Of random numbers: products in float32 are right to 1e-6, with factors of ten bits to 1e-3."""
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this GPU has no TF32")
    torch.manual_seed(0)
    images, matrix = torch.randn(4, 64, 32, 32), torch.randn(512, 512)
    layer = torch.nn.Conv2d(64, 64, 3)
    with torch.no_grad():
        expected = layer.double()(images.double()), matrix.double() @ matrix.double()
        layer = layer.float().cuda()
        for precision, least, most in ((32, 0.0, 1e-5), ("tf32", 1e-5, 3e-3)):
            with full_precision(torch.device("cuda"), precision):  # type: ignore[arg-type]
                found = layer(images.cuda()), matrix.cuda() @ matrix.cuda()
            for got, wanted in zip(found, expected, strict=True):
                error = (got.cpu() - wanted).norm() / wanted.norm()
                assert least <= error <= most


def digits(decode: str, trainer: Trainer | None) -> SeenUnseenDataModule:
    data = SeenUnseenDataModule(
        Digits(), View(32), mean=(0.5,) * 3, std=(0.5,) * 3, rule=SelectionRule(unseen_per_class=20),
        decode=decode, workers=2,  # type: ignore[arg-type]
    )  # fmt: skip
    data.trainer = trainer
    data.setup()
    return data


@pytest.mark.parametrize("decode", ["ahead", "on_the_fly"])
def test_batches_are_those_of_the_cpu(decode: str) -> None:
    trainer = Trainer(accelerator="gpu", devices=1, logger=False, enable_checkpointing=False)
    near, far = digits(decode, trainer), digits("ahead", None)
    for near_loader, far_loader in (
        (near.train_dataloader(), far.train_dataloader()),
        (near.unseen_dataloader(noise_level=0.5), far.unseen_dataloader(noise_level=0.5)),
    ):
        for got, wanted in zip(near_loader, far_loader, strict=True):
            assert got.images.is_cuda if decode == "ahead" else got.images.is_pinned()
            assert torch.equal(got.images.cpu(), wanted.images)
            on_gpu = trainer.strategy.batch_to_device(got)
            assert on_gpu.images.is_cuda
            found = near.on_after_batch_transfer(on_gpu, 0)
            assert torch.equal(found.indices.cpu(), wanted.indices)
            expected = far.on_after_batch_transfer(wanted, 0).images
            assert torch.allclose(found.images.cpu(), expected, rtol=0, atol=1e-6)
    for split in ("seen", "unseen"):
        assert torch.equal(near.raw_pixels(split)[0], far.raw_pixels(split)[0])


def test_workers_and_a_gpu_score_as_images_decoded_ahead(tmp_path: Path) -> None:
    folders = []
    for decode in ("ahead", "on_the_fly"):
        line = ("model=resnet", "trainer=gpu", f"data.decode={decode}", "data.workers=2", *TINY)
        ran = run_command("train.py", *line, logs=tmp_path / decode)
        assert ran.code == 0, ran.out + ran.err
        folders.append(ran.folder)
    ahead, flying = (json.loads((folder / "summary.json").read_text()) for folder in folders)
    assert flying["g"] == pytest.approx(ahead["g"], abs=0.05)  # some kernels add up in any order
    assert flying["seen_accuracy"] == pytest.approx(ahead["seen_accuracy"], abs=1.5 / 60)


@pytest.mark.parametrize("model", ["resnet", "vit", "swin"])
def test_a_run_on_the_gpu_scores_as_its_checkpoint_on_the_cpu(model: str, tmp_path: Path) -> None:
    trained = run_command("train.py", f"model={model}", "trainer=gpu", *TINY, logs=tmp_path / "gpu")
    assert trained.code == 0, trained.out + trained.err
    last = trained.folder / "checkpoints" / "last.ckpt"
    scored = run_command("eval.py", f"ckpt_path={last}", "trainer=cpu", logs=tmp_path / "cpu")
    assert scored.code == 0, scored.out + scored.err
    gpu, cpu = (json.loads((ran.folder / "summary.json").read_text()) for ran in (trained, scored))
    assert gpu["g"] == pytest.approx(cpu["g"], abs=0.05)
    assert gpu["seen_accuracy"] == pytest.approx(cpu["seen_accuracy"], abs=1.5 / 60)


def test_filters_and_band_noise_are_those_of_the_cpu() -> None:
    images, indices = torch.rand(5, 3, 96, 80, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    for kind in (low_pass, high_pass):
        torch.testing.assert_close(kind(images.cuda(), 0.3).cpu(), kind(images, 0.3), rtol=0, atol=1e-5)
    grey = low_contrast(images)
    torch.testing.assert_close(low_contrast(images.cuda()).cpu(), grey, rtol=0, atol=1e-6)
    for band, deviation in ((0, 0.16), (2, 0.04), (4, 0.3)):
        found = with_noise(grey.cuda(), indices, band, deviation).cpu()
        torch.testing.assert_close(found, with_noise(grey, indices, band, deviation), rtol=0, atol=1e-5)
