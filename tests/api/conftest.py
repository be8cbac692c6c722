"""A run on small photos, for all that reads what a run has left."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.conftest import TINY, Ran, run_command

UNSEEN = ("fox", "owl")


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    ran = run_command(
        "train.py", *TINY, "data=image_folder", f"data.root={photos}", f"data.unseen=[{','.join(UNSEEN)}]",
        "data.image_size=32", "model=resnet", "data.train_size=null", "data.test_size=null",
        logs=tmp_path_factory.mktemp("trained"),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    return ran
