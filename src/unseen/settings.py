"""What each setting affects: the one table that decides which runs are the same run.

A sweep's `resume=true`, resuming from a checkpoint and the report all read it.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from unseen.probe_table import SETTINGS as PROBE_SETTINGS

Effect = Literal["result", "rows", "speed", "place", "default", "watching", "command"]

# Effect: patterns of dotted keys. A key that no pattern names is somebody's own: it may change the result.
EFFECTS: dict[Effect, tuple[str, ...]] = {
    # the network, its training or its scores
    "result": (
        "seed", "size", "ckpt_path",
        "model.name", "model.pretrained", "model.pooling", "model.channels_last",
        "model.backbone.*", "model.optimizer.*", "model.scheduler.*",
        "data.name", "data.source._target_", "data.source.dataset*", "data.source.test_dataset*",
        "data.source.options*", "data.dataset", "data.options*", "data.image_size", "data.unseen*", "data.num_unseen",
        "data.seen*", "data.split_seed", "data.train_size", "data.test_size", "data.stratified",
        "data.test_fraction", "data.rotation", "data.pad", "data.eval_deterministic", "data.batch_size",
        "data.num_labels",
        *(f"probe.{name}" for name in PROBE_SETTINGS),
        "trainer._target_", "trainer.accelerator", "trainer.devices*", "trainer.num_nodes", "trainer.strategy*",
        "trainer.precision", "trainer.eval_precision", "trainer.max_steps", "trainer.max_epochs",
        "trainer.val_check_interval",
        "trainer.gradient_clip_val", "trainer.accumulate_grad_batches", "trainer.deterministic", "trainer.benchmark",
        "callbacks.layer_probe*",
    ),
    # further rows or files; every other number stays
    "rows": (
        "probe.at_start", "probe.noise_levels*", "probe.save_embeddings", "trainer.log_every_n_steps",
        "callbacks.best_checkpoint*", "callbacks.last_checkpoint*",
    ),
    # time and memory
    "speed": ("data.eval_batch_size", "data.cache_gb", "data.decode", "data.workers", "data.skip_bad"),
    # where something is on this machine; two places of images are compared by the files in them
    "place": (
        "paths*", "data.root", "data.test_root", "data.source.root", "data.source.test_root", "data.source.data_dir",
    ),
    # read by other settings only, which are in the table themselves
    "default": ("recipe*", "data.image_sizes*", "model.sizes*", "data.source._convert_"),
    # who is sent the numbers
    "watching": ("logger*",),
    # what this command does; the jobs of a sweep do without
    "command": ("hydra*", "resume", "plan"),
}  # fmt: skip
IMAGE_ROOTS = ("root", "test_root")  # settings of `data` and of its source


def effect_of(key: str) -> Effect:
    """Return what a setting affects.

    >>> effect_of("model.optimizer.lr"), effect_of("data.root"), effect_of("data.own_key")
    ('result', 'place', 'result')
    """
    for effect, patterns in EFFECTS.items():
        if any(fnmatchcase(key, pattern) for pattern in patterns):
            return effect
    return "result"
