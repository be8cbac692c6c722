"""What the figures of the study draw, as numbers of their specifications and as SVG."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import vl_convert

from unseen.reporting.biases.correlations import (
    Correlation,
    correlate_biases,
    correlate_subsets,
)
from unseen.reporting.biases.heat_maps import bias_heat_map, group_heat_map
from unseen.reporting.biases.networks import Networks, published_networks
from unseen.reporting.biases.pass_curves import pass_curves
from unseen.reporting.biases.scatter_panels import attack_of, rhos_of, scatter
from unseen.reporting.theme import FILES, PAGE


@pytest.fixture(scope="module")
def networks() -> Networks:
    return published_networks()


@pytest.fixture(scope="module")
def rows(networks: Networks) -> list[Correlation]:
    return correlate_subsets(networks)


def points(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["m"]: row for row in spec["layer"][0]["data"]["values"]}


def test_attack_marks_grow_with_eps(networks: Networks, rows: list[Correlation]) -> None:
    spec = scatter(networks, "shape_bias", "ID", rhos_of(rows, "shape_bias", "ID"), FILES)
    found = points(spec)
    assert len(found) == 48
    assert len([name for name in networks.names if attack_of(name)]) == 15
    # (eps + 1) / 5: 1.8 for Linf 8, 0.8 for L2 3
    strong, weak = found["robust_resnet50_linf_eps8.0"], found["robust_resnet50_l2_eps3"]
    assert strong["s"] / weak["s"] == pytest.approx(1.8 / 0.8)
    assert (strong["k"], strong["a"], weak["k"], weak["a"]) == ("Linf", "Linf, eps 8/255", "L2", "L2, eps 3")
    assert (found["tv_resnet50"]["k"], found["tv_resnet50"]["c"]) == ("none", "baseline")
    assert spec["title"]["subtitle"] == "ρ −.76 · AT −.98 · other −.60"


def test_what_is_not_significant_is_in_brackets_and_without_colour(rows: list[Correlation]) -> None:
    cells = group_heat_map(rows, FILES)["hconcat"][0]["layer"][0]["data"]["values"]
    assert len(cells) == 24
    of = {(cell["b"], cell["g"]): cell for cell in cells}
    assert (of["shape bias", "Concepts"]["t"], of["shape bias", "Concepts"]["sig"]) == ("(.14)", False)
    assert (of["shape bias", "ID"]["t"], of["shape bias", "ID"]["sig"]) == ("−.76", True)
    # p .045 of 24 tests: coloured, with a dagger
    lost = group_heat_map(rows, FILES)["hconcat"][0]["layer"][2]["data"]["values"]
    assert [(cell["b"], cell["g"]) for cell in lost] == [
        ("low-frequency bias", "Concepts"),
        ("critical band: bandwidth", "Concepts"),
        ("critical band: peak-noise sensitivity", "ID"),
    ]


def test_a_network_without_the_group_is_a_line(networks: Networks, rows: list[Correlation]) -> None:
    own = replace(networks.only([0, 1]), names=("mine", "other"), groups={"ID": np.array([60.0, math.nan])})
    spec = scatter(networks, "shape_bias", "ID", rhos_of(rows, "shape_bias", "ID"), FILES, own)
    drawn = {
        layer["mark"]["type"]: [row["m"] for row in layer["data"]["values"]] for layer in spec["layer"][1:]
    }
    assert drawn == {"rule": ["other"], "point": ["mine"], "text": ["mine"]}


@pytest.mark.parametrize("theme", [FILES, PAGE], ids=["files", "page"])
def test_every_kind_is_drawn(networks: Networks, rows: list[Correlation], theme: Any) -> None:
    for spec, marks in (
        (group_heat_map(rows, theme), 72),
        (bias_heat_map(correlate_biases(networks), theme), 30),
        (pass_curves(networks, "low_pass", theme), 48),
        (scatter(networks, "high_freq_bias", "ID", {}, theme), 48),
    ):
        fixed = spec if isinstance(spec.get("width"), int) or "hconcat" in spec else spec | {"width": 200}
        svg = vl_convert.vegalite_to_svg(fixed)
        assert svg.count('aria-roledescription="') >= marks
        assert "NaN" not in svg
