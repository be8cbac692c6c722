"""What one configuration shows, from runs whose numbers are known."""

import math
from pathlib import Path

import numpy as np
import pytest
from reporting.synthetic import Made, make_curves, make_run, put_nmi

from unseen.reporting.collect import collect
from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.layers.groups import group_runs
from unseen.reporting.run_files import range_of
from unseen.reporting.statistics.intervals import Estimate, estimate
from unseen.scores import Score


def configuration_of(root: Path) -> Configuration:
    ((config,), _) = group_runs(collect([root]).runs)
    return config


def test_one_configuration_by_hand(tmp_path: Path) -> None:
    make_curves(tmp_path, "cvt", [[0.1, 0.5, 0.3], [0.2, 0.7, 0.6]], pixels=0.2)
    config = configuration_of(tmp_path)
    assert config.g.best_layer == 1
    assert config.g.plain.mean == pytest.approx(0.6)
    assert config.score.mean == pytest.approx(0.6)  # each seed chooses layer 1 for the other
    assert config.lead.nmi.mean == pytest.approx(0.15)  # .2 and .1
    assert config.over_pixels.mean == pytest.approx(0.4)
    assert config.variation.residual == pytest.approx(0.1**2 * 2)  # .5 and .7
    assert not config.best_is_last
    assert config.noise is None


def test_intervals_end_where_the_scores_do(tmp_path: Path) -> None:
    """Three units far apart: by t the interval of their mean is .5 ± 4.303 · .4 / √3, far beyond 0 and 1."""
    make_curves(tmp_path, "cvt", [[0.1, 0.0], [0.5, 0.1], [0.9, 0.0]])
    config = configuration_of(tmp_path)
    assert config.g.best_layer == 0
    scores = (config.scores("unseen", "nmi")[0], config.band("unseen", "nmi")[0])
    for found in (config.score, *scores, *config.g_of_steps):
        assert (found.mean, found.low, found.high) == (pytest.approx(0.5), 0.0, 1.0)
    assert estimate(np.array([0.1, 0.5, 0.9])).low < -0.4  # not cut where the range is not known
    assert -1 < config.lead.nmi.low < -0.5  # .1, .4 and .9 above the last layer
    assert config.lead.nmi.high == 1.0
    ami = estimate(np.array([0.1, 0.5, 0.9])).within(*range_of("ami"))
    assert (ami.low < -0.4, ami.high) == (True, 1.0)
    assert math.isnan(Estimate(0.5, 0.1, n=2).within(0, 1).low)


def test_controls_are_read_where_they_are(tmp_path: Path) -> None:
    extra = tuple(
        Score(0, 0, "unseen", layer, f"stage{layer}", None, probe, value)
        for layer in (0, 1)
        for probe, value in (
            ("nmi_chance", 0.01),
            ("nmi_start_sd", 0.03),
            ("nmi_noise_0.5", 0.2),
            ("nmi_noise_2", 0.02),
        )
    )
    folder = make_run(tmp_path / "a", Made(model="cvt", data="digits", steps=(0,)))
    put_nmi(folder, [0.1, 0.4], extra=extra)
    config = configuration_of(tmp_path)
    levels = {kind: level.values.tolist() for kind, level in config.references("unseen", "nmi").items()}
    assert levels == {"chance": [0.01, 0.01], "pixels": [0.05, 0.05]}
    assert config.noise is not None
    assert config.noise.tolist() == [0.03, 0.03]
    assert [(level, values.tolist()) for level, values in config.destroyed] == [
        (0.5, [0.2, 0.2]),
        (2.0, [0.02, 0.02]),
    ]


def test_chance_and_ceiling_of_neighbours(tmp_path: Path) -> None:
    make_run(tmp_path / "a", Made(model="cvt", data="calligraphy"))
    config = configuration_of(tmp_path)
    levels = config.references("unseen", "nnk")
    assert levels["ceiling"].values.tolist() == [0.99] * 3
    assert levels["chance"].values.tolist() == [pytest.approx(99 / 499)] * 3  # five classes of 100
    assert config.references("seen", "linear_probe")["chance"].values.tolist() == [pytest.approx(1 / 15)] * 3
    assert list(config.references("unseen", "nmi")) == ["pixels"]  # chance not measured


def test_scores_of_each_unit(tmp_path: Path) -> None:
    for seed, curve in enumerate([[0.1, 0.5], [0.2, 0.6]]):
        made = Made(model="cvt", data="digits", seed=seed, steps=(0,))
        put_nmi(make_run(tmp_path / f"run{seed}", made), curve)
    found = configuration_of(tmp_path).of_each_unit("unseen", "nmi")
    assert [(name, scores.tolist()) for name, scores in found] == [
        ("seed 0", [0.1, 0.5]),
        ("seed 1", [0.2, 0.6]),
    ]
