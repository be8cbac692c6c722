"""An encoder is fine-tuned on captions; the weights of the best epoch are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unseen.encoders.added_layers import AdaptedEncoder, ProbedEncoder
from unseen.encoders.encoder import Encoder
from unseen.encoders.forgetting import L2ToInit
from unseen.encoders.image_features import ImageFeatures, trains_image_tower
from unseen.encoders.tuning import adapter, probe
from unseen.encoders.zero_shot import (
    class_embeddings,
    image_embeddings,
    kept_text_features,
    right_decisions,
)
from unseen.training.encoder_tuner import EncoderTuner

Examples = list[tuple[Tensor, Tensor]]
CAPTIONS = (("a red",), ("a green",), ("a blue",))


class Toy(Encoder):
    """Mean colour times a matrix; captions are rows of a table."""

    name, image_size, mean, std = "toy", 4, (0.0,) * 3, (1.0,) * 3

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.image = nn.Parameter(torch.randn(3, 5, generator=generator))
        self.text = nn.Parameter(torch.randn(6, 5, generator=generator))
        self.asked: list[Sequence[str]] = []

    def encode_images(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3)) @ self.image

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.asked.append(list(texts))
        return self.text[: len(texts)]

    @property
    def scale(self) -> Tensor:
        return torch.tensor(10.0)

    @property
    def blocks(self) -> tuple[Sequence[nn.Module], Sequence[nn.Module]]:
        return (), ()


class Normed(Toy):
    """With a batch norm and dropout in the image tower."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))

    def encode_images(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.tower(images.mean(dim=(2, 3))) @ self.image
        return embeddings


def colours(count: int, seed: int) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    images = 0.3 * torch.rand(count, 3, 4, 4, generator=generator)
    images[torch.arange(count), labels] += 0.5
    return list(zip(images.split(8), labels.split(8), strict=True))


def tuner_of(
    encoder: Encoder, lr: float = 0.5, momentum: float = 0, *, keep_texts: bool = True, **settings: Any
) -> EncoderTuner:
    optimizer = partial(torch.optim.SGD, lr=lr, momentum=momentum)
    features = kept_text_features(encoder, CAPTIONS) if keep_texts else None
    texts = partial(class_embeddings, encoder, CAPTIONS, features)
    return EncoderTuner(encoder, texts, optimizer, **settings)


def trainer_of(epochs: int, **settings: Any) -> Trainer:
    return Trainer(
        accelerator="cpu", devices=1, max_epochs=epochs, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **settings,
    )  # fmt: skip


def loader(encoder: Encoder, examples: Examples, *, kept: bool) -> DataLoader[Any]:
    """Give batches of images, or of features of the image tower that are computed before."""
    if kept:
        features = ImageFeatures.of(encoder.eval(), examples)
        examples = list(features.batches(8, torch.device("cpu")))
    return DataLoader([(*batch, torch.arange(len(batch[1]))) for batch in examples], batch_size=None)


def tuned(
    encoder: Encoder, epochs: int = 5, *, steps: int = -1, kept: bool = False, **settings: Any
) -> EncoderTuner:
    """Train; `kept`: on features of the image tower."""
    loaders = [loader(encoder, examples, kept=kept) for examples in (colours(64, 0), colours(16, 9))]
    tuner = tuner_of(encoder, embed=encoder.embed_image_features if kept else None, **settings)
    trainer_of(epochs, max_steps=steps).fit(tuner, *loaders)
    return tuner


def accuracy(encoder: Toy) -> float:
    texts = class_embeddings(encoder, CAPTIONS)
    return float(right_decisions(encoder, ImageFeatures.of(encoder, colours(64, 5)), texts).float().mean())


def test_training_finds_the_colours() -> None:
    encoder = Toy()
    before = accuracy(encoder)
    tuner = tuned(encoder)
    assert accuracy(encoder) > before
    assert accuracy(encoder) == 1.0
    assert len(tuner.accuracies) == 5


def test_the_first_best_epoch_is_kept() -> None:
    tuner = tuned(Toy())
    assert tuner.best is not None
    best, epoch, weights = tuner.best
    assert best == max(tuner.accuracies)
    assert epoch == tuner.accuracies.index(best)
    assert set(weights) == {"image", "text"}


def test_only_what_requires_gradients_changes() -> None:
    encoder = Toy()
    encoder.text.requires_grad_(False)
    before = encoder.text.clone(), encoder.image.clone()
    tuner = tuned(encoder, epochs=1)
    assert torch.equal(encoder.text, before[0])
    assert not torch.equal(encoder.image, before[1])
    assert tuner.best is not None
    assert set(tuner.best[2]) == {"image"}


def test_what_is_frozen_stays_in_eval_mode() -> None:
    encoder = Normed()
    encoder.requires_grad_(False)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    probed = ProbedEncoder(encoder, classes=3)
    seen: list[bool] = []
    encoder.tower.register_forward_hook(
        lambda tower, *_: seen.append(any(m.training for m in tower.modules()))
    )
    tuned(probed, epochs=2)
    assert set(seen) == {False}
    after = encoder.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_running_statistics_of_the_best_epoch_come_back_with_its_weights() -> None:
    encoder = Normed()
    seen: list[bool] = []
    encoder.tower.register_forward_hook(lambda tower, *_: seen.append(tower.training))
    tuner = tuned(encoder, epochs=3, lr=1e-9)
    assert set(seen) == {True, False}
    assert tuner.best is not None
    assert tuner.best[1] == 0
    assert encoder.tower[0].num_batches_tracked == 3 * 8
    tuner.load_best()
    assert encoder.tower[0].num_batches_tracked == 8
    assert torch.equal(encoder.tower[0].running_mean, tuner.best[2]["tower.0.running_mean"])
    assert torch.equal(encoder.image, tuner.best[2]["image"])


def test_the_penalty_is_added_to_the_loss() -> None:
    # the penalty's gradient is 0 in the first step, and then lr · weight · (w - start) beside the loss's
    one, free = (tuned(Toy(), epochs=1, steps=steps).encoder.image for steps in (1, 2))
    encoder = Toy()
    start, penalty = encoder.image.detach().clone(), L2ToInit(encoder)
    held = tuned(encoder, epochs=1, steps=2, penalty=lambda: 0.3 * penalty()).encoder.image
    torch.testing.assert_close(free - held, 0.5 * 0.3 * (one - start))


def test_replayed_images_are_told_among_the_classes_of_their_own_task() -> None:
    encoder = Toy()
    images, labels = colours(8, 0)[0]
    others, theirs = (of_all[:2] for of_all in colours(8, 1)[0])
    texts = encoder.text[3:6]
    asked = []

    def replayed(step: int, size: int) -> list[tuple[Tensor, Tensor, Tensor]]:
        asked.append((step, size))
        return [(others, theirs, texts)]

    with_them = tuner_of(encoder, replayed=replayed)
    with_them.trainer = trainer_of(1)
    loss = with_them.training_step((images, labels, labels), 0)
    own = nn.functional.cross_entropy(encoder.logits(encoder.encode_images(images), encoder.text[:3]), labels)
    of_others = nn.functional.cross_entropy(encoder.logits(encoder.encode_images(others), texts), theirs)
    torch.testing.assert_close(loss, (8 * own + 2 * of_others) / 10)
    assert asked == [(0, 8)]


def test_training_goes_on_where_it_was_saved(tmp_path: Path) -> None:
    """With dropout, momentum, batch norms and frozen captions; no epoch is better than the first."""

    def made(**settings: Any) -> tuple[Normed, EncoderTuner, list[Any], Trainer]:
        encoder = Normed()
        encoder.text.requires_grad_(False)
        tuner = tuner_of(encoder, lr=1e-4, momentum=0.9, seed=3)
        loaders = [loader(encoder, examples, kept=False) for examples in (colours(64, 0), colours(16, 9))]
        return encoder, tuner, loaders, trainer_of(4, **settings)

    class Stopped(Exception):  # noqa: N818
        pass

    class Saver(Callback):
        def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trainer.save_checkpoint(tmp_path / "last.ckpt")
            if trainer.current_epoch == 1:
                raise Stopped

    whole, of_whole, loaders, trainer = made()
    trainer.fit(of_whole, *loaders)
    _, stopped, loaders, trainer = made(callbacks=[Saver()])
    with pytest.raises(Stopped):
        trainer.fit(stopped, *loaders)
    resumed, of_resumed, loaders, trainer = made()
    trainer.fit(of_resumed, *loaders, ckpt_path=tmp_path / "last.ckpt")
    assert of_resumed.accuracies == of_whole.accuracies
    assert of_whole.best is not None
    assert of_resumed.best is not None
    assert of_resumed.best[:2] == of_whole.best[:2] == (of_whole.accuracies[0], 0)
    assert "text" not in of_whole.best.weights
    for name, value in of_whole.best.weights.items():
        assert torch.equal(of_resumed.best.weights[name], value), name
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    other = tuner_of(Normed())
    with pytest.raises(
        ValueError, match=r"the checkpoint holds other weights than are trained here: encoder\.text"
    ):
        trainer_of(4).fit(other, *loaders, ckpt_path=tmp_path / "last.ckpt")


def test_captions_that_nothing_trained_makes_are_embedded_once() -> None:
    encoder = Toy()
    tuned(encoder, epochs=1)
    assert len(encoder.asked) == 1 + 8 + 1  # whether they are fixed; steps, and the held-out images
    encoder.text.requires_grad_(False)
    encoder.asked.clear()
    tuned(encoder, epochs=3)
    assert len(encoder.asked) == 1
    adapted = adapter(Toy(), reduction=5)
    before = {name: value.clone() for name, value in adapted.state_dict().items()}
    adapted.encoder.asked.clear()
    tuned(adapted, epochs=3)
    assert len(adapted.encoder.asked) == 1
    after = adapted.state_dict()
    assert any(
        not torch.equal(after[name], before[name]) for name in after if name.startswith("text_adapter")
    )


class Deep(Toy):
    """With a batch norm and dropout in a tower that is a network, and captions through a matrix."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.tower = nn.Sequential(nn.Linear(48, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 5))
        self.words = nn.Linear(5, 5)
        self.passes = 0

    def encode_images(self, images: Tensor) -> Tensor:
        self.passes += 1
        embeddings: Tensor = self.tower(images.flatten(1))
        return embeddings

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        embeddings: Tensor = self.words(super().encode_texts(texts))
        return embeddings


def text_tower(encoder: Encoder) -> Encoder:
    encoder.requires_grad_(False)
    encoder.words.requires_grad_(True)
    return encoder


@pytest.mark.parametrize("technique", [text_tower, partial(adapter, reduction=5), partial(probe, classes=3)])
def test_a_frozen_tower_runs_once_and_training_is_the_same(
    technique: Callable[[Encoder], Encoder],
) -> None:
    def trained(*, kept: bool) -> tuple[Encoder, EncoderTuner, int]:
        inner = Deep()
        torch.manual_seed(3)
        encoder = technique(inner).eval()
        assert not trains_image_tower(encoder, colours(1, 0)[0][0])
        inner.passes = 0
        tuner = tuned(encoder, 3, kept=kept, keep_texts=kept)
        return encoder, tuner, inner.passes

    (kept, of_kept, once), (anew, of_anew, often) = trained(kept=True), trained(kept=False)
    assert (once, often) == (8 + 2, 3 * (8 + 2))  # batches of images to train on, and of held-out ones
    assert of_kept.accuracies == of_anew.accuracies
    start = technique(Deep()).state_dict()
    changed = [name for name, one in kept.named_parameters() if one.requires_grad]
    assert any(not torch.equal(kept.state_dict()[name], start[name]) for name in changed)
    for name, value in anew.state_dict().items():
        torch.testing.assert_close(kept.state_dict()[name], value, atol=1e-6, rtol=0)


def test_a_tower_of_which_something_is_trained_is_not_frozen() -> None:
    encoder, (images, _) = Deep().eval(), colours(8, 0)[0]
    assert trains_image_tower(encoder, images)
    encoder.requires_grad_(False)
    assert not trains_image_tower(encoder, images)
    encoder.tower[1].bias.requires_grad_(True)
    assert trains_image_tower(encoder, images)


def test_a_loss_that_is_no_number_stops_training() -> None:
    encoder = Toy()
    with torch.no_grad():
        encoder.image.fill_(torch.nan)
    with pytest.raises(FloatingPointError, match="training loss is nan at step 0"):
        tuned(encoder, epochs=1)


def test_several_captions_are_the_mean_of_unit_vectors() -> None:
    encoder = Toy()
    with torch.no_grad():
        encoder.text[:2] = torch.tensor([[2.0, 0, 0, 0, 0], [0, 5.0, 0, 0, 0]])
    both = class_embeddings(encoder, (("a", "b"), ("c", "d")))
    assert encoder.asked[-1] == ["a", "b", "c", "d"]
    torch.testing.assert_close(both[0], torch.tensor([0.5, 0.5, 0, 0, 0]))


def test_embeddings_of_all_batches_in_order() -> None:
    encoder, batches = AdaptedEncoder(Toy(), reduction=5, ratio=0.5), colours(20, 3)
    features = ImageFeatures.of(encoder, batches)
    rows = image_embeddings(encoder, features, torch.device("cpu"))
    assert rows.shape == (20, 5)
    assert features.labels.tolist() == torch.cat([of for _, of in batches]).tolist()
    torch.testing.assert_close(rows[8:16], encoder.encode_images(batches[1][0]).detach())


@pytest.mark.parametrize("lengths", [(1.0, 100.0)])
def test_decisions_do_not_depend_on_lengths(lengths: tuple[float, float]) -> None:
    encoder = Toy()
    texts = class_embeddings(encoder, CAPTIONS)
    features = ImageFeatures.of(encoder, colours(32, 2))
    first, second = (right_decisions(encoder, features, texts * length) for length in lengths)
    assert torch.equal(first, second)
