"""What a notebook calls: embeddings and networks of any kind, and sentences for mistakes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import unseen
from unseen.backbones.protocol import Backbone

# two classes on a line, as far apart as can be: k-means, neighbours and logistic regression all find them
POINTS = [
    [0.0, 1.0],
    [0.1, 1.0],
    [0.2, 1.0],
    [0.3, 1.0],
    [0.4, 1.0],
    [9.0, 1.0],
    [9.1, 1.0],
    [9.2, 1.0],
    [9.3, 1.0],
    [9.4, 1.0],
]
NAMES = ["cat"] * 5 + ["owl"] * 5
FAST = {"n_init": 1, "probes": ["clusters", "neighbors"]}


def test_the_import_loads_nothing_and_the_names_are_there() -> None:
    code = (
        "import sys; before = set(sys.modules); import unseen; new = set(sys.modules) - before;"
        "assert not {'torch', 'numpy', 'hydra', 'lightning'} & new, new;"
        "assert set(unseen.__all__) <= set(dir(unseen)); print(*unseen.__all__)"
    )
    source = str(Path(unseen.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert all(callable(getattr(unseen, name)) for name in done.stdout.split())
    with pytest.raises(AttributeError, match=r"no attribute .prob.; it has .*probe_layers"):
        unseen.prob  # noqa: B018


def test_embeddings_and_labels_of_every_kind_give_the_same_scores() -> None:
    expected = unseen.probe(POINTS, NAMES)
    assert (expected["nmi"], expected["nn1"], expected["r_precision"], expected["linear_probe"]) == (
        1,
        1,
        1,
        1,
    )
    numbers = np.array([7] * 5 + [3] * 5)
    for embeddings, labels in (
        (np.array(POINTS), numbers),
        (torch.tensor(POINTS, requires_grad=True), torch.from_numpy(numbers)),
        (pd.DataFrame(POINTS), pd.Series(NAMES)),
        (pd.DataFrame(POINTS), pd.Series(NAMES, dtype="category")),
        (
            pd.DataFrame(POINTS),
            pd.Series(numbers).astype(float),
        ),  # whole, as pandas makes them of a column with gaps
    ):
        assert unseen.probe(embeddings, labels) == pytest.approx(expected, abs=1e-6)
    rounded = torch.tensor(POINTS).bfloat16()
    assert unseen.probe(rounded, NAMES) == unseen.probe(rounded.float(), NAMES)


@pytest.mark.parametrize(
    ("embeddings", "labels", "sentence"),
    [
        (POINTS, ["cat"] * 10, "all 10 labels are the class cat; there is nothing to separate"),
        (POINTS, np.eye(2)[[0] * 5 + [1] * 5], r"of one-hot rows or scores give labels.argmax\(1\)"),
        (POINTS, pd.Series([*NAMES[:9], None]), "1 of 10 labels are missing"),
        (POINTS, pd.Series([*NAMES[:9], pd.NA], dtype="string"), "1 of 10 labels are missing"),
        ([[np.nan, 1.0], *POINTS[1:]], NAMES, r"NaN or infinity \(1 of 10 rows, the first is row 0\)$"),
        (NAMES, POINTS, r"labels must have shape \(10,\).*got \(10, 2\)"),
    ],
)
def test_a_mistake_is_a_sentence(embeddings: object, labels: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        unseen.probe(embeddings, labels)  # type: ignore[arg-type]


# ------------------------------------------------------------------ networks
class Steps(nn.Module):
    """Layers of other names than any library's; the second one mixes the sides of the picture that tell the classes."""

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.squeeze = nn.Conv2d(4, 2, 3, stride=2, padding=1)
        self.head = nn.Linear(2, 3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.dropout(self.squeeze(self.norm(self.spread(images))).mean((2, 3))))


@pytest.fixture(scope="module")
def bright_and_dark() -> tuple[Tensor, list[str]]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(24, 1, 16, 16, generator=generator)
    images[12:] += 3
    return images, ["dark"] * 12 + ["bright"] * 12


def test_every_layer_of_any_module_is_scored_and_the_module_left_alone(
    bright_and_dark: tuple[Tensor, list[str]],
) -> None:
    images, names = bright_and_dark
    torch.manual_seed(0)
    model = Steps().train()
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    found = unseen.probe_layers(model, images, names, **FAST)
    assert [row["name"] for row in found] == ["input", "spread", "norm", "squeeze"]
    assert [row["depth"] for row in found] == [None, 0, 0.5, 1]
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module._forward_hooks for module in model.modules())
    # the same numbers by hand: the mean of each map in eval mode
    maps = model.eval().spread(images)
    assert found[1]["nmi"] == unseen.probe(maps.mean((2, 3)), names, **FAST)["nmi"]
    assert found.baseline["nmi"] == unseen.probe(images.flatten(1), names, **FAST)["nmi"] == 1
    assert (found.g, found.best_layer, found.best_layer_name) == (1, 0, "spread")
    assert found.chance < 0.2
    table = pd.DataFrame(found).set_index("name")
    assert table.loc["norm", "nmi"] == found[2]["nmi"]
    assert (
        str(found)
        .splitlines()[-1]
        .startswith("g 1.000 at layer 0 of 0..2 (spread); raw pixels 1.000, chance 0")
    )


