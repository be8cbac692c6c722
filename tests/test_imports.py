"""The arrows of the house: who may import whom."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "unseen"
# package: what of ours it may import
ALLOWED: dict[str, set[str]] = {
    "probe_table": set(),
    "selector_table": set(),
    "scores": {"atomic_files", "regular_files", "probe_table", "selector_table"},
    "atomic_files": set(),
    "class_sheet": {"regular_files"},
    "regular_files": set(),
    "run_folder": {"atomic_files", "scores", "selector_table"},
    "run_state": {"regular_files"},
    "threads": set(),
    "freed_memory": set(),
    "full_precision": set(),
    "wording": set(),
    "distributed": set(),
    "process_rank": set(),
    "settings": {"probe_table", "selector_table"},
    "probes": {"probe_table", "selector_table"},
    "layer_selection": {"probes"},
    "backbones": {"wording"},
    "biases": {"wording"},
    "transfer": {"wording"},
    "encoders": {"atomic_files", "backbones", "regular_files", "wording"},
    "image_sets": {"data", "process_rank", "regular_files", "atomic_files", "threads", "wording"},
    "data": {"process_rank", "regular_files", "threads", "wording"},
    "training": {"atomic_files", "backbones", "full_precision", "scores", "wording"},
    "callbacks": {
        "atomic_files",
        "backbones",
        "biases",
        "probes",
        "distributed",
        "full_precision",
        "scores",
        "selector_table",
        "run_folder",
        "wording",
    },
    "reporting": {
        "class_sheet",
        "probe_table",
        "atomic_files",
        "regular_files",
        "scores",
        "selector_table",
        "run_folder",
        "run_state",
        "settings",
        "wording",
    },
    "runs": {
        "backbones",
        "biases",
        "class_sheet",
        "encoders",
        "transfer",
        "image_sets",
        "distributed",
        "freed_memory",
        "full_precision",
        "data",
        "probes",
        "probe_table",
        "training",
        "callbacks",
        "reporting",
        "scores",
        "selector_table",
        "run_folder",
        "run_state",
        "atomic_files",
        "regular_files",
        "process_rank",
        "settings",
        "threads",
        "wording",
    },
    # what people call from Python, beside the commands
    "__init__": {"api", "backbones", "fine_tuned", "probe_metric", "runs", "saved_run"},
    "api": {
        "backbones",
        "callbacks",
        "data",
        "full_precision",
        "probes",
        "scores",
        "wording",
    },
    "probe_metric": {"probes"},
    "fine_tuned": {"encoders", "runs"},
    "__main__": {"runs", "wording"},
    "saved_run": {"api", "backbones", "reporting", "run_folder", "run_state", "runs", "scores", "wording"},
}
NOT_BELOW_RUNS = {"hydra", "omegaconf"}
PURE = {
    "reporting": {"torch", "lightning", "wandb"},
    "probes": {"lightning", "rich", "wandb"},
    "biases": {"lightning", "rich", "wandb"},
    "transfer": {"lightning", "rich", "wandb"},
    "encoders": {"lightning", "rich", "wandb"},
    "image_sets": {"lightning", "rich", "wandb"},
    "layer_selection": {"lightning", "rich", "wandb"},
    "probe_table": {"torch", "numpy"},
    "selector_table": {"torch", "numpy"},
    "scores": {"torch", "numpy"},
    "settings": {"torch", "numpy"},
    "run_folder": {"torch", "numpy"},
    "run_state": {"torch", "numpy"},
    "class_sheet": {"torch", "numpy"},
    "api": {"lightning", "rich", "wandb"},
    "probe_metric": {"lightning", "rich", "wandb"},
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize(
    "path", sorted((SOURCE / "reporting" / "statistics").glob("*.py")), ids=lambda path: path.name
)
def test_statistics_of_the_report_know_no_run(path: Path) -> None:
    ours = {name for name in imported(path) if name.startswith("unseen.")}
    assert all(name.startswith(("unseen.reporting.statistics.", "unseen.wording.")) for name in ours), ours


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    names = imported(path)
    if (
        part == "__init__"
    ):  # `import unseen` loads nothing else: names are for type checkers, and found when used
        assert {name.split(".")[0] for name in names} <= {"importlib", "typing", "unseen"}
    ours = {name.split(".")[1] for name in names if name.startswith("unseen.")} - {"__version__", part}
    assert ours <= ALLOWED[part], f"{part} may not import {sorted(ours - ALLOWED[part])}"
    theirs = {name.split(".")[0] for name in names}
    forbidden = PURE.get(part, set()) | (NOT_BELOW_RUNS if part != "runs" else set())
    assert not theirs & forbidden
