"""The networks of finished training runs, as the values of a sweep over `ckpt_path`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unseen.run_state import state_of
from unseen.runs.errors import UserError
from unseen.runs.typed_line import override
from unseen.wording import listing


def trained_networks(roots: str | Sequence[str]) -> str:
    """Return the folders of finished runs of train.py that kept their network, quoted and joined by commas.

    Args:
        roots: A folder that holds run folders at any depth, or several.

    Raises:
        UserError: There is none.
    """
    folders = [Path(root).expanduser() for root in ([roots] if isinstance(roots, str) else roots)]
    found = sorted(
        {
            path.parent.parent
            for folder in folders
            for path in folder.rglob("checkpoints/last.ckpt")
            if _is_trained(path.parent.parent)
        }
    )
    if not found:
        raise UserError(
            f"no finished run of train.py with checkpoints/last.ckpt is in {listing(folders)}; train networks first, "
            "or name another folder with runs="
        )
    return ",".join(override("", str(folder)).removeprefix("=") for folder in found)


def _is_trained(folder: Path) -> bool:
    state = state_of(folder)
    return state.status == "finished" and state.summary.get("kind") not in {"biases", "transfer"}
