"""configs/study: each composes at both sizes, says what it asks, counts its jobs, and can be planned."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from tests.cli.conftest import run_command
from unseen.reporting.studies.study_about import About
from unseen.runs.cli import register_resolvers
from unseen.runs.own_folder import JOB
from unseen.runs.schema import check_job
from unseen.runs.typed_line import key_of, prepare
from unseen.runs.unread import check_read

CONFIGS = Path(__file__).parents[1] / "configs"
FOLDERS = {"train": CONFIGS / "study"} | {name: CONFIGS / "study" / name for name in ("biases", "transfer")}
STUDIES = [
    (command, path.stem)
    for command, folder in FOLDERS.items()
    for path in sorted(folder.glob("[!_]*.yaml"))
    if path.stem not in ("own", "published")
]
LINE = re.compile(
    r"^# +python src/(\w+)\.py -m (study=\w+ resume=true(?: \S+)*)(?:  +(?:(demo|paper): (\d+) jobs)?.*)?$",
    re.MULTILINE,
)


def composed(command: str, *overrides: str) -> tuple[Any, dict[str, str]]:
    """Return the configuration, and what is swept."""
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose(command, overrides=["paths.output_dir=out", *overrides], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    OmegaConf.set_struct(config, False)
    swept = {str(key): str(value) for key, value in config.hydra.sweeper.params.items()}
    return config, swept


def jobs_of(command: str, line: str) -> tuple[dict[str, Any], list[list[str]], list[str]]:
    """Return the settings of a line, the overrides of each of its jobs, and what is typed for all of them."""
    typed = [one for one in prepare(["-m", *shlex.split(line)], CONFIGS, command) if not one.startswith("--")]
    parser = OverridesParser.create()
    several = [one for one in typed if parser.parse_override(one).is_sweep_override()]
    config, swept = composed(command, *(one for one in typed if one not in several))
    swept = {key: value for key, value in swept.items() if key not in map(key_of, typed)}
    swept |= {key_of(one): one.partition("=")[2] for one in several}
    jobs = BasicSweeper.split_arguments(
        parser.parse_overrides([f"{key}={value}" for key, value in swept.items()]), None
    )
    plain = check_job(config)
    return plain, jobs[0], [one for one in typed if one not in several]


@pytest.fixture
def trained(tmp_path: Path) -> str:
    """A folder with two finished trainings, one that failed, and a run of biases.py."""
    for name, content in {
        "a": '{"status": "finished"}',
        "it's b": '{"status": "finished"}',
        "c": '{"status": "failed"}',
        "d": '{"status": "finished", "kind": "biases"}',
    }.items():
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        (tmp_path / name / "checkpoints" / "last.ckpt").touch()
        (tmp_path / name / "summary.json").write_text(content)
    return str(tmp_path)


@pytest.mark.parametrize(("command", "name"), STUDIES)
def test_a_study_composes_and_says_what_it_asks(
    command: str, name: str, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JOB, "1")
    text = (FOLDERS[command] / f"{name}.yaml").read_text(encoding="utf-8")
    comment = " ".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    lines = [one for one in LINE.findall(text) if one[0] == command]
    for timed in re.findall(r"^#  .*(?:jobs|a job a network)\b(.*)$", text, re.MULTILINE):
        # a number that somebody measured, or none
        assert re.match(r", (time not measured|\d+ minutes )", timed)
    of_others = (
        command == "biases" and ("train", name) in STUDIES
    )  # a job a network, whose training is another line
    lines = lines[:1] if of_others else [one for one in lines if one[2]]
    assert [size for *_, size, _ in lines] == ([""] if of_others else ["demo", "paper"])
    for _, line, size, number in lines:
        assert line.startswith(f"study={name} resume=true")
        more = f" runs='{trained}'" if of_others else ""
        plain, jobs, typed = jobs_of(command, line + more)
        about = About.model_validate(plain["study"])
        assert about.name == name
        if not of_others:
            assert about.question in comment
            assert about.answer in comment.replace("An answer: ", "")
        if command != "biases":  # whose networks are of the papers' size
            assert plain["size"] == size
        assert len(jobs) == (2 if of_others else int(number))
        config, _ = composed(command, *typed, *jobs[-1])
        check_read(command, config, config, check_job(config))
        swept = {key_of(one) for one in jobs[0]}
        assert about.reference.keys() <= swept
        for factor, level in about.reference.items():
            levels = [job_level(job, factor) for job in jobs]
            assert any(same(one, level) for one in levels), f"{factor} is never at its reference {level}"


def test_the_networks_of_trainings_are_swept(trained: str) -> None:
    _, jobs, _ = jobs_of("biases", f"study=x1 runs='{trained}'")
    assert jobs == [[f"ckpt_path='{trained}/a'"], [f"ckpt_path='{trained}/it\\'s b'"]]


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
        (
            ("train.py", "study=own"),
            "study=own is no study of train.py; type python src/biases.py study=own or",
        ),
        (
            ("biases.py", "study=g4"),
            "study=g4 is no study of biases.py; type python src/train.py -m study=g4",
        ),
        (("biases.py", "-m", "study=g99"), "study=g99 is not known"),
        (("biases.py", "study=x1"), "study=x1 is a sweep: add -m, as in python src/biases.py -m study=x1"),
        (("biases.py", "-m", "study=x1"), "no finished run of train.py with checkpoints/last.ckpt is in"),
        (("train.py", "-m", "study=g3,g4"), "type a line for each study"),
        (("report.py", "study=a/b"), "write the name of one study, such as study=g4"),
        (("report.py", "study=g4"), "study=g4 has no runs: there is no folder"),
    ],
)
def test_a_study_that_is_not_there_is_one_sentence(
    line: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    ran = run_command(*line, logs=tmp_path)
    assert (ran.code, sentence in ran.err) == (1, True), ran.err
    assert not list(tmp_path.rglob("summary.json"))
