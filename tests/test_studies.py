"""configs/study: each composes at both sizes, says what it asks, counts its jobs, and can be planned."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from tests.cli.conftest import run_command
from unseen.reporting.study_effects import About
from unseen.runs.cli import register_resolvers
from unseen.runs.schema import check_settings

CONFIGS = Path(__file__).parents[1] / "configs"
STUDIES = sorted(
    path.stem for path in (CONFIGS / "study").glob("[!_]*.yaml") if path.stem not in ("own", "published")
)


def composed(*overrides: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings, and what is swept."""
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", overrides=["paths.output_dir=out", *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    OmegaConf.set_struct(config, False)
    swept = {str(key): str(value) for key, value in config.hydra.sweeper.params.items()}
    config.pop("hydra")
    return OmegaConf.to_container(config, resolve=True), swept  # type: ignore[return-value]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_composes_and_says_what_it_asks(name: str) -> None:
    text = (CONFIGS / "study" / f"{name}.yaml").read_text(encoding="utf-8")
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    of_paper = re.search(rf"study={name} resume=true (experiment=calligraphy|size=paper)", comment)
    assert of_paper
    for size, typed in (("demo", ()), ("paper", (of_paper[1],))):
        plain, swept = composed(f"study={name}", *typed)
        about = About.model_validate(plain["study"])
        assert (about.name, plain["size"]) == (name, size)
        assert about.question in comment
        assert about.answer in comment.replace("An answer: ", "")
        jobs = BasicSweeper.split_arguments(
            OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in swept.items()]), None
        )[0]
        assert f"{size}: {len(jobs)} jobs" in comment
        check_settings(composed(f"study={name}", *typed, *jobs[-1])[0])
        assert about.reference.keys() <= swept.keys()
        for factor, level in about.reference.items():
            levels = [job_level(job, factor) for job in jobs]
            assert any(same(one, level) for one in levels), f"{factor} is never at its reference {level}"


def job_level(job: list[str], factor: str) -> str:
    return next(text.partition("=")[2] for text in job if text.partition("=")[0] == factor)


def same(typed: str, level: object) -> bool:
    if isinstance(level, bool) or not isinstance(level, int | float):
        return typed.lower() == str(level).lower()
    return math.isclose(float(typed), level)


@pytest.mark.parametrize(("name", "levels"), [("g3", "data.num_seen=5"), ("g5", "tuning=lora")])
def test_a_study_is_planned(name: str, levels: str, tmp_path: Path) -> None:
    """What is typed stands for the study's own list."""
    ran = run_command(
        "train.py", "-m", f"study={name}", levels, "data.split_seed=0", "plan=true", logs=tmp_path
    )
    jobs = {"g3": 3, "g5": 2}[name]
    assert f"{jobs} of {jobs} jobs would run" in ran.out, ran.out + ran.err
    assert f"studies/{name}/" in ran.out
    assert not list((tmp_path / "studies" / name).iterdir())


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (("train.py", "-m", "study=g99"), "study=g99 is not known"),
        (("train.py", "study=own"), "study=own is not known"),
        (("biases.py", "study=g4"), "study=g4 is not known; choose one of own, published"),
        (("train.py", "-m", "study=g3,g4"), "type a line for each study"),
        (("report.py", "study=a/b"), "write the name of one study, such as study=g4"),
        (("report.py", "study=g4"), "is not a folder"),
    ],
)
def test_a_study_that_is_not_there_is_one_sentence(
    line: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    ran = run_command(*line, logs=tmp_path)
    assert (ran.code, sentence in ran.err) == (1, True), ran.err
    assert not list(tmp_path.rglob("summary.json"))


@pytest.mark.slow
def test_two_studies_run_and_are_reported(tmp_path: Path) -> None:
    """Cut small: digits, a network from scratch, two steps."""
    tiny = (
        "data=digits", "data.num_unseen=3", "model=resnet", "data.train_size=72", "data.test_size=40",
        "data.unseen_per_class=12", "trainer.max_steps=2", "trainer.val_check_interval=2", "probe.n_init=1",
        "data.split_seed=0,1,2", "resume=true",
    )  # fmt: skip
    for line in (("study=g5", "tuning=full,head", "loss=cross_entropy"), ("study=g4", "seed=0")):
        ran = run_command("train.py", "-m", *line, *tiny, logs=tmp_path)
        assert ran.code == 0, ran.out + ran.err
    again = run_command("train.py", "-m", "study=g4", "seed=0", *tiny, "plan=true", logs=tmp_path)
    assert "0 of 3 jobs would run" in again.out
    ran = run_command("report.py", "study=g5", logs=tmp_path)
    assert "g5 (demo size): tuning, against full: the mean g ranges" in ran.out, ran.out + ran.err
    table = (tmp_path / "report" / "g5" / "tables" / "study_g5_demo.csv").read_text(encoding="utf-8")
    assert [line.split(",")[:2] for line in table.splitlines()[1:]] == [
        ["tuning", "full (reference)"], ["tuning", "head"], ["loss", "cross_entropy (reference)"],
    ]  # fmt: skip
    ran = run_command("report.py", "study=g4", f"out={tmp_path / 'mine'}", logs=tmp_path)
    assert "over 3 class splits × 1 seed" in ran.out
    assert "Study g4" in (tmp_path / "mine" / "index.html").read_text(encoding="utf-8")
