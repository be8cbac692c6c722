"""The learning-rate schedule is planned for the papers' numbers of steps (arXiv 2405.01524: 4 epochs, ResNet 5)."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from tests.runs.conftest import SPEC
from tests.test_configs import resolved

from unseen.data.batches import Batch, split_into_batches
from unseen.training import SeenClassifier


class Images(LightningDataModule):
    """As many batches an epoch as the papers' training images give; all the same one."""

    def __init__(self, train_images: int, batch_size: int) -> None:
        super().__init__()
        batch = Batch(torch.rand(2, 3, 32, 32), torch.tensor([0, 1]), torch.arange(2))
        self._batches = [batch] * len(split_into_batches(train_images, batch_size))

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(self._batches, batch_size=None)


def planned(images: Images, *, lr: float = 0.5, **settings: Any) -> int:
    """Return after how many steps the learning rate of a trainer's run would reach 0, told by its value after one."""
    seen: list[float] = []

    class Stop(SeenClassifier):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            seen.append(self.lr_schedulers().get_last_lr()[0])  # type: ignore[union-attr]
            if self.trainer.global_step:
                self.trainer.should_stop = True

    epochs = settings.pop("schedule_epochs")
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **settings,
    )  # fmt: skip
    trainer.fit(
        Stop(SPEC.build(2, 32), optimizer=partial(torch.optim.AdamW, lr=lr), schedule_epochs=epochs), images
    )
    return round(1 / (1 - seen[-1] / lr))


@pytest.mark.parametrize(
    ("experiment", "train_images", "model", "steps"),
    [
        ("calligraphy", 9100, "vit", 508),
        ("calligraphy", 9100, "resnet", 635),
        ("cifar100", 10000, "vit", 556),
        ("cifar100", 10000, "resnet", 695),
    ],
)
def test_the_papers_schedules(experiment: str, train_images: int, model: str, steps: int) -> None:
    config = resolved(f"experiment={experiment}", f"model={model}")
    assert config["data"]["train_size"] in (None, train_images)
    assert config["trainer"]["max_steps"] == 500  # the measurement ends before the schedule
    images = Images(train_images, config["data"]["batch_size"])
    epochs = config["model"]["scheduler"]["epochs"]
    assert planned(images, schedule_epochs=epochs, max_steps=500) == steps


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"schedule_epochs": None, "max_steps": 7}, 7),
        ({"schedule_epochs": 1, "max_steps": 7}, 7),  # never 0 before the last step
        ({"schedule_epochs": 4, "max_steps": 7, "accumulate_grad_batches": 2}, 12),  # 5 batches are 3 steps
        ({"schedule_epochs": 2.5, "max_steps": -1, "max_epochs": 2}, 13),
        ({"schedule_epochs": None, "max_steps": 100, "max_epochs": 2}, 10),
    ],
)
def test_other_plans(settings: dict[str, Any], steps: int) -> None:
    assert planned(Images(10, 2), **settings) == steps
