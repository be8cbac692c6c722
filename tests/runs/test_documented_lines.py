"""Lines in the tables of the documentation are read, and say nothing that the program refuses.

What they do to a run is tested where the part is: tests/runs/test_parts.py, tests/cli.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from tests.test_configs import CONFIGS, OPTIONS, resolved

from unseen.runs.objects import check_objects
from unseen.runs.schema import check_settings
from unseen.runs.typed_line import prepare

DOCS = CONFIGS.parent / "docs"
NEEDS = {  # the pages to which these lines point say so
    "model=module": ["model.backbone.network._target_=tests.backbones.test_module.Net"],
    "data=torch_dataset": ["data.source.dataset={_target_: torchvision.datasets.FakeData}"],
}
CODE = re.compile(r"`([^`]+)`")


def lines_of(page: Path) -> list[str]:
    """Return the lines in the first two columns of a page's tables."""
    rows = [row.split(" | ") for row in page.read_text(encoding="utf-8").splitlines() if row.startswith("| ")]
    spans = [span for row in rows for cell in row[:2] for span in CODE.findall(cell)]
    return [span for span in spans if "=" in span and "…" not in span and "..." not in span]


def jobs_of(line: str) -> Iterator[list[str]]:
    """Yield the settings of a line; of one with -m with each value of each choice."""
    several, *typed = prepare(shlex.split(line), CONFIGS, "train")
    if several != "--multirun":
        yield [several, *typed]
        return
    read = OverridesParser.create().parse_overrides([one for one in typed if not one.startswith("hydra.")])
    plain = [one.input_line for one in read if not one.is_sweep_override()]
    yield plain
    for one in read:
        if one.is_sweep_override() and not one.is_interval_sweep():
            for value in one.sweep_string_iterator():
                yield [*plain, f"{one.key_or_group}={value}"]


def test_the_tables_are_found() -> None:
    assert {"tuning=lora", "-m hparams_search=optuna hydra.sweeper.n_trials=30"} <= set(
        lines_of(DOCS / "parts.md")
    )


@pytest.mark.parametrize("page", ["parts.md", "weights_and_data.md"])
def test_every_line_is_a_configuration(page: str) -> None:
    for job in sorted({tuple(job) for line in lines_of(DOCS / page) for job in jobs_of(line)}):
        if len(job) == 1 and tuple(job[0].split("=")) in OPTIONS:
            continue  # tests/test_configs.py composes each file
        plain = resolved(*job, *(more for typed in job for more in NEEDS.get(typed, [])))
        check_settings(plain)
        try:
            check_objects(plain)
        except ValueError as error:  # what is not installed is told with the extra that has it
            if "is not installed: pip install 'unseen[" not in str(error):
                raise
