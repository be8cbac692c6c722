"""Every study runs to its report: each value of each of its settings once, as with debug=tiny, cut smaller still."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.cli.conftest import ROOT, environment, run_command
from tests.cli.warm_python import warm_python
from tests.test_studies import STUDIES, jobs_of

from unseen.reporting.build import build_report

pytestmark = pytest.mark.slow
SMALL = "data.test_size=40 data.unseen_per_class=12 trainer.val_check_interval=2"
DIGITS = f"{SMALL} data=digits data.num_unseen=3"
RESNET = f"{DIGITS} model=resnet"
# What is typed beside study=NAME debug=tiny: values of the papers' size that the demo has not, and fewer networks.
TRAINED = {
    "b7": f"{RESNET} induce=plain,blur,adversarial,pruned",
    "g1": f"{RESNET} model.optimizer.lr=1e-3,2e-3",
    "g2": f"{SMALL} model=resnet data=textures,digits",
    "g3": f"{SMALL} model=resnet data.num_unseen=2,5 data.num_seen=10,5 data.train_size=80",
    "g4": RESNET,
    "g5": f"{RESNET} tuning=full,head,bitfit,lora,last_n loss=cross_entropy,label_smoothing,supcon",
    "g6": f"{RESNET} model.name=resnet",
    "g7": f"{SMALL} model=resnet data=digits",
    "g8": f"{RESNET} data.train_size=300",
    "g9": f"{DIGITS} model=resnet,poolformer data.unseen_per_class=24",
    "g10": f"{DIGITS} model=swin",
    "g11": f"{RESNET} data.split_seed=0,1,2",
    "w1": f"{RESNET} data.split_seed=0,1,2",
    "w2": f"{RESNET} trainer.max_steps=200,600",
    "w3": RESNET,
    "w4": f"{SMALL} model=resnet data.train_size=80 data.cue_agreement=0,1",
    "w5": f"{RESNET} data.split_seed=0,1,2",
    "w6": f"{RESNET} model.loss.weight=0,1",
    "x1": f"{DIGITS} model=resnet,poolformer",
}
# on networks from scratch and three to nine images of noise
NOISE = "model=resnet,poolformer size=demo model.pretrained=false"
MEASURED = {
    "b1": f"{NOISE} limit=3",
    "b5": f"{NOISE} limit=3,6",
    "b7": "limit=3 measures.adversarial.steps=1 'runs=[${paths.log_dir}/studies/b7/train/0]'",
    "b8": f"{NOISE} limit=3 measures.adversarial.steps=1",
    "x1": "limit=3 measures.adversarial.steps=1",
}
# CLIP as at the papers' size, but for its architecture
CLIP = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
ENCODER = "++encoder.architecture=tiny_clip ++encoder.pretrained=null limit=75 others=[digits]"
ONE = f"{ENCODER} model=clip_vit_b32"
TASKS = f"{ONE} tuning=adapter data=digits,typefaces,textures,letters,faces"
TASK = f"{ONE} data=faces"
TRANSFERRED = {
    "i1": TASKS.replace(",faces", ""),
    "i2": TASKS,
    "i3": TASK,
    "i4": f"{ONE} data=digits",
    "i5": f"{ENCODER} data=faces model=clip_vit_b32,siglip_vit_b16",
    "i6": f"{TASK} replay=0.0,1.0",
    "i6_ratio": f"{TASK} technique.ratio=0.2,0.8",
    "i7": f"{TASK} tuning=adapter,attention",
}
RUN = {"train": TRAINED, "biases": MEASURED, "transfer": TRANSFERRED}
# whose runs are compared over class splits
WHOLE_GRID = {"w1"}
# one study of each kind of analysis, and words of its report
REPORTED = {
    "w1": "w1 (demo size): optimizer, against adamw",
    "g9": "g9 (demo size): ",
    "g11": "g11 (demo size): ",
    "w5": "w5 (demo size): ",
    "x1": "Biases and g of 2 networks",
    "b7": "b7 (demo size): induce, against plain",
    "b1": "b1 (demo size): ",
    "b5": "b5 (demo size): ",
    "i1": "i1 (demo size): ",
    "i2": "i2 (demo size): ",
    "i3": "i3 (demo size): ",
    "i4": "i4 (demo size): ",
    "i7": "i7 (demo size): ",
}


def every_value(jobs: Sequence[list[str]]) -> list[list[str]]:
    """Few jobs of a grid that together have each value of each setting, in the order of the grid."""
    left = {typed for job in jobs for typed in job}
    chosen = []
    while left:
        chosen.append(max(jobs, key=lambda job: len(left.intersection(job))))
        left.difference_update(chosen[-1])
    return [job for job in jobs if job in chosen]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Iterator[Studies]:
    logs = tmp_path_factory.mktemp("logs")
    (logs / "architectures").mkdir()
    (logs / "architectures" / "tiny_clip.json").write_text(json.dumps(CLIP))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNSEEN_LOG_DIR", str(logs))
        yield Studies(logs, pictures)


@dataclass
class Studies:
    """Studies that are run when they are needed, each once."""

    logs: Path
    pictures: Path
    _ran: dict[tuple[str, str], list[tuple[str, list[str], str]]] = field(default_factory=dict)

    def ran(self, command: str, name: str) -> list[tuple[str, list[str], str]]:
        """Return command, overrides and folder of each job."""
        if (command, name) not in self._ran:
            if command == "biases" and name in TRAINED:  # whose networks it measures
                self.ran("train", name)
            self._ran[command, name] = self._run(command, name)
        return self._ran[command, name]

    def _run(self, command: str, name: str) -> list[tuple[str, list[str], str]]:
        _, jobs, of_all = jobs_of(command, f"study={name} debug=tiny {RUN[command][name]}")
        place, file = self.logs / "tiny" / "studies" / name / command, self.logs / f"{command}_{name}.json"
        planned = [
            (command, [*of_all, *job], str(place / str(number)))
            for number, job in enumerate(jobs if name in WHOLE_GRID else every_value(jobs))
        ]
        file.write_text(json.dumps(planned))
        images = {"UNSEEN_DATA_DIR": str(self.pictures)} if command == "biases" else {}
        warm_python().run(
            ROOT / "tests" / "cli" / "study_jobs.py", [str(file), str(self.logs / "architectures")],
            cwd=ROOT, env=environment(self.logs, **images), timeout=240,
        )  # fmt: skip
        return planned


def test_no_study_is_forgotten() -> None:
    assert {(command, name) for command, studies in RUN.items() for name in studies} == set(STUDIES)


@pytest.mark.parametrize(("command", "name"), STUDIES)
def test_a_study_runs(command: str, name: str, studies: Studies) -> None:
    for _, overrides, folder in studies.ran(command, name):
        path = Path(folder) / "summary.json"
        summary = json.loads(path.read_text()) if path.is_file() else {}
        assert summary.get("status") == "finished", (overrides, summary.get("reason"))


@pytest.mark.parametrize("name", REPORTED)
def test_a_study_is_reported(name: str, studies: Studies, tmp_path: Path) -> None:
    studies.ran(next(command for command in ("biases", "transfer", "train") if name in RUN[command]), name)
    made = build_report([studies.logs / "tiny" / "studies" / name], tmp_path)
    assert made.left_out == 0
    assert any(REPORTED[name] in sentence for sentence in made.summaries), made.summaries
    assert not any(".npz" in sentence for sentence in made.summaries)  # a file that could not be read


def test_the_line_of_a_study_knows_the_runs_and_its_report_is_a_line(studies: Studies) -> None:
    studies.ran("train", "w1")
    logs = studies.logs
    line = ("-m", "study=w1", "debug=tiny", *shlex.split(TRAINED["w1"]), "resume=true", "plan=true")
    again = run_command("train.py", *line, logs=logs)
    assert "0 of 6 jobs would run" in again.out, again.out + again.err
    ran = run_command("report.py", "study=w1", "debug=tiny", logs=logs)
    assert "w1 (demo size): optimizer, against adamw: the mean g ranges" in ran.out, ran.out + ran.err
    out = logs / "tiny" / "report" / "w1"
    assert "Study w1" in (out / "index.html").read_text(encoding="utf-8")
    with (out / "tables" / "study_w1_demo.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert [row[:2] for row in rows] == [["optimizer", "adamw (reference)"], ["optimizer", "sam"]]
