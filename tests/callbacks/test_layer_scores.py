"""Where embeddings are kept, what goes to scores.csv, and what of it to the loggers."""

import pytest
import torch
from tests.fake_cuda import fake_device

from unseen.backbones.protocol import Tap
from unseen.callbacks.kept_layers import KeptLayers
from unseen.callbacks.layer_scores import EmbeddingBank, LayerScorer, logged_numbers, score_rows
from unseen.distributed import ProcessGroup
from unseen.probes import ProbeSuite
from unseen.scores import Generalization, destroyed_probe

TAPS = (Tap(0, "stem", 0.0, "nchw"), Tap(1, "blocks", 1.0, "nchw"))
BEST = Generalization(3, 0.5, 1, "blocks", 1.0, 2)
CONTROLS = ("nmi_chance", "nmi_start_sd", destroyed_probe(0.5))


def rows(accuracy: float | None = 0.75) -> list:
    layers = {("unseen", layer, probe): 0.5 for layer in (0, 1) for probe in ("nmi", *CONTROLS)}
    baseline = {("seen", probe): 0.25 for probe in ("nmi", "nmi_chance", "nmi_start_sd")}
    return score_rows(3, 1, TAPS, layers=layers, baseline=baseline, accuracy=accuracy)


def test_every_number_is_a_row() -> None:
    found = [(row.split, row.layer, row.layer_name, row.depth, row.probe, row.value) for row in rows()]
    assert found[0] == ("seen", -2, "head", None, "accuracy", 0.75)
    assert found[1] == ("seen", -1, "input", None, "nmi", 0.25)
    assert ("unseen", 1, "blocks", 1.0, "nmi_noise_0.5", 0.5) in found
    assert len(found) == len(set(found)) == 1 + 3 + 8


def test_a_head_of_other_classes_has_no_row() -> None:
    assert min(row.layer for row in rows(None)) == -1


def test_loggers_get_no_controls_and_the_accuracy_once() -> None:
    """The module logs seen/accuracy itself; a second value under that name would be an error of Lightning's."""
    assert logged_numbers(rows(), BEST) == {
        "seen/nmi/input": 0.25,
        "unseen/nmi/00_stem": 0.5,
        "unseen/nmi/01_blocks": 0.5,
        "unseen/g": 0.5,
        "unseen/best_layer": 1.0,
    }


@pytest.mark.parametrize(("images", "device"), [(1000, "cuda"), (1001, "cpu")])
def test_embeddings_that_would_fill_a_gpu_are_kept_on_the_cpu(
    images: int, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1,000 images of 8 + 4 features take 48,000 bytes, a quarter of what is free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (4 * 48_000, 10**9))
    with fake_device():
        bank = EmbeddingBank(2, "cuda", images)
        numbers = torch.zeros(3, dtype=torch.long, device="cuda")
        bank.add([torch.zeros(3, 8, device="cuda"), torch.zeros(3, 4, device="cuda")], numbers, numbers)
        assert bank.pop(0).device.type == device
        assert bank.pop(1).device.type == device


def test_clusters_are_compared_with_classes_and_with_colours() -> None:
    """Two colours for each of two classes, balanced: a layer that has the one knows nothing of the other."""
    labels = torch.tensor([0, 0, 1, 1] * 6)
    colours = torch.tensor([0, 1, 0, 1] * 6)
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))  # of arrival
    bank = EmbeddingBank(2)
    bank.add([colours[order, None] * 9.0, labels[order, None] * 9.0], labels[order], order)
    cpu = torch.device("cpu")
    scorer = LayerScorer(ProcessGroup(cpu), cpu, ProbeSuite(n_init=2, k=3), lambda *_: None)
    kept = KeptLayers(2)
    found = scorer.score("unseen", bank, TAPS, 24, kept=kept, colours=colours)
    expected = {
        (0, "cue_nmi"): 1,
        (0, "nmi"): 0,
        (1, "cue_nmi"): 0,
        (1, "nmi"): 1,
        (0, "cue_ami"): 1,
        (1, "ami"): 1,
    }
    for (layer, probe), value in expected.items():
        assert found["unseen", layer, probe] == pytest.approx(value, abs=1e-9), (layer, probe)
    assert found["unseen", 1, "cue_ami"] == found["unseen", 0, "ami"] < 0  # below what chance gives
    assert torch.equal(kept.colours, colours)
    pixels = scorer.score_pixels("seen", colours[:, None] * 9.0, labels, colours)
    assert (pixels["seen", "cue_nmi"], pixels["seen", "nmi"]) == pytest.approx((1, 0), abs=1e-9)
    bank = EmbeddingBank(2)
    bank.add([torch.randn(24, 2)] * 2, labels, torch.arange(24))
    assert not {probe for _, _, probe in scorer.score("seen", bank, TAPS, 24)} & {"cue_nmi", "cue_ami"}
