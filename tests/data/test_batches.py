import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, DistributedSampler

from unseen.data.batches import (
    BatchLoader,
    CanvasDataset,
    EvalSampler,
    TrainSampler,
    epoch_order,
    split_into_batches,
)
from unseen.data.canvases import CanvasStore, Frame, Names


def store(size: int) -> CanvasStore:
    """Canvas i is filled with i, its label is i mod 4."""
    canvases = torch.arange(size, dtype=torch.uint8).view(size, 1, 1, 1).expand(size, 3, 6, 6).contiguous()
    names = Names(str(i) for i in range(size))
    return CanvasStore(torch.arange(size) % 4, names, canvases, read=Image.open, frame=Frame(6, 0, 0))


def run(sampler) -> list[tuple[int, list[int]]]:
    return [(share.epoch, share.indices.tolist()) for share in sampler]


def test_orders_are_permutations_and_pure():
    assert sorted(epoch_order(50, 0, 3).tolist()) == list(range(50))
    assert epoch_order(50, 0, 3).tolist() == epoch_order(50, 0, 3).tolist()
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


@pytest.mark.parametrize(
    ("samples", "batch", "sizes"),
    [
        (10, 5, [5, 5]),
        (12, 5, [5, 5, 2]),
        (11, 5, [5, 6]),  # a last batch of one sample joins the one before
        (5, 5, [5]),
        (1, 5, [1]),  # nothing to join
        (6, 5, [6]),
        (3, 1, [1, 1, 1]),  # asked for
        (9100, 72, [72] * 126 + [28]),  # the papers' 127 steps
    ],
)
def test_sizes_of_batches(samples, batch, sizes):
    assert [end - first for first, end in split_into_batches(samples, batch)] == sizes
    sampler = TrainSampler(samples, batch, seed=0)
    assert len(sampler) == len(sizes)
    assert [len(share.indices) for share in sampler] == sizes


def test_every_sample_comes_once_an_epoch():
    assert sorted(i for _, batch in run(TrainSampler(23, 5, seed=0)) for i in batch) == list(range(23))


def test_any_position_gives_the_tail_of_the_whole_sequence():
    whole = []
    for epoch in range(3):
        whole += run(TrainSampler(23, 5, seed=7, position=lambda epoch=epoch: 5 * epoch))
    assert [epoch for epoch, _ in whole] == [0] * 5 + [1] * 5 + [2] * 5
    assert whole[0] != whole[5]
    for start in range(15):
        position = start
        sampler = TrainSampler(23, 5, seed=7, position=lambda: position)  # noqa: B023
        resumed = []
        while position < 15:
            for share in run(sampler):
                resumed.append(share)
                position += 1
        assert resumed == whole[start:]
        assert len(sampler) == 5  # always the full epoch


def test_the_position_is_read_when_the_first_batch_is_asked_for():
    position = 0
    iterator = iter(TrainSampler(20, 5, seed=0, position=lambda: position))
    position = 2
    assert len(list(iterator)) == 2


@pytest.mark.parametrize("limit", [2, 0.4])
def test_epochs_that_the_trainer_cuts_short(limit):
    # 5 batches an epoch, of which the trainer takes 2: the third batch of training is the first of epoch 1
    sampler = TrainSampler(23, 5, seed=7, position=lambda: 2, limit=limit)
    assert run(sampler)[0] == run(TrainSampler(23, 5, seed=7, position=lambda: 5))[0]
    assert len(sampler) == 5


def test_order_does_not_depend_on_the_batch_size():
    small, large = (
        [i for _, batch in run(TrainSampler(24, size, seed=0)) for i in batch] for size in (4, 12)
    )
    assert small == large


