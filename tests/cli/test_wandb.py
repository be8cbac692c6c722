"""W&B without a key: no prompt, offline files, one closed run a job, in the sweep's group. Read back from the files."""

from __future__ import annotations

import csv
import glob
import json
import re
import shutil
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.cli.conftest import ROOT, TINY, Ran, run_command
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args
from wandb.sdk.lib.config_util import save_config_file_from_dict

from unseen.runs.dashboard import specification, workspace
from unseen.runs.identity import git_state
from unseen.scores import COLUMNS, ScoreTable

pytestmark = pytest.mark.slow

BLOCK, HEADER, FILE_HEADER = 32768, 7, 7
WHOLE, LAST = 1, 4
PROBES = ("nmi", "ami", "nn1", "nnk", "r_precision", "linear_probe")


def offline(home: Path) -> dict[str, str]:
    """Return what makes sure that no key is found."""
    return {"HOME": str(home), "WANDB_API_KEY": ""}


def records(folder: Path, run: str = "offline-run-*") -> list[Any]:
    """Read the records of an offline run: LevelDB's log format (blocks, pieces with checksum, length, kind)."""
    from wandb.proto import wandb_internal_pb2

    (path,) = (folder / "wandb").glob(f"{run}/*.wandb")
    data, at, piece, found = path.read_bytes(), FILE_HEADER, b"", []
    assert data.startswith(b":W&B")
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:  # too little left in the block for a header
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        piece += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in {WHOLE, LAST}:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(piece)
            found.append(record)
            piece = b""
    return found


def offline_runs(folder: Path) -> set[str]:
    return {path.name for path in (folder / "wandb").glob("offline-run-*")}


def kinds(kept: list[Any], kind: str) -> list[Any]:
    """Return the records of one kind."""
    return [getattr(record, kind) for record in kept if record.WhichOneof("record_type") == kind]


def values(items: Any) -> dict[str, Any]:
    """Return {key: value}, nested keys joined by a slash; the last of several wins."""
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def history(kept: list[Any]) -> list[dict[str, Any]]:
    return [values(record.item) for record in kinds(kept, "history")]


def merged(kept: list[Any], kind: str) -> dict[str, Any]:
    """Return the configuration or the summary as it stands at the end of the run."""
    return {key: value for record in kinds(kept, kind) for key, value in values(record.update).items()}


def logged_table(folder: Path, path: str) -> tuple[list[str], list[list[Any]]]:
    (file,) = (folder / "wandb").glob(f"offline-run-*/files/{path}")
    content = json.loads(file.read_text())
    return content["columns"], content["data"]


def rows_of(folder: Path) -> list[list[Any]]:
    """Return scores.csv as JSON has it: without a word for NaN."""
    return [
        [None if cell != cell else cell for cell in astuple(row)]  # noqa: PLR0124  (only NaN differs from itself)
        for row in ScoreTable.read(folder / "scores.csv")
    ]


