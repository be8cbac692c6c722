"""embeddings.npz of a real run, and what the report makes of a real run's folder."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.runs.conftest import Small, small

from unseen.callbacks.kept_layers import UnsavedEmbeddingsWarning
from unseen.reporting.build import build_report
from unseen.runs.trainer import train


def run(parts: Small) -> None:
    train(
        module=parts.module, datamodule=parts.datamodule, trainer=parts.trainer, run_folder=parts.folder,
        probe=parts.probe, probe_at_start=True,
    )  # fmt: skip


def load(parts: Small) -> dict[str, Any]:
    with np.load(parts.folder.path / "embeddings.npz", allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_they_are_those_of_a_plain_pass_over_the_images(uninterrupted: Small) -> None:
    """No callback, no recorder: a hook of our own on the last layer, images in the data set's order."""
    arrays, datamodule = load(uninterrupted), uninterrupted.datamodule
    backbone = uninterrupted.module.backbone.eval()
    last = backbone.taps[-1]
    found: list[torch.Tensor] = []
    hook = backbone.network.get_submodule(last.name).register_forward_hook(
        lambda module, inputs, output: found.append(output.mean((2, 3)))
    )
    labels = []
    with torch.no_grad():
        for batch in datamodule.unseen_dataloader():
            backbone(datamodule.on_after_batch_transfer(batch, 0).images)
            labels += batch.labels.tolist()
    hook.remove()
    assert np.array_equal(arrays[f"unseen_{last.layer}"], torch.cat(found).half().numpy())
    assert arrays["unseen_labels"].dtype == np.int16
    assert arrays["unseen_labels"].tolist() == labels
    split = json.loads((uninterrupted.folder.path / "split.json").read_text())
    assert split["unseen"] == list(datamodule.split.unseen_names)  # the label is the place in this list


def test_they_are_of_the_last_evaluations_first_best_and_last_layer(uninterrupted: Small) -> None:
    arrays = load(uninterrupted)
    best = uninterrupted.folder.table.generalization()
    assert best is not None
    layers = {0, best.best_layer, best.num_layers - 1}
    assert set(arrays) == {f"unseen_{layer}" for layer in layers} | {"unseen_labels", "step"}
    assert int(arrays["step"]) == 6
    assert all(len(arrays[f"unseen_{layer}"]) == 36 for layer in layers)


def test_they_can_be_left_out(tmp_path: Path) -> None:
    parts = small(tmp_path, max_steps=2, probe_settings={"save_embeddings": False})
    run(parts)
    assert not (tmp_path / "embeddings.npz").exists()


def test_a_disk_that_does_not_take_them_costs_no_scores(uninterrupted: Small, tmp_path: Path) -> None:
    (tmp_path / "embeddings.npz").mkdir()  # no file can be put in its place
    parts = small(tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run(parts)
    said = {str(one.message) for one in caught if one.category is UnsavedEmbeddingsWarning}
    assert len(said) == 1  # the same words at each evaluation, so that they are shown once
    assert parts.folder.scores_path.read_text() == uninterrupted.folder.scores_path.read_text()
    assert json.loads(parts.folder.summary_path.read_text())["status"] == "finished"
    assert not list(tmp_path.glob(".embeddings*"))


def test_a_killed_run_keeps_those_of_its_last_evaluation(tmp_path: Path) -> None:
    parts = small(tmp_path)
    record = parts.folder.record

    def die(scoring: Any) -> Any:
        if scoring.step == 4:
            raise KeyboardInterrupt
        return record(scoring)

    parts.folder.record = die  # type: ignore[method-assign]
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        run(parts)
    assert int(load(parts)["step"]) == 2


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page on one real run with everything that a run can measure."""
    root = tmp_path_factory.mktemp("reported")
    run(small(root / "run", probe_settings={"noise_levels": (0.5, 1.0)}))
    build_report([root], root / "report")
    return (root / "report" / "index.html").read_text(encoding="utf-8")


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}">')[1].split("</section>", maxsplit=1)[0]


def test_the_report_shows_the_destroyed_images(html: str) -> None:
    controls = section(html, "controls")
    assert re.search(r"0\.5: \d\.\d{3}, 1: \d\.\d{3}", controls)
    assert 'data-spec="destroyed-' in controls


def test_the_report_shows_the_pictures(html: str) -> None:
    pictures = section(html, "pictures")
    assert "No run saved its embeddings" not in pictures
    assert pictures.count('data-spec="picture-') in (2, 3)
    assert "layer 0 (first" in pictures
    assert ", step " not in pictures  # they are of the step that the scores are of


def test_the_report_draws_accuracy_over_the_steps(html: str) -> None:
    assert "Accuracy was written for the last step only" not in html
    specs = json.loads(html.split('id="specs">')[1].split("</script>", maxsplit=1)[0])
    drawn = specs["accuracy-digits_demo"]
    values = drawn.get("data", {}).get("values") or drawn["layer"][0]["data"]["values"]
    assert [row["step"] for row in values] == [0, 2, 4, 6]
