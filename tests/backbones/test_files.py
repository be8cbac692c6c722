"""Weights in a file of one's own: in their place, or refused with the tensors' names."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from unseen.backbones.files import Loaded, load_file


def network(classes: int = 4) -> nn.Module:
    torch.manual_seed(classes)
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, classes))


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("wrap", "file"),
    [
        (lambda state: state, "a.pth"),
        (lambda state: {"state_dict": {f"model.{name}": value for name, value in state.items()}}, "b.ckpt"),
        (
            lambda state: {"epoch": 3, "model": {f"module.{name}": value for name, value in state.items()}},
            "c.pt",
        ),
        (lambda state: state, "d.safetensors"),
    ],
)
def test_every_tensor_and_the_head_of_the_same_size(wrap: Any, file: str, tmp_path: Path) -> None:
    source, target = network(), network()
    nn.init.zeros_(target[0].weight)
    content = wrap(source.state_dict())
    if file.endswith(".safetensors"):
        safetensors.torch.save_file(content, tmp_path / file)
    else:
        torch.save(content, tmp_path / file)
    assert load_file(target, tmp_path / file, network(5)) == Loaded((), ())
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())


@pytest.mark.parametrize("lacks", [(), ("1.weight", "1.bias")])
def test_a_head_of_another_size_or_none_starts_anew(lacks: tuple[str, ...], tmp_path: Path) -> None:
    source, target = network(9), network()
    before = target[1].weight.clone()
    state = {name: value for name, value in source.state_dict().items() if name not in lacks}
    path = saved(tmp_path / "a.pth", state)
    found = load_file(target, path, network(5))
    assert found == Loaded((), ("1.bias", "1.weight"))
    assert found.sentence(path).startswith("weights of a.pth: the head starts anew (1.bias, 1.weight")
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[1].weight, before)


def test_what_is_of_other_parts_is_said(tmp_path: Path) -> None:
    state = {f"model.{name}": value for name, value in network().state_dict().items()}
    path = saved(tmp_path / "a.ckpt", {"state_dict": state | {"loss.weight": torch.ones(2)}})
    found = load_file(network(), path, network(5))
    assert found.outside == ("loss.weight",)
    assert "1 tensor of other parts left out (loss.weight)" in found.sentence(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("0.bias"), r"does not fit Sequential in 1 tensor: 0\.bias is missing"),
        (lambda state: state.update({"2.bias": torch.zeros(1)}), r"2\.bias is not in the network"),
        (
            lambda state: state.update({"0.bias": torch.zeros(9)}),
            r"0\.bias has shape \(9,\) instead of \(3,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(change: Any, says: str, tmp_path: Path) -> None:
    state, target = network(7).state_dict(), network()
    before = {name: value.clone() for name, value in target.state_dict().items()}
    change(state)
    with pytest.raises(ValueError, match=says):
        load_file(target, saved(tmp_path / "a.pth", state), network(5))
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_what_is_no_file_of_weights(tmp_path: Path) -> None:
    (tmp_path / "noise.pth").write_bytes(b"\x80noise")
    for name in ("text.pth", "text.safetensors"):
        (tmp_path / name).write_text("hello")
    for path, says in (
        (tmp_path / "none.pth", "is not a file"),
        (tmp_path / "noise.pth", "damaged|cannot be read"),
        (tmp_path / "text.pth", "text.pth is damaged, or no file that torch.save or safetensors wrote$"),
        (tmp_path / "text.safetensors", "damaged, or no file that torch.save or safetensors wrote$"),
        (saved(tmp_path / "number.pth", {"a": 1}), "holds no named tensors"),
        (saved(tmp_path / "code.pth", network()), "which could be code"),
    ):
        with pytest.raises(ValueError, match=says):
            load_file(network(), path, network(5))
