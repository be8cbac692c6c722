"""The main job on small real parts: what is written, and that nothing else changes."""

import json
from pathlib import Path

import pytest
import torch
from tests.runs.conftest import Small, small
from tests.torch_modes import filled_memory

from unseen.probe_table import SCORES
from unseen.run_folder import Scoring
from unseen.runs.trainer import train
from unseen.scores import HEAD_LAYER, ScoreTable


def equal(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def run(parts: Small, *, at_start: bool = True, checkpoint: Path | None = None) -> None:
    train(
        module=parts.module,
        datamodule=parts.datamodule,
        trainer=parts.trainer,
        run_folder=parts.folder,
        probe=parts.probe,
        probe_at_start=at_start,
        checkpoint=checkpoint,
    )


def test_every_evaluation_is_on_disk(uninterrupted: Small) -> None:
    table = ScoreTable.read(uninterrupted.folder.scores_path)
    summary = json.loads(uninterrupted.folder.summary_path.read_text())
    assert table.steps == [0, 2, 4, 6]
    assert summary["status"] == "finished"
    layers = len(uninterrupted.module.backbone.taps)
    per_step = len(table.at(0))
    # an n_init of 1 has no spread over starts, nothing is resampled, and what is off by default is off
    unasked = {"nmi_start_sd", "class_count_error", *(name for name in SCORES if name.endswith("_image_sd"))}
    unasked |= {name for name in SCORES if name.startswith(("few_shot_", "cluster_accuracy", "ensemble_"))}
    recorded = {row.probe for row in table.at(0)} - {"accuracy"}
    assert recorded == SCORES.keys() - unasked
    # splits x probes x (layers + raw pixels), and the head's accuracy
    assert per_step == 2 * len(recorded) * (layers + 1) + 1
    assert all(len(table.at(step)) == per_step for step in table.steps)
    heads = [row for step in table.steps for row in table.at(step, layer=HEAD_LAYER)]
    assert [(row.step, row.split, row.layer_name, row.depth, row.probe) for row in heads] == [
        (step, "seen", "head", None, "accuracy") for step in (0, 2, 4, 6)
    ]
    assert heads[-1].value == summary["seen_accuracy"]
    best = table.generalization()
    assert best is not None
    assert (summary["g"], summary["best_layer"]) == (best.g, best.best_layer)


def test_the_scores_are_those_of_a_plain_loop_over_the_images(uninterrupted: Small) -> None:
    """An oracle for the taps, the bank and the order of the images: no callback, no loader, one image at a time."""
    from sklearn.neighbors import NearestNeighbors

    datamodule, backbone = uninterrupted.datamodule, uninterrupted.module.backbone.eval()
    layer = backbone.taps[-1]
    found: list[torch.Tensor] = []
    hook = backbone.network.get_submodule(layer.name).register_forward_hook(
        lambda module, inputs, output: found.append(output.mean((2, 3)))
    )
    labels = []
    with torch.no_grad():
        for batch in datamodule.unseen_dataloader():
            ready = datamodule.on_after_batch_transfer(batch, 0)
            for image, label in zip(ready.images, ready.labels, strict=True):
                backbone(image[None])
                labels.append(int(label))
    hook.remove()
    embeddings, truth = torch.cat(found).numpy(), torch.tensor(labels)
    nearest = (
        NearestNeighbors(n_neighbors=2).fit(embeddings).kneighbors(embeddings, return_distance=False)[:, 1]
    )
    expected = float((truth[nearest] == truth).float().mean())
    (row,) = ScoreTable.read(uninterrupted.folder.scores_path).at(6, "unseen", "nn1", layer.layer)
    assert row.value == pytest.approx(expected, abs=1e-6)


def test_probing_leaves_no_trace(uninterrupted: Small, tmp_path: Path) -> None:
    without = small(tmp_path, probing=False)
    torch.manual_seed(123)
    without.trainer.fit(without.module, without.datamodule)
    assert equal(without.weights(), uninterrupted.weights())


def test_the_random_state_after_a_scoring_is_the_one_before(tmp_path: Path) -> None:
    parts = small(tmp_path)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    parts.trainer.validate(parts.module, parts.datamodule, verbose=False)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module._forward_hooks for module in parts.module.backbone.modules())


def test_another_seed_gives_other_scores(uninterrupted: Small, tmp_path: Path) -> None:
    other = small(tmp_path, max_steps=2, seed=1)
    run(other)
    of_both = [ScoreTable.read(parts.folder.scores_path).at(2) for parts in (other, uninterrupted)]
    assert len(of_both[0]) == len(of_both[1]) > 0
    assert of_both[0] != of_both[1]