def finished(ran: Ran) -> Path:
    (folder,) = (
        path
        for path in ran.folders
        if json.loads((path / "summary.json").read_text())["status"] == "finished"
    )
    return folder


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two jobs, of which the second fails before its last step."""
    logs = tmp_path_factory.mktemp("wandb")
    return run_command(
        "train.py", "-m", "logger=wandb", "model=resnet", "seed=0", *TINY, "trainer.log_every_n_steps=1",
        "+callbacks.saboteur._target_=tests.cli.saboteur.Saboteur", "+callbacks.saboteur.kind=none,raise",
        logs=logs, PYTHONPATH=str(ROOT), **offline(logs),
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(sweep: Ran) -> list[Any]:
    """The records of the job that finished."""
    return records(finished(sweep))


def test_each_job_is_a_closed_run_of_the_sweeps_group(sweep: Ran) -> None:
    assert sweep.code == 1
    ids, names = set(), set()
    for folder in sweep.folders:
        assert "W&B: no key" in (folder / "console.log").read_text()
        assert "W&B did not get" not in (folder / "console.log").read_text()
        summary = json.loads((folder / "summary.json").read_text())
        found = records(folder)
        (run,) = kinds(found, "run")
        ids.add(run.run_id)
        assert run.run_group == folder.parent.name
        assert (run.project, run.job_type) == ("unseen", "train")
        names.add(run.display_name)
        assert run.display_name.startswith("resnet-digits-max_steps=4-")
        assert run.display_name.endswith("-s0")
        assert len(run.display_name) <= 128
        assert set(run.tags) == {"resnet", "digits", "demo"}
        (end,) = kinds(found, "exit")
        assert end.exit_code == (0 if summary["status"] == "finished" else 1)
        # what a failed job found before it failed is there, too
        assert merged(found, "summary")["unseen/g"] == summary["g"]
        assert merged(found, "summary")["scores/nrows"] == len(ScoreTable.read(folder / "scores.csv"))
    assert len(ids) == len(names) == 2


def test_the_end_of_a_sweep_says_how_to_upload_it(sweep: Ran) -> None:
    (said,) = (line for line in sweep.out.splitlines() if "wandb sync" in line)
    typed = said.partition("wandb sync ")[2]
    assert sorted(glob.glob(typed, root_dir=ROOT)) == sorted(  # noqa: PTH207  (as a shell expands it)
        str(path) for folder in sweep.folders for path in (folder / "wandb").glob("offline-run-*")
    )


def test_the_whole_configuration_is_logged(sweep: Ran, kept: list[Any]) -> None:
    config, folder = merged(kept, "config"), finished(sweep)
    written = yaml.safe_load((folder / "config.yaml").read_text())
    for name in ("best_checkpoint", "last_checkpoint"):
        written["callbacks"][name]["dirpath"] = "./checkpoints"
    settings = written.keys() - {"paths", "logger"}
    assert {key: config[key] for key in settings} == {key: written[key] for key in settings}
    assert config["choices"] | {"model": "resnet", "data": "digits", "logger": "wandb"} == config["choices"]


def test_the_configuration_says_what_the_run_is_made_of(sweep: Ran, kept: list[Any]) -> None:
    config, facts = merged(kept, "config"), json.loads((finished(sweep) / "summary.json").read_text())
    assert config["parameters"] == facts["parameters"] > 10_000
    assert config["trainable_parameters"] == facts["trainable_parameters"]
    assert config["versions"] == facts["versions"]
    assert {"torch", "lightning", "timm", "unseen"} <= config["versions"].keys()
    assert config.get("git", {}) == git_state()
    assert not re.search(f"{re.escape(str(ROOT))}|{re.escape(str(sweep.logs))}", json.dumps(config))


def test_layers_are_in_tables_and_few_scalars_are_left(sweep: Ran, kept: list[Any]) -> None:
    """A column a layer and probe would be hundreds, with other names in every network."""
    scalars = {
        key for row in history(kept) for key, value in row.items() if isinstance(value, int | float)
    } - {key for row in history(kept) for key in row if key.startswith(("_", "depth", "scores/", "figures/"))}
    assert scalars == {
        "unseen/g", "unseen/best_layer", "unseen/best_depth", "unseen/nmi/last", "unseen/nmi/input",
        "seen/accuracy", "seen/loss", "train/loss", "train/lr", "epoch", "trainer/global_step",
    }  # fmt: skip
    scores = ScoreTable.read(finished(sweep) / "scores.csv")
    at_last = {
        row["trainer/global_step"]: row["unseen/nmi/last"]
        for row in history(kept)
        if "unseen/nmi/last" in row
    }
    assert at_last == {
        row.step: row.value for row in scores if (row.split, row.probe, row.depth) == ("unseen", "nmi", 1.0)
    }
    shown = merged(kept, "summary").keys()
    assert not [key for key in shown if re.match(r"(un)?seen/\w+/\d\d_", key)]


def test_the_step_axis_is_declared_once_and_is_the_optimisers(sweep: Ran, kept: list[Any]) -> None:
    axes = kinds(kept, "metric")
    assert [axis.name or axis.glob_name for axis in axes] == ["trainer/global_step", "*"]
    assert axes[1].step_metric == "trainer/global_step"
    evaluations = [row for row in history(kept) if "unseen/g" in row]
    table = ScoreTable.read(finished(sweep) / "scores.csv")
    assert [row["trainer/global_step"] for row in evaluations] == table.steps == [0, 2, 4]
    for row in evaluations:
        best = table.generalization(row["trainer/global_step"])
        assert best is not None
        assert row["unseen/g"] == pytest.approx(best.g, rel=1e-6)  # Lightning logs in single precision
        assert {"unseen/best_layer", "seen/accuracy", "unseen/nmi/input", "epoch"} <= row.keys()


def test_every_evaluation_has_its_curves_over_depth(sweep: Ran, kept: list[Any]) -> None:
    """One small table an evaluation; a chart a probe, seen and unseen a line each."""
    folder = finished(sweep)
    scores = ScoreTable.read(folder / "scores.csv")
    rows = [row for row in history(kept) if "depth/scores/path" in row]
    assert [row["trainer/global_step"] for row in rows] == scores.steps
    for row in rows:
        columns, data = logged_table(folder, row["depth/scores/path"])
        assert columns == ["step", "classes", "line", "layer", "layer_name", "depth", *PROBES]
        assert row["depth/scores/size"] < 3000
        found = {}
        for step, split, line, layer, name, depth, *numbers in data:
            assert line.startswith(f"{split}, {kinds(kept, 'run')[0].display_name} (")
            found |= {
                (step, split, layer, name, depth, probe): n for probe, n in zip(PROBES, numbers, strict=True)
            }
        assert found == {
            (one.step, one.split, one.layer, one.layer_name, one.depth, one.probe): one.value
            for one in scores.at(row["trainer/global_step"])
            if one.layer >= 0 and one.probe in PROBES
        }
    config = merged(kept, "config")
    for section in ("depth", "depth_by_step"):
        for probe in PROBES:
            panel = config[f"_wandb/visualize/{section}/{probe}"]["panel_config"]
            assert panel["fieldSettings"] == {"step": "depth", "lineKey": "line", "lineVal": probe}
            assert f'"{section}/scores"' in json.dumps(panel["userQuery"])
    columns, data = logged_table(folder, merged(kept, "summary")["depth_by_step/scores/path"])
    lines = {row[columns.index("line")].rpartition(",")[0] for row in data}
    assert lines == {f"{split}, step {step}" for split in ("unseen", "seen") for step in scores.steps}


def test_the_end_has_the_answer_the_score_table_and_two_figures(sweep: Ran, kept: list[Any]) -> None:
    folder = finished(sweep)
    summary, facts = merged(kept, "summary"), json.loads((folder / "summary.json").read_text())
    for key in ("g", "best_layer", "best_layer_name", "best_depth"):
        assert summary[f"unseen/{key}"] == facts[key]
    assert summary["seen/accuracy"] == facts["seen_accuracy"]
    columns, data = logged_table(folder, summary["scores/path"])
    assert columns == list(COLUMNS)
    assert data == rows_of(folder)
    for name in ("layers", "g_over_steps"):
        (file,) = (folder / "wandb").glob(f"offline-run-*/files/{summary[f'figures/{name}/path']}")
        with Image.open(file) as image:
            assert (image.format, min(image.size) > 400) == ("PNG", True)
            assert len(image.convert("RGB").getcolors(2**24) or []) > 20  # something is drawn
    media = list((folder / "wandb").glob("offline-run-*/files/media/**/*.*"))
    assert len(media) == 3 + 1 + 1 + 2  # evaluations, their curves, the scores, figures
    assert sum(file.stat().st_size for file in media) < 200_000


def test_watching_changes_no_number(sweep: Ran, tiny_run: Ran) -> None:
    assert (tiny_run.folder / "scores.csv").read_text() == (finished(sweep) / "scores.csv").read_text()


def test_it_is_not_imported_unasked(tmp_path: Path) -> None:
    short = (
        "trainer.max_steps=1",
        "trainer.val_check_interval=1",
        "probe.at_start=false",
        "probe.selectors=none",
    )
    ran = run_command("train.py", "model=resnet", *TINY, *short, logs=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert ran.code == 0, ran.out
    imported = {line.rpartition("|")[2].strip() for line in ran.err.splitlines()}
    assert {"torch", "unseen.runs.build"} <= imported
    assert not {"wandb.sdk", "wandb_workspaces", "vl_convert", "unseen.runs.wandb_view"} & imported


def test_a_resumed_run_is_a_run_of_its_own_with_all_scores(sweep: Ran, tmp_path: Path) -> None:
    """Offline W&B cannot go on in a run: uploading two under one id would overwrite the first."""
    folder = tmp_path / "run"
    shutil.copytree(finished(sweep), folder)
    (before,) = offline_runs(folder)
    ran = run_command(
        "train.py", "logger=wandb", "model=resnet", "seed=0", *TINY, "trainer.max_steps=6",
        f"ckpt_path='{folder}/checkpoints/last.ckpt'", f"hydra.run.dir='{folder}'",
        logs=tmp_path, **offline(tmp_path),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    (after,) = offline_runs(folder) - {before}
    found = records(folder, after)
    assert kinds(found, "run")[0].run_id != before.rpartition("-")[2]
    assert merged(found, "config")["ckpt_path"].endswith("last.ckpt")
    assert [row["trainer/global_step"] for row in history(found) if "unseen/g" in row] == [6]
    columns, data = logged_table(folder, merged(found, "summary")["scores/path"])
    assert sorted({row[columns.index("step")] for row in data}) == [0, 2, 4, 6]
    assert data == rows_of(folder)


def test_an_evaluation_is_named_after_what_it_scores(sweep: Ran, tmp_path: Path) -> None:
    """The checkpoint brings its network; its scores stand at its step. Two processes make one W&B run."""
    ran = run_command(
        "eval.py", "logger=wandb", f"ckpt_path='{finished(sweep)}/checkpoints/last.ckpt'", "probe.n_init=1",
        "trainer=ddp_cpu", "trainer.devices=2", logs=tmp_path, **offline(tmp_path),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    found = records(ran.folder)
    (run,) = kinds(found, "run")
    assert (run.job_type, run.run_group) == ("eval", "resnet-digits-n_init=1-ddp_cpu-devices=2")
    # evaluations of several checkpoints have names of their own
    assert run.display_name.startswith(
        f"{run.run_group}-s0@{finished(sweep).name[:15]}"
    )  # the same line with another seed is in its group
    assert set(run.tags) == {"resnet", "digits", "demo"}
    assert [row["trainer/global_step"] for row in history(found)] == [4] * len(history(found))
    assert merged(found, "summary")["unseen/g"] == ran.summary()["g"]
    assert merged(found, "config")["model"]["name"] == "resnet"


def test_measured_biases_are_a_closed_run_with_a_table(tiny_run: Ran, tmp_path: Path) -> None:
    """With TensorBoard beside it, which gets the same."""
    checkpoint = tiny_run.folder / "checkpoints" / "last.ckpt"
    ran = run_command(
        "biases.py", "logger=many", f"ckpt_path='{checkpoint}'", "measures=[low_frequency]", "limit=8",
        "benchmark=none", logs=tmp_path, **offline(tmp_path),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    assert "did not get" not in ran.err
    found = records(ran.folder)
    (run,) = kinds(found, "run")
    named = "resnet-digits-biases-low_frequency-limit=8-none-s0"
    assert (run.job_type, run.display_name.partition("@")[0]) == ("biases", named)
    assert run.display_name != named  # of which training run, too
    assert set(run.tags) == {"resnet", "digits-biases", "demo"}
    (end,) = kinds(found, "exit")
    assert end.exit_code == 0
    with (ran.folder / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    summary = merged(found, "summary")
    columns, data = logged_table(ran.folder, summary["scores/path"])
    assert columns == list(rows[0])
    shown = [["" if cell is None else str(cell) for cell in row] for row in data]
    assert shown == [list(row.values()) for row in rows]
    known = {f"biases/{row['measure']}/{row['images']}": float(row["value"]) for row in rows if row["value"]}
    assert "biases/accuracy/own_test_images" in known
    assert {name: summary[name] for name in known} == pytest.approx(known, rel=1e-6)
    board = EventAccumulator(str(next((ran.folder / "tensorboard").iterdir())))
    board.Reload()
    assert {name: board.Scalars(name)[0].value for name in known} == pytest.approx(known, rel=1e-6)
    (text,) = board.Tensors("scores/text_summary")
    assert b"| accuracy |" in text.tensor_proto.string_val[0]


def test_the_line_of_a_sweeps_agent_is_one_of_ours(tmp_path: Path) -> None:
    """Worded by W&B's own functions; W&B's server, which chooses the values, is the part that is not here."""
    spec = yaml.safe_load((ROOT / "examples/wandb_sweep.yaml").read_text())
    chosen = {key: {"value": parameter["values"][-1]} for key, parameter in spec["parameters"].items()}
    words = {f"${{{name}}}": values for name, values in create_sweep_command_args({"args": chosen}).items()}
    words |= {"${env}": ["/usr/bin/env"], "${interpreter}": ["python"], "${program}": [spec["program"]]}
    line = [word for part in create_sweep_command(spec["command"]) for word in words.get(part, [part])]
    assert line[:3] == ["/usr/bin/env", "python", "src/train.py"]
    save_config_file_from_dict(str(tmp_path / "config.yaml"), chosen)
    ran = run_command(
        Path(line[2]).name, *line[3:], *TINY, "probe.at_start=false", "trainer.val_check_interval=4",
        logs=tmp_path, WANDB_RUN_ID="fromagent", WANDB_SWEEP_ID="s1", **offline(tmp_path),
        WANDB_SWEEP_PARAM_PATH=str(tmp_path / "config.yaml"), WANDB_PROJECT="theirs", WANDB_DIR=str(tmp_path),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    found = records(ran.folder)
    (run,) = kinds(found, "run")
    assert (run.run_id, run.project, run.run_group) == (
        "fromagent",
        "theirs",
        run.display_name[: -len("-s2")],
    )
    config = values(run.config.update) | merged(found, "config")
    assert {key: config[key] for key in chosen} == {key: value["value"] for key, value in chosen.items()}
    assert config["model_settings"]["name"] == config["model"] == "resnet"
    assert config["model_settings"]["optimizer"]["lr"] == 0.003
    assert "locked" not in ran.out + ran.err
    assert spec["metric"]["name"] in merged(found, "summary")


def test_a_server_that_is_not_there_costs_a_note_and_no_run(tmp_path: Path) -> None:
    ran = run_command(
        "train.py", "logger=wandb", "+logger.wandb.log_model=true", "model=resnet", *TINY, "probe.at_start=false",
        "trainer.val_check_interval=4", logs=tmp_path,
        WANDB_API_KEY="0" * 40, WANDB_BASE_URL="http://127.0.0.1:9", WANDB_INIT_TIMEOUT="1", HOME=str(tmp_path),
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    assert ran.err.count("W&B could not begin this run") == 1
    assert "nothing is uploaded offline" in ran.err
    assert "Traceback" not in ran.out + ran.err
    assert "anonymous" not in ran.out + ran.err
    assert ran.summary()["status"] == "finished"
    assert merged(records(ran.folder), "summary")["unseen/g"] == ran.summary()["g"]
    assert [path.name for path in (ran.folder / "wandb").glob("run-*")] == []  # nothing of the first try


@pytest.mark.filterwarnings("ignore:Pydantic V1 style")  # wandb-workspaces' own
def test_the_dashboard_asks_for_what_runs_log(sweep: Ran, kept: list[Any]) -> None:
    spec = specification(workspace("unseen", "", "unseen"))["spec"]["section"]
    config, summary = merged(kept, "config"), merged(kept, "summary")
    columns = spec["runSets"][0]["runFeed"]["columnOrder"]
    panels = [
        panel["config"] for section in spec["panelBankConfig"]["sections"] for panel in section["panels"]
    ]
    settings = {column.partition(":")[2] for column in columns if column.startswith("config:")}
    settings |= {panel["groupBy"] for panel in panels if "groupBy" in panel}
    assert {"model.value.name", "seed.value"} <= settings
    for setting in settings:
        top, _, below = setting.partition(".value")
        assert config[top][below[1:]] if below else top in config
    wanted = {column.partition(":")[2] for column in columns if column.startswith("summary:")}
    wanted |= {
        panel[axis].partition("summary:")[2]
        for panel in panels
        for axis in ("xAxis", "yAxis")
        if panel.get(axis, "").startswith("summary:")
    }
    wanted |= {metric for panel in panels for metric in panel.get("metrics", [])}
    assert {"unseen/g", "seen/accuracy"} <= wanted <= summary.keys()
    assert all(
        panel["xAxis"] in summary for panel in panels if panel.get("metrics") and "vertical" not in panel
    )
    for panel in panels:
        for key in panel.get("mediaKeys", []):
            assert f"{key}/path" in summary
        if "fieldSettings" in panel:
            logged = config[f"_wandb/visualize/depth/{panel['fieldSettings']['lineVal']}"]["panel_config"]
            assert {key: logged[key] for key in ("panelDefId", "fieldSettings", "stringSettings")} == {
                key: panel[key] for key in ("panelDefId", "fieldSettings", "stringSettings")
            }
            assert '"depth/scores"' in json.dumps(panel["userQuery"])
