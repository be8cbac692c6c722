"""Hydra parses each file of configs/ again for every composition; tests compose hundreds of times in one process."""

from __future__ import annotations

import pickle
from pathlib import Path

from hydra._internal.config_repository import ConfigRepository
from hydra.plugins.config_source import ConfigResult

CONFIGS = Path(__file__).parents[1] / "configs"
_SOURCES = {"pkg://hydra.conf", f"file://{CONFIGS}", "structured://"}


def parse_once() -> None:
    """Keep what Hydra reads from the repository's own files, in this process; each composition gets a copy.

    Commands are processes of their own, and read the files themselves. So does whatever takes files from elsewhere.
    """
    read = ConfigRepository.load_config
    kept: dict[str, bytes] = {}

    def load_config(repository: ConfigRepository, config_path: str) -> ConfigResult | None:
        if not {source.full_path() for source in repository.get_sources()} <= _SOURCES:
            return read(repository, config_path)
        if config_path not in kept:
            kept[config_path] = pickle.dumps(read(repository, config_path))
        found: ConfigResult | None = pickle.loads(kept[config_path])
        return found

    ConfigRepository.load_config = load_config  # type: ignore[method-assign]
