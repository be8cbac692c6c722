"""Countermeasures to forgetting in a run of `transfer.py`: what goes with what, and the technique's name with them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from unseen.wording import listing

_PROBE = "unseen.encoders.tuning.probe"
_NEW_LAYERS = {"unseen.encoders.tuning.adapter", _PROBE}


def check_countermeasures(plain: dict[str, Any], technique: str, others: Collection[str]) -> None:
    """Refuse countermeasures that would change nothing or mean nothing, before anything is loaded.

    Args:
        plain: All settings, each within its range.
        technique: How it was chosen.
        others: Names of the other tasks.

    Raises:
        ValueError: One sentence.
    """
    asked = [name for name in ("l2_to_init", "replay") if plain[name]]
    if asked and plain["measure_only"]:
        raise ValueError(f"measure_only=true does not train, so it does not read {listing(asked)}")
    target = plain["technique"]["_target_"]
    if plain["l2_to_init"] and target in _NEW_LAYERS:
        raise ValueError(
            f"l2_to_init={plain['l2_to_init']:g}: tuning={technique} trains new layers, which have no zero-shot "
            "weights to stay near; use full, bitfit, attention or lora"
        )
    share = plain["replay"]
    if share and target == _PROBE:
        raise ValueError(
            f"replay={share:g}: tuning={technique} leaves every other task as it is, so there is nothing to replay"
        )
    if share and not others:
        raise ValueError(
            f"replay={share:g} draws from training images of other tasks: name one at least, others=[...]"
        )
    if share and round(share * plain["batch_size"]) == 0:
        raise ValueError(
            f"replay={share:g} of batch_size={plain['batch_size']} is no image: replay must be larger, or the batches"
        )


def technique_label(technique: str, plain: dict[str, Any]) -> str:
    """Return the technique with its countermeasures: runs of other ones are of another technique.

    >>> technique_label("full", {"l2_to_init": 0.1, "replay": 0.5})
    'full + L2 0.1 + replay 0.5'
    """
    parts = [technique]
    parts += [f"L2 {plain['l2_to_init']:g}"] if plain["l2_to_init"] else []
    parts += [f"replay {plain['replay']:g}"] if plain["replay"] else []
    return " + ".join(parts)
