"""Evaluation is in float32 on every device; what training uses is put back."""

import pytest
import torch

from unseen.full_precision import full_precision


def settings() -> tuple[str, str]:
    return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision


def test_cuda_computes_without_tf32_and_gets_its_settings_back() -> None:
    before = settings()
    assert before[0] == "tf32"  # PyTorch's own choice for convolutions, which is why this exists
    with pytest.raises(ValueError, match="ieee"), full_precision(torch.device("cuda")):
        raise ValueError(settings())
    assert settings() == before


def test_autocast_is_off() -> None:
    matrix = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        with full_precision(torch.device("cpu")):
            assert (matrix @ matrix).dtype == torch.float32
