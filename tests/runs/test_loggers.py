"""Settings of the W&B logger that cannot be, and a W&B that breaks while a network is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unseen.runs.loggers import wandb_logger
from unseen.runs.wandb_view import PatientWandbLogger


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"save_dir": "x"}, "logger.wandb.save_dir is not a setting here"),
        ({"projekt": "x"}, "logger.wandb.projekt is not a setting here"),
        ({"entty": "x"}, r"\(did you mean entity\?\)"),
        ({"offline": "maybe"}, "logger.wandb.offline must be true or false"),
        ({"log_model": 3}, "logger.wandb.log_model true, false or all"),
    ],
)
def test_settings_that_are_none(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wandb_logger(str(tmp_path), project="p", job_type="train", **settings)


def test_a_mode_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "nonsense")
    with pytest.raises(
        ValueError, match="WANDB_MODE=nonsense is not a mode of W&B; choose one of online, offline"
    ):
        wandb_logger(str(tmp_path), project="p", job_type="train")


def test_a_project_that_no_run_can_have(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"W&B takes no run with these settings of logger\.wandb: Invalid project name"
    ):
        wandb_logger(str(tmp_path), project="a/b:c", job_type="train", offline=True)


def test_what_breaks_in_the_middle_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def log(self, data: dict[str, Any]) -> None:
            raise ConnectionResetError("Connection lost")

        @property
        def config(self) -> Any:
            raise ConnectionResetError("Connection lost")

    logger = PatientWandbLogger(experiment=Broken(), offline=True)
    logger.log_hyperparams({"a": 1})
    logger.log_metrics({"x": 1.0}, 1)
    logger.log_metrics({"x": 2.0}, 2)
    told = " ".join(capsys.readouterr().err.split())
    assert told.count("W&B did not get") == 1
    assert "Connection lost; the run goes on" in told
