"""Any path survives being typed for Hydra."""

from __future__ import annotations

import random

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from unseen.runs.overrides import key_of, override

PIECES = [
    *"ab1'\"\\${}x,=[]() :%#~+é日\t;&*?!@^|<>`\n",
    "${x}",
    "\\${x}",
    "${oc.env:HOME}",
    "null",
    "true",
    "1e3",
]


def read_back(typed: str) -> str:
    value = OverridesParser.create().parse_override(typed).value()
    return str(OmegaConf.create({"ckpt_path": value, "x": "looked up"}).ckpt_path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/home/o'brien/last.ckpt",
        'a "b"',
        "a\\",
        "a\\'",
        "dol${x}lar",
        "\\${x}",
        "a=1,b=[2]{c}",
        "é 日\n",
        "null",
        "3",
    ],
)
def test_a_path_is_read_back_as_it_was(path: str) -> None:
    assert read_back(override("ckpt_path", path)) == path


def test_no_text_of_many_is_changed() -> None:
    draw = random.Random(0)
    for _ in range(2000):
        text = "".join(draw.choices(PIECES, k=draw.randint(0, 8)))
        assert read_back(override("ckpt_path", text)) == text


def test_the_setting_that_an_override_is_about() -> None:
    assert [key_of(typed) for typed in ("a.b=1", "+a=1", "++a=x,y", "~a", "hydra/launcher=joblib")] == [
        "a.b", "a", "a", "a", "hydra/launcher",
    ]  # fmt: skip
