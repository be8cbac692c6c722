"""Colours that agree with the class in training alone: by hand, and where and in which order they are applied."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from tests.data.conftest import Writer, datamodule
from torchvision.transforms import v2

from unseen.data.cue import ColourCue, inked, palette
from unseen.data.datamodule import SeenUnseenDataModule
from unseen.data.sources.digits import Digits
from unseen.data.sources.image_folder import ImageFolder

CLASSES = tuple("abcdefgh")
NAMES = [f"{name}/{number:03d}.png" for name in CLASSES for number in range(250)]
LABELS = [label for label in range(8) for _ in range(250)]


def colours(agreement: float, seed: int = 0) -> np.ndarray:
    return ColourCue(agreement, seed).of_training(NAMES, LABELS, CLASSES).numpy()


# ------------------------------------------------------------------ colours
def test_the_inks_by_hand() -> None:
    """cos 0 = 1, cos 120 = -.5: 2/3, 1/6, 1/6 of 255; at 90 degrees 1/3, (1 + sin 120) / 3, (1 - sin 120) / 3."""
    assert palette(3).tolist() == [[170, 42, 42], [42, 170, 42], [42, 42, 170]]
    assert palette(4)[1].tolist() == [85, 159, 11]
    assert palette(1).tolist() == [[170, 42, 42]]
    for number in (2, 5, 20, 100):
        inks = palette(number)
        assert len(set(map(tuple, inks.tolist()))) == number
        assert (inks.float().mean(1) - 85).abs().max() < 1  # equally dark


def test_ink_stands_for_black_by_hand() -> None:
    """127 under an ink of 42: 255 - 128 * 213 / 255 = 148.08; under 170: 255 - 128 * 85 / 255 = 212.33."""
    image = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(1, 3, 1, 3)
    found = inked(image, torch.tensor([[170, 42, 0]], dtype=torch.uint8))
    assert found.dtype == torch.uint8
    assert found[0, :, 0].tolist() == [[170, 212, 255], [42, 148, 255], [0, 127, 255]]
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(256, 3, 16, 16)
    inks = torch.arange(256, dtype=torch.uint8)[:, None].expand(256, 3)
    exact = 255 - (255 - every.double()) * (255 - inks.double().view(256, 3, 1, 1)) / 255
    assert (inked(every, inks).double() - exact).abs().max() <= 0.5


def test_full_agreement_is_a_colour_a_class_and_none_is_chance() -> None:
    full = colours(1).reshape(8, 250)
    assert (full == full[:, :1]).all()
    assert sorted(full[:, 0]) == list(range(8))
    none = colours(0).reshape(8, 250)
    table = np.stack([np.bincount(row, minlength=8) for row in none])
    assert chisquare(table.ravel()).pvalue > 0.01  # independent, and each colour as often as the others


def test_an_agreement_is_a_share_and_the_others_have_any_colour() -> None:
    own = colours(1)
    for agreement in (0.5, 0.9):
        expected = agreement + (1 - agreement) / 8
        share = (colours(agreement) == own).mean()
        assert abs(share - expected) < 4 * (expected * (1 - expected) / 2000) ** 0.5


def test_a_higher_agreement_changes_no_colour_but_to_that_of_the_class() -> None:
    own, levels = colours(1), [colours(agreement) for agreement in (0, 0.3, 0.5, 0.9, 1)]
    for lower, higher in itertools.pairwise(levels):
        changed = lower != higher
        assert changed.any()
        assert (higher[changed] == own[changed]).all()


def test_a_colour_follows_from_seed_and_name_alone() -> None:
    cue, order = ColourCue(0.5, 3), np.random.default_rng(0).permutation(len(NAMES))[:500]
    some = cue.of_training([NAMES[at] for at in order], [LABELS[at] for at in order], CLASSES)
    assert np.array_equal(some.numpy(), colours(0.5, 3)[order])
    evaluated = cue.of_evaluation(NAMES, 5)
    assert torch.equal(cue.of_evaluation([NAMES[at] for at in order], 5), evaluated[order])
    assert torch.equal(evaluated, ColourCue(1, 3).of_evaluation(NAMES, 5))  # whatever the agreement
    assert not torch.equal(evaluated, ColourCue(0.5, 4).of_evaluation(NAMES, 5))
    firsts = {int(ColourCue(1, seed).of_training(NAMES[:1], [0], CLASSES)) for seed in range(100)}
    assert firsts == set(range(8))  # which colour a class has is drawn
    table = np.stack([np.bincount(row, minlength=5) for row in evaluated.numpy().reshape(8, 250)])
    assert chisquare(table.ravel()).pvalue > 0.01


@pytest.mark.parametrize("agreement", [-0.1, 1.1, float("nan")])
def test_what_is_no_share_is_refused(agreement: float) -> None:
    with pytest.raises(
        ValueError, match=r"cue_agreement=\S+ must lie between 0 and 1, or be null for no cue"
    ):
        ColourCue(agreement)


# ------------------------------------------------------------------ images
def ready(**settings: object) -> SeenUnseenDataModule:
    sizes = {"train_size": 70, "test_size": 28, "unseen_per_class": 8}
    made = datamodule(Digits(), image_size=16, **sizes | settings)
    made.setup()
    return made


def shown(data: SeenUnseenDataModule, loader: str) -> torch.Tensor:
    """All images in the order of their indices, uint8."""
    batches = [data.on_after_batch_transfer(batch, 0) for batch in getattr(data, f"{loader}_dataloader")()]
    images, indices = (
        torch.cat(parts) for parts in ([b.images for b in batches], [b.indices for b in batches])
    )
    return ((images[indices.argsort()] / 2 + 0.5) * 255).round().to(torch.uint8)


@pytest.mark.parametrize("more", [{}, {"rotation": 10.0, "eval_deterministic": False}])
def test_each_image_is_in_its_ink_and_nothing_else_changes(more: dict[str, object]) -> None:
    plain, cued = ready(**more), ready(cue=ColourCue(0.5, 0), **more)
    for loader, kind, number in (("train", "train", 7), ("val", "seen", 7), ("unseen", "unseen", 3)):
        found = cued.colours(kind)
        assert plain.colours(kind) is None
        assert len(found.unique()) == number
        assert torch.equal(shown(cued, loader), inked(shown(plain, loader), palette(number)[found]))
    tests = torch.tensor([3, 0, 20])
    assert torch.equal(cued.test_images(tests), shown(cued, "val")[tests])
    assert cued.test_identity() != plain.test_identity()
    if not more:  # else the network gets them turned
        assert torch.equal(cued.unseen_images(tests), shown(cued, "unseen")[tests])
    assert "coloured inks, agreement 0.5 with the class in training" in cued.description()


def test_raw_pixels_have_the_colours_that_the_network_gets() -> None:
    data = ready(cue=ColourCue(1, 0), shift="invert")
    for kind, loader in (("seen", "val"), ("unseen", "unseen")):
        pixels, _ = data.raw_pixels(kind)
        torch.testing.assert_close(pixels, shown(data, loader).float().flatten(1) / 255, atol=2e-3, rtol=0)


def test_an_augmentation_sees_the_colours() -> None:
    grey = shown(ready(cue=ColourCue(1, 0), augment=v2.Grayscale(3)), "train")
    assert torch.equal(grey[:, 0], grey[:, 2])


def test_images_decoded_on_the_fly_are_the_same(write_images: Writer) -> None:
    folder: Path = write_images(dict.fromkeys("abcde", 12))
    found = []
    for decode in ("ahead", "on_the_fly"):
        data = datamodule(
            ImageFolder(str(folder)),
            image_size=16,
            num_unseen=2,
            decode=decode,
            workers=1,
            cue=ColourCue(0.7, 0),
        )
        data.setup()
        found.append([shown(data, loader) for loader in ("train", "val", "unseen")])
    assert all(torch.equal(ahead, later) for ahead, later in zip(*found, strict=True))


def test_a_run_does_not_go_on_at_another_agreement() -> None:
    state = ready(cue=ColourCue(0.5, 0)).train_dataloader().state_dict()
    ready(cue=ColourCue(0.5, 0)).train_dataloader().load_state_dict(state)
    with pytest.raises(ValueError, match=r"written with cue=0\.5, and this run has cue=None"):
        ready().train_dataloader().load_state_dict(state)
