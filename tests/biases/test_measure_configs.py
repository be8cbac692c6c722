"""Every file of configs/measures makes a measure, under its own name."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from unseen.biases.measure import Measure

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONFIGS / "measures").glob("*.yaml")))
def test_makes_a_measure(name: str) -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        settings = compose("biases", overrides=[f"measures=[{name}]"])
    assert list(settings.measures) == [name]
    measure = instantiate(settings.measures[name])
    assert isinstance(measure, Measure)
    assert len(set(measure.columns)) == len(measure.columns) > 0
    assert (CONFIGS / f"measures/{name}.yaml").read_text(encoding="utf-8").startswith("# @package measures.")
