"""The whole job, in fresh processes, against the flow that a researcher would write: `whole_job`.

The job: ConvNeXtV2-atto from scratch, calligraphy at 64 px, 60 steps of batch 72, evaluations at steps 0, 30 and 60 of
2,500 unseen and 2,500 seen images. Five pairs of it do not fit into ten minutes, so the default size cuts it to a
twelfth: 5 steps and one evaluation of 625 + 625 images, a twelfth of the 60 steps and of the 15,000 images that are
evaluated, and a twelfth of the training files. What a process pays however small its job is (imports, building the
network, what torch loads at the first step, leaving) must not be multiplied: in a cut job each process says when its
first step ended and when its last evaluation did, and the time between them is compared, on our side with the seconds
of decoding; one step more is made for that. `--full` runs the job itself and compares processes from start to end.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.children import run_child
from benchmarks.floors import forward_flops, job_flops
from benchmarks.rows import Row, paired
from benchmarks.setting import Setting
from benchmarks.timing import Pair
from unseen.data.sources.calligraphy import Calligraphy

STEPS, BATCH, EVALUATIONS = 60, 72, 3
TRAIN_IMAGES, EVAL_IMAGES = 9100, 2500  # evaluated: so many seen and so many unseen ones
SIDE = 64
TOLERANCE = 0.1  # of g: one k-means start scatters by up to 0.07, and the order of the images differs
NETWORK = (
    "model=timm", "model.name=convnextv2_atto", 'model.backbone.taps=[stem,"stages.*"]',
    "model.scheduler.warmup_steps=0", "model.optimizer.lr=1e-3",
)  # fmt: skip
DATA = (
    "data=calligraphy", f"data.image_size={SIDE}", f"data.batch_size={BATCH}", "data.rotation=10",
    "data.eval_deterministic=false", "data.train_size=null", "data.test_size=null", "data.unseen_per_class=null",
    "data.cache_gb=0",  # each run decodes, as the reference does
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One size of the job.

    Attributes:
        folder: Images of exactly this size, in seen/train, seen/test and unseen.
        steps: Training steps.
        every: Steps between evaluations.
        at_start: Whether step 0 is evaluated, too.
    """

    folder: Path
    steps: int
    every: int
    at_start: bool


@dataclass(frozen=True)
class Outcome:
    """What one process did.

    Attributes:
        seconds: From its start to its end.
        work: Of them, from the end of the first step to the end of the last evaluation; on our side with decoding.
        phases: Seconds by phase, as the process itself says.
        scores: Rows (step, split, layer) to the scores of a layer.
        accuracy: Of the seen images at the last step.
    """

    seconds: float
    work: float
    phases: dict[str, float]
    scores: dict[tuple[int, str, int], dict[str, float]]
    accuracy: float


def whole_job(setting: Setting) -> list[Row]:
    """Return the rows in float32 and in bfloat16."""
    try:
        root = setting.calligraphy_root()
    except FileNotFoundError as error:
        return [
            Row(name, "the whole job", at_least=target, not_measured=str(error))
            for name, target in (("whole_job", 2.4), ("whole_job/bf16", 3.0))
        ]
    with tempfile.TemporaryDirectory(prefix="unseen-bench-") as folder:
        return _measure(setting, root, Path(folder))