def test_the_same_seed_gives_the_same_scores_whatever_was_in_memory(
    uninterrupted: Small, tmp_path: Path
) -> None:
    """Nothing reads memory that nobody wrote."""
    with filled_memory():
        again = small(tmp_path, deterministic="warn")
        run(again)
    assert again.folder.scores_path.read_text() == uninterrupted.folder.scores_path.read_text()
    assert equal(again.weights(), uninterrupted.weights())


def test_a_resumed_run_ends_with_the_same_weights_and_scores(uninterrupted: Small, tmp_path: Path) -> None:
    """Step 4 lies inside the first epoch of five batches; the schedule is the whole run's."""

    class KilledError(Exception):
        pass

    first = small(tmp_path / "run")
    record = first.folder.record

    def die_at_the_last_scoring(scoring: Scoring) -> object:
        if scoring.step == 6:
            raise KilledError
        return record(scoring)

    first.folder.record = die_at_the_last_scoring  # type: ignore[method-assign, assignment]
    with pytest.raises(KilledError):
        run(first)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 4
    second = small(tmp_path / "run")
    second.folder.continue_from(ScoreTable.read(second.folder.scores_path), 4, seconds=0)
    run(second, checkpoint=checkpoint)
    assert equal(second.weights(), uninterrupted.weights())
    assert second.folder.scores_path.read_text() == uninterrupted.folder.scores_path.read_text()


def test_a_run_killed_before_its_first_interval_goes_on_from_step_0(
    uninterrupted: Small, tmp_path: Path
) -> None:
    first = small(tmp_path / "run")
    first.trainer.validate(first.module, first.datamodule, verbose=False)
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 0
    second = small(tmp_path / "run", seed=0)
    second.folder.continue_from(ScoreTable.read(second.folder.scores_path), 0, seconds=0)
    torch.manual_seed(77)
    run(second, checkpoint=checkpoint)
    assert equal(second.weights(), uninterrupted.weights())
    assert second.folder.scores_path.read_text() == uninterrupted.folder.scores_path.read_text()


def test_a_run_resumed_from_an_earlier_checkpoint_replaces_a_later_one(tmp_path: Path) -> None:
    """Its scores end at the earlier step, so `last.ckpt` must, too, even if nothing is evaluated any more."""
    run(small(tmp_path / "first", max_steps=2))
    earlier, last = (
        tmp_path / "first" / "checkpoints" / "last.ckpt",
        tmp_path / "run" / "checkpoints" / "last.ckpt",
    )
    last.parent.mkdir(parents=True)
    last.write_bytes(b"of a later step")

    def die(*_: object) -> None:
        raise RuntimeError("killed in the first step")

    parts = small(tmp_path / "run")
    parts.module.training_step = die  # type: ignore[method-assign, assignment]
    with pytest.raises(RuntimeError, match="killed"):
        run(parts, checkpoint=earlier)
    assert torch.load(last, weights_only=True)["global_step"] == 2


def test_hooks_are_gone_after_an_error(tmp_path: Path) -> None:
    parts = small(tmp_path)

    def fail(scoring: Scoring) -> object:
        raise OSError(28, "No space left on device")

    parts.folder.record = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="No space"):
        run(parts)
    assert not any(module._forward_hooks for module in parts.module.backbone.modules())


def test_a_diverged_network_says_so(tmp_path: Path) -> None:
    parts = small(tmp_path)
    with torch.no_grad():
        next(iter(parts.module.backbone.parameters())).fill_(float("nan"))
    with pytest.raises(ValueError, match=r"layer 0 .*NaN"):
        run(parts)
    with pytest.raises(FloatingPointError, match=r"model\.optimizer\.lr"):
        run(small_with_nan(tmp_path / "b"), at_start=False)


def small_with_nan(path: Path) -> Small:
    parts = small(path)
    with torch.no_grad():
        next(iter(parts.module.backbone.parameters())).fill_(float("nan"))
    return parts


def test_the_last_step_is_scored_even_between_two_intervals(tmp_path: Path) -> None:
    parts = small(tmp_path, max_steps=3)
    run(parts)
    assert ScoreTable.read(parts.folder.scores_path).steps == [0, 2, 3]


def test_a_checkpoint_loads_with_default_arguments(uninterrupted: Small) -> None:
    content = torch.load(uninterrupted.folder.path / "checkpoints" / "last.ckpt")
    assert content["unseen"] == {"schema": 1}
    assert content["global_step"] == 6
