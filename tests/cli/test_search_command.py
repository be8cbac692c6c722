"""A search by the real command: results go back to Optuna, and what comes again is not run again."""

from collections.abc import Callable

import pytest
import yaml
from tests.cli.conftest import BARE, TINY, Ran

pytestmark = pytest.mark.slow


def test_optuna_gets_g_of_every_trial(train: Callable[..., Ran]) -> None:
    ran = train(
        "-m", "hparams_search=optuna", "hydra.sweeper.n_trials=3", "model=resnet", "data=digits", *TINY,
        "trainer.max_steps=2", *BARE, "model.optimizer.weight_decay=0.0",
        "model.optimizer.lr=choice(0.001,1.0)",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    summaries = {folder: yaml.safe_load((folder / "summary.json").read_text()) for folder in ran.folders}
    assert 1 <= len(summaries) <= 2  # of three trials
    best = max(summary["g"] for summary in summaries.values())
    (results,) = ran.logs.rglob("optimization_results.yaml")
    found = yaml.safe_load(results.read_text())
    assert found["best_value"] == best
    chosen = {summary["g"]: folder for folder, summary in summaries.items()}[best]
    config = yaml.safe_load((chosen / "config.yaml").read_text())
    assert config["model"]["optimizer"]["lr"] == found["best_params"]["model.optimizer.lr"]
    assert f"best of 3: g {best:.3f} with model.optimizer.lr=" in ran.out


@pytest.mark.parametrize("launcher", ["isolated", "joblib"])
def test_what_nothing_reads_is_refused(launcher: str, train: Callable[..., Ran]) -> None:
    if launcher == "joblib":
        pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    ran = train("-m", f"hydra/launcher={launcher}", "optimized_metric=g", "model=vit")
    assert ran.code == 1
    assert "optimized_metric=g needs a search that reads it, such as hparams_search=optuna" in ran.err