@pytest.mark.parametrize("world_size", [2, 3, 7])
@pytest.mark.parametrize("samples", [21, 22, 23, 5])
def test_ranks_share_an_epoch_evenly(world_size, samples):
    shares = [
        run(TrainSampler(samples, 4, seed=0, rank=rank, world_size=world_size)) for rank in range(world_size)
    ]
    assert (
        len({tuple(len(batch) for _, batch in share) for share in shares}) == 1
    )  # or DDP would wait forever
    seen = [i for share in shares for _, batch in share for i in batch]
    assert set(seen) == set(range(samples))
    assert len(seen) - samples == -samples % world_size  # as few twice as possible
    order = epoch_order(samples, 0, 0)
    assert [i for _, batch in shares[1] for i in batch][:1] == [order[1]]  # strided


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_evaluation_has_no_twins(world_size):
    samplers = [EvalSampler(10, 4, rank=rank, world_size=world_size) for rank in range(world_size)]
    seen = [i for sampler in samplers for _, batch in run(sampler) for i in batch]
    assert sorted(seen) == list(range(10))
    assert [len(run(sampler)) for sampler in samplers] == [len(sampler) for sampler in samplers]
    alone = run(EvalSampler(10, 4))  # the same batches, whoever has them
    assert sorted(batch for sampler in samplers for batch in run(sampler)) == sorted(alone)


def test_with_more_processes_than_batches_each_has_one():
    samplers = [EvalSampler(10, 4, rank=rank, world_size=9) for rank in range(9)]
    assert all(len(sampler) >= 1 for sampler in samplers)
    assert sorted(i for sampler in samplers for _, batch in run(sampler) for i in batch) == list(range(10))
    with pytest.raises(ValueError, match="10 images to evaluate cannot be shared by 11 processes"):
        EvalSampler(10, 4, rank=0, world_size=11)


def test_lightning_leaves_the_samplers_alone():
    # it replaces every sampler that is no DistributedSampler when there are several processes
    for sampler, epoch in ((TrainSampler(8, 4, seed=0), 0), (EvalSampler(8, 4), None)):
        loader = BatchLoader(CanvasDataset(store(8)), sampler)
        assert isinstance(loader, DataLoader)
        assert isinstance(loader.sampler, DistributedSampler)
        loader.sampler.set_epoch(3)  # Lightning does; the position counts, not this
        assert {share.epoch for share in loader.sampler} == {epoch}


def test_batches_hold_what_their_indices_say():
    loader = BatchLoader(CanvasDataset(store(23)), TrainSampler(23, 5, seed=0))
    batches = list(loader)
    assert len(batches) == len(loader) == 5
    for batch in batches:
        assert batch.images.dtype == torch.uint8
        assert batch.labels.dtype == batch.indices.dtype == torch.int64
        assert batch.images.shape == (len(batch.indices), 3, 6, 6)
        assert torch.equal(batch.images[:, 0, 0, 0].long(), batch.indices)
        assert torch.equal(batch.labels, batch.indices % 4)
        assert batch.angles is None


def test_angles_belong_to_epoch_and_sample():
    position = 0

    def angles(epoch):
        return torch.arange(23.0) + 100 * epoch

    sampler = TrainSampler(23, 5, seed=0, position=lambda: position, angles=angles)
    loader = BatchLoader(CanvasDataset(store(23)), sampler)
    for epoch in (0, 1):
        position = 5 * epoch
        for batch in loader:
            assert torch.equal(batch.angles, batch.indices + 100.0 * epoch)
    for batch in BatchLoader(CanvasDataset(store(23)), EvalSampler(23, 5, angles=angles)):
        assert torch.equal(batch.angles, batch.indices.float())


def test_batches_are_copies():
    kept = store(4)
    batch = next(iter(BatchLoader(CanvasDataset(kept), EvalSampler(4, 4))))
    batch.images.zero_()
    batch.labels.zero_()
    assert kept.canvases[3, 0, 0, 0] == 3
    assert kept.labels.tolist() == [0, 1, 2, 3]


def test_no_global_generator_is_read_or_written():
    loader = BatchLoader(CanvasDataset(store(23)), TrainSampler(23, 5, seed=0))
    before, np_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = [batch.indices.tolist() for batch in loader]
    assert torch.equal(before, torch.get_rng_state())
    assert (np_before == np.random.get_state()[1]).all()  # noqa: NPY002
    torch.manual_seed(123)
    assert [batch.indices.tolist() for batch in loader] == first


def test_a_checkpoint_of_other_batches_is_refused():
    loader = BatchLoader(CanvasDataset(store(8)), TrainSampler(8, 4, seed=0), {"batch_size": 4, "seed": 0})
    state = loader.state_dict()
    loader.load_state_dict(state)
    with pytest.raises(ValueError, match=r"written with batch_size=72, and this run has batch_size=4"):
        loader.load_state_dict(state | {"batch_size": 72})
