"""docs/layer_selection.md says of each selector what the table does."""

from __future__ import annotations

import re
from pathlib import Path

from unseen.selector_table import SELECTORS

TEXT = (Path(__file__).parents[2] / "docs/layer_selection.md").read_text(encoding="utf-8")


def test_each_selector_has_its_row() -> None:
    before_regrets = TEXT.partition("## What a choice costs")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", before_regrets, re.MULTILINE))
    assert list(rows) == list(SELECTORS)
    for name, selector in SELECTORS.items():
        images, direction, *_ = rows[name].split(" | ")
        assert images == ("seen test images, labels" if selector.split == "seen" else "unseen images")
        assert direction == ("the largest" if selector.larger_is_better else "the smallest")


def test_the_lines_of_python_run() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["scores"]["late"] > 0.5 > names["scores"]["early"]  # type: ignore[index]