def test_a_loader_gives_what_the_whole_tensor_gives(bright_and_dark: tuple[Tensor, list[str]]) -> None:
    images, names = bright_and_dark
    numbers = torch.tensor([name == "bright" for name in names]).long()
    model = Steps()
    expected = unseen.probe_layers(model, images, names, **FAST)
    pairs = TensorDataset(images, numbers)
    shuffled = DataLoader(pairs, batch_size=7, shuffle=True)
    for given in (DataLoader(pairs, batch_size=7), shuffled):
        found = unseen.probe_layers(model, given, **FAST)
        assert [row["nn1"] for row in found] == pytest.approx([row["nn1"] for row in expected])
    with pytest.raises(ValueError, match="the loader shuffles"):
        unseen.probe_layers(model, shuffled, numbers)
    with pytest.raises(ValueError, match="must yield"):
        unseen.probe_layers(model, DataLoader(images))


@pytest.mark.parametrize(
    ("model", "layers"),
    [
        (
            lambda: timm.create_model("resnet18", num_classes=2),
            ["maxpool", "layer1", "layer2", "layer3", "layer4"],
        ),
        (torchvision.models.squeezenet1_1, [f"features.{at}" for at in range(13)]),
        (
            lambda: torchvision.models.VisionTransformer(32, 16, 2, 2, 8, 16),
            [f"encoder.layers.encoder_layer_{at}" for at in range(2)],
        ),
    ],
    ids=["timm", "a list of modules", "a list inside"],
)
def test_layers_of_libraries_are_found(model: object, layers: list[str]) -> None:
    images = torch.rand(6, 3, 32, 32)
    found = unseen.probe_layers(model(), images, [0, 1] * 3, probes=["clusters"], n_init=1)  # type: ignore[operator]
    assert [row["name"] for row in found][1:] == layers
    named = unseen.probe_layers(model(), images, [0, 1] * 3, taps=layers[-1:], probes=["clusters"])  # type: ignore[operator]
    assert [row["name"] for row in named] == ["input", layers[-1]]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"model": nn.Linear(4, 2)}, r"Linear cannot take images of shape \(1, 16, 16\)"),
        (
            {"model": nn.Sequential(nn.Flatten(), nn.Linear(256, 2))},
            r"no layers found .* taps=\[\.\.\.\].*level is 0, 1",
        ),
        ({"model": Steps}, "model must be a torch.nn.Module, got type"),
        (
            {"taps": ["sqeeze"]},
            r"taps=\[\.\.\.\]: 'sqeeze' matches no module that runs \(did you mean squeeze",
        ),
        ({"images": torch.rand(24, 1, 16, 8)}, r"must be square.*got \(24, 1, 16, 8\)"),
        (
            {"images": torch.zeros(24, 1, 16, 16, dtype=torch.uint8)},
            "floats as the network takes them.*uint8",
        ),
        ({"labels": [0, 1]}, r"labels must have shape \(24,\)"),
        ({"labels": None}, "labels are missing"),
        ({"images": torch.full((24, 1, 16, 16), torch.nan)}, r"layer 0 \(spread\): embeddings contain NaN"),
        ({"probes": ["linear"]}, "must hold 'clusters'"),
        ({"pooling": "max"}, "is not one of auto, paper, mean, first"),
    ],
)
def test_a_mistake_with_a_network_is_a_sentence(
    settings: dict[str, object], sentence: str, bright_and_dark: tuple[Tensor, list[str]]
) -> None:
    images, names = bright_and_dark
    call = {"model": Steps(), "images": images, "labels": names} | settings
    with pytest.raises(ValueError, match=sentence):
        unseen.probe_layers(**call)  # type: ignore[arg-type]


def test_a_backbone_keeps_its_own_layers() -> None:
    from unseen.backbones.timm import TimmSpec

    backbone: Backbone = TimmSpec("resnet18", taps=["layer1", "layer4"]).build(2, 32)
    found = unseen.probe_layers(backbone, torch.rand(4, 3, 32, 32), [0, 0, 1, 1], probes=["clusters"])
    assert [row["name"] for row in found] == ["input", "layer1", "layer4"]


# ------------------------------------------------------------------ the metric
def test_the_metric_gives_what_probe_gives_batch_by_batch() -> None:
    metric = unseen.ProbeMetric(n_init=1)
    points, numbers = torch.tensor(POINTS), torch.tensor([0] * 5 + [1] * 5)
    for rows in torch.arange(10).split(4):
        metric.update(points[rows], numbers[rows])
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(
        unseen.probe(POINTS, NAMES, n_init=1), nan_ok=True
    )
    metric.reset()
    assert metric.embeddings == []
    with pytest.raises(ValueError, match=r"\(B, D\) and labels \(B,\), got \(10, 2\) and \(9,\)"):
        metric.update(points, numbers[:9])


class _Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: unseen.probe([], []), "there are no samples"),
        (lambda: unseen.probe(torch.tensor(POINTS).to_sparse(), NAMES), "give embeddings.to_dense()"),
        (
            lambda: unseen.probe(torch.empty(10, 2, device="meta"), NAMES),
            "must be a dense tensor with values",
        ),
        (lambda: unseen.probe_layers(_Net(), torch.rand(4, 3, 8, 8), [0, 0, 1, 1], taps=[0]), "such as '0'"),  # type: ignore[list-item]
        (
            lambda: unseen.probe_layers(_Net(), TensorDataset(torch.rand(4, 3, 8, 8), torch.arange(4))),
            "images is a Dataset; give a loader of it",
        ),
        (lambda: unseen.ProbeMetric().compute(), "call update(embeddings, labels) before compute()"),
    ],
)
@pytest.mark.filterwarnings("ignore:The ``compute`` method")  # torchmetrics'
def test_what_is_no_input_is_one_sentence(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call()
    assert says in str(caught.value)


def test_one_layer_may_be_named_without_a_list() -> None:
    found = unseen.probe_layers(_Net(), torch.rand(4, 3, 8, 8), [0, 0, 1, 1], taps="2", **FAST)
    assert [row["name"] for row in found] == ["input", "2"]
