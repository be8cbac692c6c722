"""Which layers outlive an evaluation, and as what numbers."""

import numpy as np
import pytest
import torch

from unseen.callbacks.kept_layers import KeptLayers, UnsavedEmbeddingsWarning, compact, save_embeddings
from unseen.distributed import ProcessGroup
from unseen.scores import Generalization


def rows(layer: int) -> torch.Tensor:
    return torch.full((3, 2), float(layer))


def kept(*nmi: float) -> KeptLayers:
    layers = KeptLayers(len(nmi))
    for layer, value in enumerate(nmi):
        layers.offer(layer, rows(layer), value)
    layers.labels = torch.tensor([0, 2, 1])
    return layers


@pytest.mark.parametrize(
    ("nmi", "best", "expected"),
    [
        ((0.1, 0.5, 0.3, 0.2), 1, [0, 1, 3]),
        ((0.9, 0.5, 0.3, 0.2), 0, [0, 3]),
        ((0.1, 0.2, 0.3, 0.9), 3, [0, 3]),
        ((0.1, 0.5, 0.5, 0.2), 1, [0, 1, 3]),  # a tie goes to the shallower, as for g
        ((float("nan"), 0.2, float("nan"), 0.1), 1, [0, 1, 3]),
        ((0.4,), 0, [0]),
    ],
)
def test_first_best_and_last(nmi: tuple[float, ...], best: int, expected: list[int]) -> None:
    found = kept(*nmi).collect(ProcessGroup(), best)
    assert list(found) == expected
    assert all(torch.equal(found[layer].float(), rows(layer)) for layer in expected)


def test_no_more_than_two_are_held_before_the_last() -> None:
    layers = KeptLayers(6)
    for layer, nmi in enumerate((0.1, 0.2, 0.3, 0.25, 0.5)):
        layers.offer(layer, rows(layer), nmi)
        assert len(layers._rows) <= 2


@pytest.mark.parametrize("order", [(3, 1, 2, 0), (2, 3, 0, 1), (1, 2, 3, 0)])
def test_layers_may_come_in_any_order(order: tuple[int, ...]) -> None:
    """Wide layers are scored first; 1 and 2 tie, and the shallower one counts."""
    layers = KeptLayers(4)
    for layer in order:
        layers.offer(layer, rows(layer), (0.1, 0.5, 0.5, 0.4)[layer])
    found = layers.collect(ProcessGroup(), 1)
    assert list(found) == [0, 1, 3]
    assert all(torch.equal(found[layer].float(), rows(layer)) for layer in found)


def test_float16_only_where_it_holds_the_numbers() -> None:
    """65504 is the largest number of float16; 2**-14 its smallest with all digits, 2**-24 the smallest of all."""
    assert compact(torch.tensor([[-65504.0, 1.0]])).dtype == torch.float16
    for values in ([[-65520.0, 1.0]], [[2.0**-15, 0.0]]):
        exact = torch.tensor(values)
        assert compact(exact).dtype == torch.float32
        assert torch.equal(compact(exact), exact)
    assert compact(torch.zeros(2, 2)).dtype == torch.float16
    source = torch.zeros(2, 2)
    assert compact(source).data_ptr() != source.data_ptr()


class FullDisk:
    def write_embeddings(self, write) -> None:
        raise OSError(28, "No space left on device")


def test_a_disk_that_does_not_take_them_is_a_warning() -> None:
    best = Generalization(0, 0.5, 1, "x", 0.5, 3)
    with pytest.warns(UnsavedEmbeddingsWarning, match=r"could not be saved \(No space left on device\)"):
        save_embeddings(kept(0.1, 0.5, 0.3), ProcessGroup(), best, FullDisk())


def test_what_is_in_the_file(tmp_path) -> None:
    class Folder:
        def write_embeddings(self, write) -> None:
            with (tmp_path / "e.npz").open("wb") as file:
                write(file)

    best = Generalization(7, 0.5, 1, "x", 0.5, 3)
    layers = kept(0.1, 0.5, 0.3, 0.2)
    layers.labels = torch.tensor([0, 2**15, 1])  # beyond int16
    save_embeddings(layers, ProcessGroup(), best, Folder())
    with np.load(tmp_path / "e.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["step", "unseen_0", "unseen_1", "unseen_3", "unseen_labels"]
        assert int(arrays["step"]) == 7
        assert arrays["unseen_labels"].tolist() == [0, 2**15, 1]
        assert arrays["unseen_1"].dtype == np.float16
