"""A file of one's own that is no YAML, or looks up what is not there: a line, with the file's name."""

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "trainer:\n\tmax_steps: 2\n",
            "mine.yaml, line 3: while scanning for the next token, found character",
        ),
        ("data: {unseen: [cat\n", "mine.yaml, line 3: while parsing a flow sequence, expected"),
        ("seed: 1\nseed: 2\n", "mine.yaml, line 3: while constructing a mapping, found duplicate key seed"),
        ("seed: ${seeed}\n", "hydra.run.dir: Interpolation key 'seeed' not found"),
    ],
)
def test_one_line(text: str, says: str, tmp_path: Path, train) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}")
    ran = train("--config-dir", str(tmp_path), "experiment=mine")
    assert ran.code == 1
    assert ran.err.count("\n") == 1
    assert says in ran.err
