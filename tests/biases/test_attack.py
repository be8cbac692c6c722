"""PGD: foolbox's images bit by bit; a linear classifier whose robustness has a closed form."""

import foolbox
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unseen.biases.attack import AdversarialAccuracy, attack, random_start
from unseen.biases.measure import Batch, Measure

EPSILON, STEP = 0.5 / 255, 2 / 255


def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(200, 5)
        ).eval()


def pictures(count: int, seed: int = 0) -> Tensor:
    values = torch.rand(count, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    return ((values - 0.5) * 1.4 + 0.5).clamp(0, 1)  # a part of them at the ends of the range


@pytest.mark.parametrize("epsilon", [EPSILON, 8 / 255])
def test_foolbox_makes_the_same_images(epsilon: float) -> None:
    model, images = network(), pictures(6)
    labels = model(images).argmax(dim=1)
    theirs = foolbox.attacks.LinfPGD(abs_stepsize=STEP, steps=40, random_start=False)
    _, expected, _ = theirs(
        foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), images, labels, epsilons=epsilon
    )
    ours = attack(model, images, labels, images, epsilon=epsilon, step=STEP, steps=40)
    assert torch.equal(ours, expected)
    assert not torch.equal(ours, images)


def test_a_linear_classifier_is_broken_where_its_margin_is_below_epsilon_times_the_weights() -> None:
    """Scores are (w x, 0): the worst change is -epsilon sign(w), which takes epsilon |w|_1 = 3 epsilon off w x."""
    weights = torch.tensor([2.0, -0.5, 0.5])
    margins = torch.tensor([2.9, 3.1, -1.0]) * EPSILON
    images = torch.tensor([0.1, 0.6, 0.2]).repeat(3, 1)  # w x = .2 - .3 + .1 = 0
    images[:, 0] += margins / 2

    def classify(batch: Tensor) -> Tensor:
        score = batch[:, :, 0, 0] @ weights
        return torch.stack([score, torch.zeros_like(score)], dim=1)

    measure = AdversarialAccuracy()
    seen = measure.observe(
        classify, Batch(images[:, :, None, None], torch.zeros(3, 1, dtype=torch.long), torch.arange(3))
    )
    assert seen.tolist() == [[1, 0], [1, 1], [0, 0]]


def test_the_start_is_uniform_within_both_bounds_and_belongs_to_the_image() -> None:
    images = torch.stack([torch.full((3, 64, 64), value) for value in (0.5, 0.0, 1.0)])
    start = random_start(images, torch.arange(3), epsilon=0.1, seed=0)
    noise = (start[0] - 0.5).flatten()
    assert noise.abs().max() <= 0.1 + 1e-7
    counts = torch.histc(noise, 10, -0.1, 0.1)  # 12,288 values: 1,229 +- 33 in each tenth
    assert ((counts - 1228.8).abs() < 5 * 33.3).all()
    assert start.min() == 0
    assert start.max() == 1
    again = random_start(images[[2, 0]], torch.tensor([2, 0]), epsilon=0.1, seed=0)
    assert torch.equal(again, start[[2, 0]])
    assert not torch.equal(random_start(images, torch.arange(3), epsilon=0.1, seed=1), start)
    assert not torch.equal(random_start(images, torch.arange(1, 4), epsilon=0.1, seed=0), start)


def test_the_size_of_a_batch_changes_nothing_and_wrong_images_are_broken() -> None:
    model, images = network(), pictures(24, seed=1)
    labels = model(images).argmax(dim=1)
    labels[::4] = (labels[::4] + 1) % 5
    batches = [
        Batch(images[part], labels[part, None], torch.arange(24)[part])
        for part in (slice(0, 24), slice(0, 7), slice(7, 24))
    ]
    measure = AdversarialAccuracy(epsilon=2.0, steps=10)
    whole, *parts = (measure.observe(model, batch) for batch in batches)
    assert torch.equal(torch.cat(parts), whole)
    clean, attacked = whole.T
    assert clean.tolist() == [0.0, 1.0, 1.0, 1.0] * 6
    assert (attacked <= clean).all()
    assert 0 < attacked.sum() < clean.sum()
    wrong = Batch(images[::4], labels[::4, None], torch.arange(24)[::4])
    assert measure.observe(model, wrong).sum() == 0


def test_the_network_and_the_random_state_are_as_before() -> None:
    model, images = network(), pictures(4)
    batch = Batch(images, model(images).argmax(dim=1)[:, None], torch.arange(4))
    model[3].train()  # not the mode of the rest
    model[3].p = 0.0
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with torch.no_grad():  # as a loop over images may be
        AdversarialAccuracy(steps=2).observe(model, batch)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert images.grad is None
    assert not images.requires_grad


def test_the_published_denominator() -> None:
    """48 of 50,048 rows are never broken; k robust images of 50,000 give (k + 48) / 50,048."""
    means = np.array([[0.7, 0.0], [0.7, 0.5], [1.0, 1.0]])
    assert AdversarialAccuracy().values(means)["adversarial_accuracy"].tolist() == [0, 0.5, 1]
    faithful = AdversarialAccuracy(faithful=True).values(means)["adversarial_accuracy"]
    assert faithful == pytest.approx([48 / 50048, 25048 / 50048, 1], abs=1e-15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0}, r"epsilon=0 must be in \(0, 255\]"),
        ({"step": -1.0}, r"step=-1\.0 must be in \(0, 255\]"),
        ({"steps": 0}, "steps=0 must be at least 1"),
        ({"seed": -1}, "negative: -1"),
        ({"epsilon": float("nan")}, "epsilon=nan must be"),
    ],
)
def test_settings_that_make_no_attack_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AdversarialAccuracy(**settings)
    assert isinstance(AdversarialAccuracy(), Measure)
    assert AdversarialAccuracy().passes == 122
