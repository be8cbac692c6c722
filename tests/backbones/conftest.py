"""Fixtures for the backbone tests: model configurations composed as the program composes them."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from unseen.backbones.protocol import Backbone

CONFIGS = Path(__file__).parents[2] / "configs"

# What the rest of the configuration gives to a model: the size, and the recipe that goes with it.
ROOT = """
defaults: [_self_, model: {model}]
size: {size}
recipe: {{pretrained: {pretrained}, lr: 1.0e-3, warmup_steps: 20, schedule_epochs: null}}
hydra: {{searchpath: ["file://{configs}"]}}
"""

ComposeModel = Callable[..., DictConfig]


@pytest.fixture(scope="session")
def compose_model(tmp_path_factory: pytest.TempPathFactory) -> ComposeModel:
    """compose_model("vit", "demo", *overrides, pretrained=False) -> the model's part of the configuration."""

    @cache
    def composed(model: str, size: str, *overrides: str, pretrained: bool = False) -> DictConfig:
        root = tmp_path_factory.mktemp("root")
        text = ROOT.format(model=model, size=size, pretrained=str(pretrained).lower(), configs=CONFIGS)
        (root / "root.yaml").write_text(text)
        with initialize_config_dir(str(root), version_base="1.3"):
            return compose("root", list(overrides)).model

    return composed


@pytest.fixture(scope="session")
def paper_on_meta(compose_model: ComposeModel) -> Callable[[str], Backbone]:
    """paper_on_meta("vit") -> the paper's network for 15 classes at 224 px: shapes without memory or arithmetic."""

    @cache
    def built(model: str) -> Backbone:
        with torch.device("meta"):
            return instantiate(compose_model(model, "paper", "model.pretrained=false").backbone).build(
                15, 224
            )

    return built


@pytest.fixture(scope="session")
def reference() -> dict[str, Any]:
    """Published layer shapes and parameter counts, and pooled values of a fixed random array."""
    return json.loads((Path(__file__).parent / "reference.json").read_text())