def _measure(setting: Setting, root: Path, folder: Path) -> list[Row]:
    cut = setting.size.cut
    setting.report("whole_job: laying out the images")
    evaluations = EVALUATIONS if cut == 1 else 1
    images = EVAL_IMAGES if cut == 1 else EVAL_IMAGES * EVALUATIONS // cut
    lay_out(root, folder / "job", train=TRAIN_IMAGES // cut, evaluated=images)
    job = Job(folder / "job", STEPS, STEPS // 2, at_start=True)
    if cut > 1:  # the first step is not counted
        job = Job(folder / "job", STEPS // cut + 1, STEPS // cut + 1, at_start=False)

    workers = _faster_workers(setting, job, folder)
    pairs, pairs16, outcomes = _pairs(setting, job, folder, workers)
    return _rows(setting, pairs, pairs16, outcomes, workers, evaluations * 2 * images, images)


def _faster_workers(setting: Setting, job: Job, folder: Path) -> int:
    """Return the number of loader processes that makes the reference faster; the cut has no time to try."""
    if setting.size.cut > 1:
        return 0
    times = {}
    for workers in (0, 2):
        times[workers] = run_reference(job, folder, workers).seconds
        setting.report(
            f"whole_job: the reference with {workers} loader processes takes {times[workers]:.1f} s"
        )
    return min(times, key=lambda workers: times[workers])


def _pairs(
    setting: Setting, job: Job, folder: Path, workers: int
) -> tuple[list[Pair], list[Pair], dict[str, list[Outcome]]]:
    """Return pairs in float32, pairs in bfloat16 with the same references, and all outcomes by side."""
    outcomes: dict[str, list[Outcome]] = {"ours": [], "reference": [], "bf16": []}
    pairs, pairs16 = [], []
    for number in range(setting.pairs):
        if pairs and not setting.go_on():
            break
        for side in ("ours", "reference", "bf16") if number % 2 == 0 else ("bf16", "reference", "ours"):
            setting.report(f"whole_job: pair {number + 1} of {setting.pairs}: {side} runs")
            if side == "reference":
                outcomes[side].append(run_reference(job, folder, workers))
            else:
                precision = ("trainer.precision=bf16-mixed",) if side == "bf16" else ()
                outcomes[side].append(run_ours(job, folder, *precision))
        took = {side: _counted(some[-1], setting) for side, some in outcomes.items()}
        pairs.append(Pair(took["ours"], took["reference"]))
        pairs16.append(Pair(took["bf16"], took["reference"]))
        setting.show_pair("whole_job")(number, pairs[-1])
    return pairs, pairs16, outcomes


def _counted(outcome: Outcome, setting: Setting) -> float:
    """Return the seconds that are compared: of a cut job, without what is not cut."""
    return outcome.work if setting.size.cut > 1 else outcome.seconds


def _rows(
    setting: Setting,
    pairs: list[Pair],
    pairs16: list[Pair],
    outcomes: dict[str, list[Outcome]],
    workers: int,
    embedded: int,
    images: int,
) -> list[Row]:
    import timm

    cut = setting.size.cut
    steps = STEPS // cut
    flops = forward_flops(timm.create_model("convnextv2_atto", num_classes=15), SIDE)
    training = job_flops(flops, trained=steps * BATCH, embedded=0)
    evaluating = setting.floors.matmul_seconds(job_flops(flops, trained=0, embedded=embedded))
    at_best = {
        "ours": setting.floors.matmul_seconds(training) + evaluating,
        "bf16": setting.floors.matmul_seconds(training, bfloat16=True)
        + evaluating,  # evaluations are in float32
    }
    part = "the job" if cut == 1 else f"one part in {cut} of the job"
    part += ", start-up and first step taken off" if cut > 1 else ", start-up included"
    last = {side: some[-1] for side, some in outcomes.items()}
    start_up = {
        side: median(outcome.seconds - outcome.work for outcome in some) for side, some in outcomes.items()
    }
    rows = []
    for name, side, target, some in (
        ("whole_job", "ours", 2.4, pairs),
        ("whole_job/bf16", "bf16", 3.0, pairs16),
    ):
        scores = compare(last[side], last["reference"])
        row = paired(
            name,
            f"{part}: {steps} steps of {BATCH}, {embedded} images evaluated, {SIDE} px, ConvNeXtV2-atto"
            f"{', bf16-mixed' if side == 'bf16' else ''}, python src/train.py against benchmarks/reference_flow.py",
            some,
            at_least=target,
            floor=at_best[side],
        )
        row.details = {
            "scores": scores,
            "phases": {"ours": last[side].phases, "reference": last["reference"].phases},
            "start_up": {"ours": start_up[side], "reference": start_up["reference"]},
            "reference_workers": workers,
        }
        row.notes = [
            f"scores {'agree' if scores['equal'] else 'DIFFER'}: g {scores['g'][0]:.3f} against {scores['g'][1]:.3f} (allowed difference {TOLERANCE}, k-means starts once), "
            f"seen accuracy {scores['accuracy'][0]:.3f} against {scores['accuracy'][1]:.3f}",
            f"the reference has {workers} loader processes ({'--full takes the faster of 0 and 2' if cut > 1 else 'faster'}); it "
            "does not score raw pixels, ours does",
        ]
        if cut > 1:
            mine = start_up[side] + cut * median(pair.ours for pair in some)
            theirs = start_up["reference"] + cut * median(pair.reference for pair in some)
            row.notes.append(
                f"start-up, first step and leaving {start_up[side]:.1f} s against {start_up['reference']:.1f} s; with it, {cut} times the cut would "
                f"take {mine:.0f} s against {theirs:.0f} s, a ratio of {theirs / mine:.2f}; neighbours grow with the square "
                f"of the {images} images, so the cut has less of them"
            )
        rows.append(row)
    return rows


def compare(ours: Outcome, theirs: Outcome) -> dict[str, Any]:
    """Return g and accuracy of both at the last step, and the largest difference of each probe over the layers."""
    step = max(step for step, _, _ in theirs.scores)
    g = [
        max(row["nmi"] for (at, split, _), row in side.scores.items() if at == step and split == "unseen")
        for side in (ours, theirs)
    ]
    differences: dict[str, float] = {}
    for place, row in theirs.scores.items():
        for probe, value in row.items():
            key = f"step {place[0]} {place[1]} {probe}"
            differences[key] = max(differences.get(key, 0.0), abs(value - ours.scores[place][probe]))
    return {
        "g": g,
        "accuracy": [ours.accuracy, theirs.accuracy],
        "largest_difference": differences,
        "equal": abs(g[0] - g[1]) <= TOLERANCE,
    }


# ------------------------------------------------------------------ the two sides
def run_ours(job: Job, folder: Path, *overrides: str) -> Outcome:
    """Run `python src/train.py` on a job."""
    with tempfile.TemporaryDirectory(dir=folder) as logs:
        stamp = Path(logs) / "stamp.json"
        began = time.time()
        seconds = run_child(
            [
                "src/train.py", *NETWORK, *DATA, f"data.root={job.folder}", f"trainer.max_steps={job.steps}",
                f"trainer.val_check_interval={job.every}", f"probe.at_start={str(job.at_start).lower()}",
                "probe.n_init=1", "trainer=cpu", "seed=0", "+callbacks.first_step._target_=benchmarks.first_step.FirstStep",
                f"+callbacks.first_step.path={stamp}", *overrides,
            ],
            UNSEEN_LOG_DIR=logs,
        )  # fmt: skip
        (summary_path,) = Path(logs).rglob("summary.json")
        summary = json.loads(summary_path.read_text(encoding="utf-8"))
        scores: dict[tuple[int, str, int], dict[str, float]] = {}
        with (summary_path.parent / "scores.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if int(row["layer"]) >= 0 and row["value"]:
                    place = (int(row["step"]), row["split"], int(row["layer"]))
                    scores.setdefault(place, {})[row["probe"]] = float(row["value"])
        decoding = re.search(
            r"decoded .* in ([\d.]+) s", (summary_path.parent / "train.log").read_text(encoding="utf-8")
        )
        times = json.loads(stamp.read_text(encoding="utf-8"))
    phases = {
        "total": seconds,
        "run": summary["seconds"],
        "evaluations": summary["probing_seconds"],
        "decoding": float(decoding.group(1)) if decoding else 0.0,
        "first_step": times["step"] - began,
        "end": times["end"] - began,
    }
    work = times["end"] - times["step"] + phases["decoding"]
    return Outcome(seconds, work, phases, scores, summary["seen_accuracy"])


def run_reference(job: Job, folder: Path, workers: int) -> Outcome:
    """Run `python -m benchmarks.reference_flow` on a job."""
    out = folder / "reference.json"
    seconds = run_child(
        [
            "-m", "benchmarks.reference_flow", "--data", str(job.folder), "--out", str(out), "--steps", str(job.steps),
            "--every", str(job.every), "--workers", str(workers), *(["--at-start"] if job.at_start else []),
        ]
    )  # fmt: skip
    found = json.loads(out.read_text(encoding="utf-8"))
    scores = {
        (evaluation["step"], split, layer): row
        for evaluation in found["evaluations"]
        for split in ("seen", "unseen")
        for layer, row in enumerate(evaluation[split])
    }
    work = found["phases"]["end"] - found["phases"]["first_step"]
    return Outcome(seconds, work, found["phases"], scores, found["evaluations"][-1]["seen_accuracy"])


def lay_out(root: Path, target: Path, *, train: int, evaluated: int) -> None:
    """Write about so many of the images to a folder, in seen/train, seen/test and unseen, classes in proportion.

    Args:
        root: A folder or zip archive with these three folders or with train and test, or a folder with such an archive.
        target: Where to.
        train: Training images; at least two of each class.
        evaluated: Seen test images, and unseen ones; at least two of each class.
    """
    archives = [root] if root.is_file() else sorted(root.glob("*.zip"))
    archive = zipfile.ZipFile(archives[0]) if archives else None
    files = archive.namelist() if archive else [str(path.relative_to(root)) for path in root.rglob("*.*")]
    by_class: dict[tuple[str, str], list[str]] = {}
    for name in sorted(files):
        place = _place(name)
        if place:
            by_class.setdefault(place, []).append(name)
    for part, wanted in (("seen/train", train), ("seen/test", evaluated), ("unseen", evaluated)):
        own = {key: some for key, some in by_class.items() if key[0] == part}
        total = sum(len(some) for some in own.values())
        if not total:
            raise FileNotFoundError(f"{root} has no folder {part} with images in folders, one a class")
        for (_, label), some in own.items():
            number = min(len(some), max(2, round(len(some) * wanted / total)))
            kept = [some[position * len(some) // number] for position in range(number)]
            (target / part / label).mkdir(parents=True, exist_ok=True)
            for name in kept:
                content = archive.read(name) if archive else (root / name).read_bytes()
                (target / part / label / Path(name).name).write_bytes(content)
    if archive:
        archive.close()


def _place(name: str) -> tuple[str, str] | None:
    """Return part (seen/train, seen/test, unseen) and class of a file, in either layout of data=calligraphy."""
    found = re.search(r"(?:^|/)(seen/train|seen/test|unseen|train|test)/([^/]+)/[^/]+\.\w+$", name)
    if found is None:
        return None
    part, label = found.groups()
    if part in {"train", "test"}:
        if label in (Calligraphy.default_unseen or ()):
            return ("unseen", label) if part == "train" else None
        return f"seen/{part}", label
    return part, label
