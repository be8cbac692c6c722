"""Seconds of two sides that take turns batch by batch."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import interleaved
from benchmarks.interleaved import BareNetwork, Interleaved
from tests.torch_modes import same_modes_afterwards


class Clock:
    """A clock that only moves when told to."""

    now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Slow:
    """In the place of a bare network: a step takes some seconds, a forward pass half of them."""

    def __init__(self, clock: Clock, name: str, seconds: float, done: list[str]) -> None:
        self.clock, self.name, self.cost, self.done = clock, name, seconds, done
        self.begin()

    def begin(self) -> None:
        self.seconds = 0.0
        self.trained = self.embedded = 0

    def train(self, step: int) -> None:
        self.trained += 1
        self.clock.now += self.cost
        self.done.append(f"{self.name} step {step}")

    def embed(self, images: str, _labels: str) -> None:
        self.embedded += 1
        assert not torch.are_deterministic_algorithms_enabled()
        self.clock.now += self.cost / 2
        self.done.append(f"{self.name} {images}")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(interleaved, "time", made)
    return made


def test_each_side_has_its_own_seconds(clock: Clock) -> None:
    done: list[str] = []
    one, two = Slow(clock, "one", 10, done), Slow(clock, "two", 20, done)
    between = Interleaved(
        [one, two], lambda other, step: other.train(step), seen=[("seen 0", "")], unseen=[("unseen 0", "")]
    )
    with same_modes_afterwards():
        between.begin()
        clock.now += 1
        between.on_train_batch_end()
        clock.now += 2
        between.on_validation_batch_end(None, None, None, None, 0)
        clock.now += 4
        between.on_phase("probing layer 1/5", 0, 5)  # none of the bare networks' work
        between.on_phase("embedding unseen images", 0, 1)
        clock.now += 8
        between.end()
        assert torch.are_deterministic_algorithms_enabled()  # for our side
    between.check(steps=1, evaluations=1)
    for steps, evaluations in ((2, 1), (1, 0), (1, 2)):
        with pytest.raises(RuntimeError, match="the two sides did not do the same"):
            between.check(steps=steps, evaluations=evaluations)
    assert (between.ours, one.seconds, two.seconds) == (15.0, 20.0, 40.0)
    assert done == ["two step 0", "one step 0", "one seen 0", "two seen 0", "two unseen 0", "one unseen 0"]
    between.begin()
    assert (between.ours, one.seconds, two.seconds) == (0.0, 0.0, 0.0)


def test_seconds_of_the_warm_up_do_not_count(clock: Clock) -> None:
    done: list[str] = []
    other = Slow(clock, "other", 10, done)
    between = Interleaved([other], lambda network, step: network.train(step), warm_up=1)
    with same_modes_afterwards():
        between.begin()
        for own in (1, 2, 4):
            clock.now += own
            between.on_train_batch_end()
        between.on_validation_batch_end(None, None, None, None, 0)  # the bare side leaves validation out
    assert (between.ours, other.seconds) == (6.0, 20.0)
    assert done == ["other step 0", "other step 1", "other step 2"]


def test_a_bare_network_starts_each_run_from_the_same_weights() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    images, labels = torch.rand(5, 3, 6, 6), torch.tensor([0, 1, 0, 1, 1])
    network(images)  # the last layer learns its size
    first = {name: value.clone() for name, value in network.state_dict().items()}
    bare = BareNetwork(network, steps=2)
    bare.train(images, labels)
    assert not torch.equal(network[0].weight, first["0.weight"])
    bare.begin()
    assert all(torch.equal(value, first[name]) for name, value in network.state_dict().items())
