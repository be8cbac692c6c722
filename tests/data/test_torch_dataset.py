"""Any torch Dataset as a source, and the labels and names that data sets have."""

import numpy as np
import pytest
import torch
from PIL import Image
from tests.data.conftest import datamodule
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from unseen.data.images import BadImageError
from unseen.data.sources.torch_dataset import TorchDatasetSource, class_names, labels_of, to_picture


class Pictures(Dataset):
    """Item i is a 4 x 4 picture of the gray value i, of class i % number."""

    def __init__(self, images=12, number=4, **attributes):
        self.images, self.number, self.read = images, number, []
        self.__dict__.update(attributes)

    def __len__(self):
        return self.images

    def __getitem__(self, i):
        self.read.append(i)
        return Image.new("L", (4, 4), i), i % self.number


def named(**more):
    return Pictures(classes=["zebra", "ant", "cow", "bee"], **more)


def test_classes_have_their_names_and_items_keep_their_images():
    source = TorchDatasetSource(named())
    source.check()
    source.prepare()
    assert source.known_counts() is None  # the labels are not listed
    catalog = source.list()
    assert catalog.counts() == {name: {"whole": 3} for name in ("ant", "bee", "cow", "zebra")}
    ants = [entry.reference for entry in catalog.entries if entry.class_name == "ant"]
    assert ants == ["whole/0000001", "whole/0000005", "whole/0000009"]
    assert [source.read(reference).getpixel((0, 0)) for reference in ants] == [(i,) * 3 for i in (1, 5, 9)]
    assert source.stamps(ants) is None


def test_listed_labels_need_no_reading():
    data = named(targets=torch.arange(12) % 4)
    source = TorchDatasetSource(data)
    assert source.known_counts() == {name: {"whole": 3} for name in ("ant", "bee", "cow", "zebra")}
    assert source.list().classes() == ("ant", "bee", "cow", "zebra")
    assert data.read == []


def test_own_test_images():
    source = TorchDatasetSource(named(), test_dataset=named(images=4))
    source.check()
    assert source.list().counts()["cow"] == {"train": 3, "test": 1}
    assert source.read("test/0000003").getpixel((0, 0)) == (3, 3, 3)


def test_a_tensor_dataset_in_the_data_module():
    """Float images of 20 samples of four classes; labels are tensors without an axis."""
    images = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    source = TorchDatasetSource(TensorDataset(images, torch.arange(20) % 4))
    data = datamodule(source, image_size=8, mean=(0.0,) * 3, std=(1.0,) * 3, unseen=["2", "3"])
    data.check()
    data.setup()
    found = [data.on_after_batch_transfer(batch, 0) for batch in data.unseen_dataloader()]
    assert torch.cat([batch.labels for batch in found]).tolist() == [0] * 5 + [1] * 5
    expected = images[[2, 6, 10, 14, 18, 3, 7, 11, 15, 19]]
    assert (torch.cat([batch.images for batch in found]) - expected).abs().max() <= 0.5 / 255 + 1e-6


class Endless(IterableDataset):
    def __iter__(self):
        yield Image.new("L", (4, 4)), 0


class Broken(Pictures):
    def __getitem__(self, i):
        raise KeyError("no such column")


def items(*kinds):
    return type("Items", (Pictures,), {"__getitem__": lambda self, i: kinds[i % len(kinds)]})()


PICTURE = Image.new("L", (4, 4))


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (None, r"dataset is missing: write data\.source\.dataset=\{_target_: "),
        (Endless(), "dataset is Endless, which has no length"),
        (Pictures(images=0), "dataset has no items"),
        (Broken(), "dataset cannot be used: 'no such column'"),
        (items({"image": PICTURE, "label": 0}), r"cannot be used: a dict instead of a pair \(image, label\)"),
        (items(PICTURE), r"cannot be used: a Image instead of a pair \(image, label\)"),
        (items((PICTURE, "cat")), "label 'cat' instead of a class number"),
        (items((PICTURE, 1.0)), "label 1.0 instead of a class number"),
        (items(("a.png", 0)), r"a str of shape \(\) instead of a PIL image or a tensor \(3, H, W\)"),
        (items((torch.zeros(4, 4, 3), 0)), r"a Tensor of shape \(4, 4, 3\) instead of"),
        (items((torch.full((3, 4, 4), -2.1), 0)), "float values from -2.1 to -2.1 instead of 0 to 1"),
        (items((torch.full((3, 4, 4), float("nan")), 0)), "float values from nan to nan instead of 0 to 1"),
        (items((torch.zeros(3, 4, 4, dtype=torch.int64), 0)), "int64 values instead of uint8"),
    ],
)
def test_items_of_the_wrong_kind(dataset, words):
    with pytest.raises(
        ValueError, match=rf"^data\.source\.{words}" if words.startswith("dataset") else words
    ) as error:
        TorchDatasetSource(dataset).check()
    assert "\n" not in str(error.value)
    if dataset is not None:
        with pytest.raises(ValueError, match="test_dataset"):
            TorchDatasetSource(named(), test_dataset=dataset).check()


