"""The examples in the documentation run as they are printed, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Ran

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_python(trained: Ran, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my/photos").symlink_to(photos)
    (tmp_path / "logs/train/runs").mkdir(parents=True)
    (tmp_path / "logs/train/runs/my_run").symlink_to(trained.folder)
    page = (DOCS / "python.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for block in BLOCK.finditer(page):
        line = page.count("\n", 0, block.start(1))
        exec(compile("\n" * line + block[1], "docs/python.md", "exec"), names)
    assert names["scores"]["nmi"] > 0.6
    assert names["table"].shape[0] == 6
    assert len(names["result"]) == 7
    assert len(names["made"]) == 100
    assert names["made"].layer == names["run"].layers.best_layer
    assert (tmp_path / "photos.npz").is_file()
