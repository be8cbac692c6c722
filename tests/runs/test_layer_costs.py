"""What a network costs up to each layer is a fact of summary.json that the report reads; the run stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tests.runs.conftest import small

from unseen.reporting.run_files import Facts, checked
from unseen.runs.build import _layer_costs


def test_costs_are_written_and_read_and_leave_no_trace(tmp_path: Path) -> None:
    run = small(tmp_path, probing=False)
    weights, state = run.weights(), torch.get_rng_state()
    run.folder.add_facts(layer_costs=_layer_costs(run.module, run.trainer))
    run.folder.write_summary("finished")
    costs = checked(Facts, json.loads((tmp_path / "summary.json").read_text())).layer_costs
    assert costs
    assert len(costs.parameters) == len(costs.milliseconds) == len(run.module.backbone.taps)
    assert costs.parameters == sorted(costs.parameters)
    assert costs.all_parameters == sum(weight.numel() for weight in run.module.backbone.parameters())
    assert costs.image_size == 32
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, weights[name]) for name, value in run.weights().items())