def test_a_wrong_item_in_the_middle_is_a_bad_file():
    source = TorchDatasetSource(items((PICTURE, 0), (torch.zeros(2, 2, 2), 1)))
    source.check()
    with pytest.raises(BadImageError, match=r"shape \(2, 2, 2\)"):
        source.read("whole/0000001")
    with pytest.raises(ValueError, match="item 1 of Items: label 'cat' instead of a class number"):
        TorchDatasetSource(items((PICTURE, 0), (PICTURE, "cat"))).list()


def test_a_label_that_is_not_the_listed_one_is_a_bad_file():
    source = TorchDatasetSource(Pictures(targets=[3] * 12))
    assert source.read("whole/0000003").size == (4, 4)
    with pytest.raises(BadImageError, match="label 2 now, and 3 in the data set's list"):
        source.read("whole/0000002")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.tensor([[[0.0, 1.0]], [[0.5, 0.2]], [[1.0, 0.0]]]), [[[0, 128, 255], [255, 51, 0]]]),
        (torch.tensor([[[7, 8]]], dtype=torch.uint8), [[[7] * 3, [8] * 3]]),
        (torch.tensor([[7], [8]], dtype=torch.uint8), [[[7] * 3], [[8] * 3]]),
        (np.full((1, 1), 9, np.uint8), [[[9] * 3]]),
        (Image.new("RGBA", (1, 1), (0, 0, 0, 0)), [[[255] * 3]]),
    ],
    ids=["float", "one channel", "no channel", "array", "transparent"],
)
def test_kinds_of_images(image, expected):
    assert np.asarray(to_picture(image)).tolist() == expected


# ---------------------------------------------------------------- labels and names of torchvision's and other sets
class Labelled:
    def __init__(self, items, **attributes):
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return None, self.items[i]


def names_of(**parts):
    return class_names(parts, {part: labels_of(images) for part, images in parts.items()})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"targets": np.array([0, 1]), "classes": ["b", "a"]}, ["b", "a"]),
        ({"labels": np.array([9, 11])}, ["09", "11"]),
        ({"labels": [0, -1]}, ["0", None]),
        ({"_labels": [1, 0], "classes": [("tench", "Tinca tinca"), ("shark",)]}, ["shark", "tench"]),
        ({"y": [1, 1], "categories": ["x", "y"]}, ["y", "y"]),
        ({"_samples": [("file", 1), ("file", 0)], "classes": ["x", "y"]}, ["y", "x"]),
        ({"targets": [0, 2], "classes": ["x", "y"]}, ["0", "2"]),  # not one name for each label
        ({"targets": [0, 1], "classes": ["x", "x"]}, ["0", "1"]),  # two classes of one name
        ({"targets": [1, 0], "classes": np.array(["x", "y"])}, ["y", "x"]),
        ({"targets": [1, 0], "classes": 2}, ["1", "0"]),  # their number, not their names
        ({}, ["5", "7"]),  # no list of labels: one by one
        ({"targets": [1]}, ["5", "7"]),  # not of all items
        ({"targets": torch.zeros(2, 8)}, ["5", "7"]),  # of another kind
        ({"targets": [[1], [1, 2]], "samples": 3}, ["5", "7"]),
    ],
)
def test_class_names_of_the_kinds_of_sets(attributes, expected):
    assert names_of(whole=Labelled([5, 7], **attributes)) == {"whole": expected}


def test_numbers_have_one_width_in_all_parts():
    names = names_of(train=Labelled([3, 10]), test=Labelled([3]))
    assert names == {"train": ["03", "10"], "test": ["03"]}
