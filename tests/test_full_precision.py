"""Evaluation is in float32 on every device; what training uses is put back."""

import pytest
import torch

from unseen.full_precision import EvalPrecision, full_precision


def settings() -> tuple[str, str]:
    return torch.backends.cudnn.conv.fp32_precision, torch.backends.cuda.matmul.fp32_precision


@pytest.mark.parametrize(("precision", "inside"), [(32, "ieee"), ("tf32", "tf32")])
def test_cuda_computes_as_asked_and_gets_its_settings_back(precision: EvalPrecision, inside: str) -> None:
    """Convolutions and products alike; PyTorch's own choice is TF32 for the first only."""
    before = settings()
    assert before[0] == "tf32" != before[1]
    with (
        pytest.raises(ValueError, match=f"{inside}.*{inside}"),
        full_precision(torch.device("cuda"), precision),
    ):
        raise ValueError(settings())
    assert settings() == before


def test_the_cpu_is_left_alone() -> None:
    before = settings()
    with full_precision(torch.device("cpu"), "tf32"):
        assert settings() == before


def test_autocast_is_off() -> None:
    matrix = torch.rand(3, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (matrix @ matrix).dtype == torch.bfloat16
        with full_precision(torch.device("cpu")):
            assert (matrix @ matrix).dtype == torch.float32
