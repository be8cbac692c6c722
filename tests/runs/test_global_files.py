"""Files such as an experiment of one's own: the mistakes that are made in them."""

from pathlib import Path

import pytest

from unseen.runs.errors import UsageError, UserError
from unseen.runs.typed_line import prepare

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    (tmp_path / "experiment").mkdir()
    return tmp_path


def _write(own: Path, text: str) -> list[str]:
    (own / "experiment" / "mine.yaml").write_text(text)
    return ["--config-dir", str(own), "experiment=mine"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "mine.yaml changes settings of other groups: its first line must be # @package _global_"),
        ("seed: 5\n", "its first line must be # @package _global_"),
        (
            "# what it is for\n# @package _global_\nseed: 5\n",
            "its first line must be",
        ),  # Hydra overlooks it there
        ("# @package _global_\nmodel: swin\n", "write it under defaults:, as - override /model: swin"),
        (
            "# @package _global_\nlogger: wandb\n",
            "mine.yaml: logger: wandb would replace the settings of the group",
        ),
    ],
)
def test_one_sentence(text: str, says: str, own: Path) -> None:
    line = _write(own, text)
    for typed in (line, [*line[:2], "-m", "experiment=cifar100,mine"]):
        with pytest.raises(UserError) as caught:
            prepare(typed, CONFIGS, "train")
        assert says in str(caught.value)


def test_settings_of_this_machine_are_checked_too(own: Path) -> None:
    (own / "local").mkdir()
    (own / "local" / "default.yaml").write_text("seed: 3\n")
    with pytest.raises(UserError, match=r"local/default\.yaml changes settings of other groups"):
        prepare(["--config-dir", str(own)], CONFIGS, "train")


def test_a_sound_one_passes(own: Path) -> None:
    text = (
        "\n# @package _global_\n# mine\ndefaults:\n  - override /model: swin\nsize: demo\nmodel: {name: x}\n"
    )
    line = _write(own, text)
    assert prepare(line, CONFIGS, "train") == line


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"^--config-dir=/nowhere is not a folder$"):
        prepare(["--config-dir=/nowhere"], CONFIGS, "train")
