"""A sweep with everything in it, and the report on it, made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from reporting.synthetic import Made, make_run, make_sweep

from unseen.reporting.build import build_report

NASTY = "vit</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three networks on two data sets, three seeds, and folders that cannot be used."""
    root = tmp_path_factory.mktemp("sweep")
    make_sweep(root / "runs", models=("cvt", "poolformer", "pvt"), controls=True, embeddings=True)
    make_run(root / "nasty", Made(model=NASTY, data="calligraphy"))
    make_run(root / "failed", Made(model="swin", status="failed", reason="no <space> left & gone"))
    make_run(root / "running", Made(model="swin", seed=1, status="running"))
    return root


@pytest.fixture(scope="session")
def report(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the report on that sweep."""
    out = tmp_path_factory.mktemp("report")
    build_report([sweep], out)
    return out
