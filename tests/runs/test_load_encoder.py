"""A fine-tuned encoder comes back from its checkpoint, whatever was trained."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from tests.encoders.test_tuning import IMAGES, TINY, Clip
from torch.utils.data import DataLoader

import unseen
from unseen.encoders import tuning
from unseen.encoders.encoder import Encoder
from unseen.encoders.prompts import Prompts
from unseen.encoders.zero_shot import class_embeddings
from unseen.fine_tuned import trained_encoder
from unseen.runs.checkpoints import read_checkpoint
from unseen.runs.transfer.encoder_checkpoints import encoder_of, read_encoder_checkpoint, tuned_provenance
from unseen.runs.transfer.parts import Captioned
from unseen.training.encoder_tuner import EncoderTuner

open_clip = pytest.importorskip("open_clip")
CAPTIONS = (("cat",), ("owl",), ("a fox",))
OURS = f"{__name__}.TinyClip"
TECHNIQUES: dict[str, dict[str, Any]] = {
    "full": {}, "bitfit": {"n_blocks": 1}, "attention": {}, "lora": {"rank": 2, "mlp": True},
    "adapter": {"reduction": 4}, "probe": {},
}  # fmt: skip


class TinyClip(Clip):
    """CLIP with random weights, others for another `shift`."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__(open_clip.CLIP(**TINY))
        with torch.no_grad():
            for value in self.network.parameters():
                value.add_(shift)


def trained(technique: str, folder: Path, **settings: Any) -> tuple[Encoder, Path]:
    """Train a tiny encoder for an epoch; return it with its checkpoint."""
    torch.manual_seed(5)
    encoder: Encoder = TinyClip()
    classes = {"classes": 3} if technique == "probe" else {}
    encoder = getattr(tuning, technique)(encoder, **settings, **classes)
    plain = {
        "encoder": {"_target_": OURS, "shift": 0.0},
        "technique": {"_target_": f"unseen.encoders.tuning.{technique}", "_partial_": True} | settings,
        "seed": 5,
    }
    pets: Any = SimpleNamespace(name="pets", classes=("cat", "owl", "fox"))
    task = Captioned(pets, Prompts(["{c}"], ["cat", "owl", "a fox"]))
    tuner = EncoderTuner(
        encoder,
        partial(class_embeddings, encoder, CAPTIONS),
        partial(torch.optim.SGD, lr=0.1),
        provenance=tuned_provenance(encoder, task, plain, technique, "0123"),
    )
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    labels = torch.tensor([0, 1, 2, 1])
    batches = DataLoader([(IMAGES, labels, labels)], batch_size=None)
    trainer.fit(tuner, batches, batches)
    path = folder / f"{technique}.ckpt"
    trainer.save_checkpoint(path, weights_only=True)
    return encoder.eval(), path


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_logits_are_equal(technique: str, tmp_path: Path) -> None:
    encoder, path = trained(technique, tmp_path, **TECHNIQUES[technique])
    found = unseen.load_encoder(path, trust=[OURS])
    with torch.no_grad():
        texts = class_embeddings(encoder, CAPTIONS)
        logits = encoder.logits(encoder.encode_images(IMAGES), texts)
    assert torch.equal(found.logits(IMAGES), logits)
    assert not found.encoder.training
    assert (found.task, found.technique, found.classes) == ("pets", technique, ("cat", "owl", "fox"))
    assert (found.epoch, found.captions) == (1, CAPTIONS)
    stored = torch.load(path, weights_only=True)["state_dict"]
    assert (
        sum(value.numel() for name, value in stored.items())
        < sum(value.numel() for value in encoder.state_dict().values())
        or technique == "full"
    )


@pytest.mark.parametrize("technique", ["lora", "adapter", "probe"])
def test_a_trained_encoder_is_one_to_start_from(technique: str, tmp_path: Path) -> None:
    encoder, path = trained(technique, tmp_path)
    if technique == "probe":
        with pytest.raises(ValueError, match="holds a linear probe, which knows the classes of pets alone"):
            trained_encoder(str(path), [OURS])
        return
    start = trained_encoder(str(path), [OURS])
    assert start.name == f"tiny, fine-tuned on pets ({technique})"
    assert not any("parametrizations" in name for name in start.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(start.encode_images(IMAGES), encoder.encode_images(IMAGES))


def test_a_file_may_not_choose_code(tmp_path: Path) -> None:
    _, path = trained("probe", tmp_path)
    with pytest.raises(ValueError, match=r"names the class tests\S+TinyClip, and a file may not choose code"):
        unseen.load_encoder(path)
    read = read_encoder_checkpoint(path)
    read.content["unseen"]["technique"]["more"] = {"_target_": "os.system"}
    with pytest.raises(ValueError, match="says how to make its technique in a way that a file may not"):
        encoder_of(read, [OURS])


def test_other_frozen_weights_are_refused(tmp_path: Path) -> None:
    _, path = trained("bitfit", tmp_path)
    read = read_encoder_checkpoint(path)
    read.content["unseen"]["encoder"]["shift"] = 1e-3
    with pytest.raises(ValueError, match="was trained with other frozen weights than tiny has here"):
        encoder_of(read, [OURS])


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    _, path = trained("lora", tmp_path)
    read = read_encoder_checkpoint(path)
    read.content["unseen"]["technique"]["rank"] = 3
    with pytest.raises(ValueError, match="does not fit the encoder that it names in the shape of"):
        encoder_of(read, [OURS])
    del read.content["unseen"]["technique"]["rank"]
    read.content["unseen"]["technique"]["mlp"] = True
    with pytest.raises(ValueError, match="does not fit the encoder that it names in "):
        encoder_of(read, [OURS])


def test_other_files_are_refused(tmp_path: Path) -> None:
    _, path = trained("probe", tmp_path)
    with pytest.raises(ValueError, match=r"unseen\.load_encoder\(path\) gives it"):
        read_checkpoint(path, resume=False)
    torch.save({"unseen": {"schema": 1}}, tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match=r"holds no encoder that transfer\.py has fine-tuned"):
        unseen.load_encoder(tmp_path / "other.ckpt")
    with pytest.raises(ValueError, match="its optimizer_states is missing"):
        read_encoder_checkpoint(path, resume=True)
