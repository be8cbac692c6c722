"""How checkpoints get to the disk."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from unseen.atomic_files import write_file


def _where_it_was(storage: Any, _location: str) -> Any:
    return storage


class StreamedCheckpointIO(TorchCheckpointIO):
    """Writes local checkpoints straight to where they belong, whole or not at all.

    Lightning puts a checkpoint together in memory, writes it to the system's folder for temporary files, and moves it
    from there. That takes a copy of weights and optimizer state beside the ones in use, and more time; and where
    `logs/` is on another file system, the move is a copy, of which a kill leaves half. Other places than local ones are
    left to Lightning.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Save what the trainer gives under `path`.

        Raises:
            TypeError: With storage options, which only other plugins have.
            OSError: The disk is full or read-only; what was there is left.
        """
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        for leftover in file.parent.glob(
            f".{escape(file.name)}.*.part"
        ):  # of a kill; a run's folder has one writer
            leftover.unlink(missing_ok=True)
        # as Lightning: a kill leaves the file as it was, and nobody waits for the disk
        write_file(file, lambda opened: _save(checkpoint, opened), durable=False)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = _where_it_was, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Load tensors and plain values; no other objects, whatever the caller or the environment say."""
        return super().load_checkpoint(path, map_location, weights_only=True)


def _save(checkpoint: dict[str, Any], file: BinaryIO) -> None:
    try:
        torch.save(checkpoint, file)
    except RuntimeError as error:
        # torch closes its archive after whatever went wrong, Ctrl-C too, and stumbles over what is missing
        if error.__context__ is None or isinstance(error.__context__, RuntimeError):
            raise
        raise error.__context__ from None
