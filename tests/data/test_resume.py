"""A real, tiny Lightning run, stopped at every kind of checkpoint and resumed: the same images in the same order."""

import hashlib

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from tests.data.conftest import datamodule

from unseen.data.sources.digits import Digits

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*logging interval"),
    pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`"),
]
STEPS_AN_EPOCH = 5


class Tiny(LightningModule):
    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 7)
        self.log_of_batches = []

    def training_step(self, batch, batch_idx):
        digest = hashlib.sha256(batch.images.numpy().tobytes()).hexdigest()[:16]
        self.log_of_batches.append(
            (self.trainer.current_epoch, batch_idx, tuple(batch.indices.tolist()), digest)
        )
        return torch.nn.functional.cross_entropy(self.head(batch.images.mean((2, 3))), batch.labels)

    def validation_step(self, batch, batch_idx):
        self.head(batch.images.mean((2, 3)))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveEverywhere(Callback):
    """A checkpoint at the end of each step, each validation and each epoch, while the hook runs."""

    def __init__(self, folder):
        self.folder = folder
        self.saved = []

    def _save(self, trainer, when):
        path = self.folder / f"{trainer.global_step:02d}-{when}.ckpt"
        trainer.save_checkpoint(path)
        self.saved.append((trainer.global_step, path))

    def on_train_batch_end(self, trainer, *args):
        self._save(trainer, "step")

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self._save(trainer, "validation")

    def on_train_epoch_end(self, trainer, pl_module):
        self._save(trainer, "epoch")


def digits(**settings):
    return datamodule(
        Digits(), image_size=8, train_size=36, test_size=14,
        **({"batch_size": 8, "rotation": 10, "eval_deterministic": False, "seed": 3} | settings),
    )  # fmt: skip


def fit(callbacks=(), checkpoint=None, max_epochs=3, data=None, **settings):
    torch.manual_seed(0)
    model = Tiny()
    keeps_files = any(isinstance(callback, ModelCheckpoint) for callback in callbacks)
    trainer = Trainer(
        accelerator="cpu", max_epochs=max_epochs, logger=False, enable_progress_bar=False, num_sanity_val_steps=1,
        enable_model_summary=False, enable_checkpointing=keeps_files, callbacks=list(callbacks) or None,
        **({"val_check_interval": 2} | settings),
    )  # fmt: skip
    trainer.fit(model, data or digits(), ckpt_path=checkpoint)
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of 3 epochs, with checkpoints everywhere."""
    save = SaveEverywhere(tmp_path_factory.mktemp("checkpoints"))
    return fit([save]), save.saved


def test_the_uninterrupted_run_is_what_the_samplers_say(whole):
    model, _ = whole
    log = model.log_of_batches
    assert [(epoch, step) for epoch, step, *_ in log] == [
        (e, s) for e in range(3) for s in range(STEPS_AN_EPOCH)
    ]
    assert [len(indices) for _, _, indices, _ in log] == [8, 8, 8, 8, 4] * 3
    for epoch in range(3):
        assert sorted(i for e, _, indices, _ in log if e == epoch for i in indices) == list(range(36))
    assert len({digest for *_, digest in log}) == 15


def test_resuming_from_every_checkpoint_gives_the_same_images_and_weights(whole):
    model, saved = whole
    kinds = {path.stem[3:] for _, path in saved}
    assert kinds == {"step", "validation", "epoch"}
    assert len(saved) == 15 + 2 * 3 + 3
    for step, path in saved:
        resumed = fit(checkpoint=path)
        assert [entry[2:] for entry in resumed.log_of_batches] == [
            entry[2:] for entry in model.log_of_batches[step:]
        ], path
        assert torch.equal(resumed.head.weight, model.head.weight), path


@pytest.mark.parametrize("workers", [0, 2])
def test_images_decoded_on_the_fly_resume_alike(whole, workers):
    model, saved = whole
    for step, path in saved[::7]:
        resumed = fit(checkpoint=path, data=digits(decode="on_the_fly", workers=workers))
        assert [entry[2:] for entry in resumed.log_of_batches] == [
            entry[2:] for entry in model.log_of_batches[step:]
        ], path
        assert torch.equal(resumed.head.weight, model.head.weight), path


def test_lightnings_own_checkpoints_resume_too(tmp_path):
    model = fit([ModelCheckpoint(tmp_path, every_n_train_steps=3, save_top_k=-1, filename="{step}")])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"step={step}.ckpt" for step in (12, 15, 3, 6, 9)
    ]
    for step in (3, 9, 12):
        resumed = fit(checkpoint=tmp_path / f"step={step}.ckpt")
        assert [entry[2:] for entry in resumed.log_of_batches] == [
            entry[2:] for entry in model.log_of_batches[step:]
        ]


def test_epochs_cut_short_by_the_trainer_resume(tmp_path):
    save = SaveEverywhere(tmp_path)
    model = fit([save], limit_train_batches=3)
    assert len(model.log_of_batches) == 9
    orders = [entry[2] for entry in model.log_of_batches]
    assert (
        orders[3] == fit(max_epochs=2).log_of_batches[STEPS_AN_EPOCH][2]
    )  # epoch 1 begins with its own order
    for step, path in save.saved[::4]:
        resumed = fit(checkpoint=path, limit_train_batches=3)
        assert [entry[2:] for entry in resumed.log_of_batches] == [
            entry[2:] for entry in model.log_of_batches[step:]
        ]


def test_evaluations_do_not_shift_the_order(whole):
    model, _ = whole
    assert fit(limit_val_batches=0).log_of_batches == model.log_of_batches


def test_another_batch_size_cannot_resume(whole):
    _, saved = whole
    with pytest.raises(ValueError, match="written with batch_size=8, and this run has batch_size=6"):
        fit(checkpoint=saved[0][1], data=digits(batch_size=6))


def test_other_images_cannot_resume(whole):
    _, saved = whole
    with pytest.raises(ValueError, match="written with images="):
        fit(checkpoint=saved[0][1], data=digits(split_seed=1))


def test_global_generators_do_not_matter(whole):
    model, _ = whole
    data = digits()
    torch.manual_seed(99)
    data.setup()
    torch.rand(7)
    assert fit(data=data).log_of_batches == model.log_of_batches
