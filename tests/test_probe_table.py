"""The table of probes is what suite, settings, docs and report read."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest
import yaml

from unseen.probe_table import PROBES, SCORES, SETTINGS

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_probe_takes_the_settings_that_its_entry_names(probe) -> None:
    module, name = probe.function.split(":")
    taken = list(signature(getattr(import_module(module), name)).parameters)
    assert taken == ["features", "labels", *probe.settings]


def test_every_setting_is_read_and_has_a_value_in_the_configuration() -> None:
    assert {name for probe in PROBES for name in probe.settings} == set(SETTINGS)
    configured = yaml.safe_load((ROOT / "configs/probe/default.yaml").read_text(encoding="utf-8"))
    assert set(SETTINGS) < set(configured)
    for name, setting in SETTINGS.items():
        setting.check(name, configured[name])


def test_every_score_is_documented_and_refers_to_scores_of_the_table() -> None:
    measures = (ROOT / "docs/measures.md").read_text(encoding="utf-8")
    for score in SCORES.values():
        assert f"| `{score.name}` |" in measures
        assert score.ceiling is None or score.ceiling in SCORES
        if score.chance and isinstance(score.chance.level, str):
            assert score.chance.level in SCORES
    ranks = [score.screen for score in SCORES.values() if score.screen]
    assert sorted(ranks) == list(range(1, len(ranks) + 1))
