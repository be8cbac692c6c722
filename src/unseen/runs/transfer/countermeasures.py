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
    asked = [name for name in ("alphas", "l2_to_init", "replay") if plain[name]]
    if asked and plain["measure_only"]:
        raise ValueError(f"measure_only=true does not train, so it does not read {listing(asked)}")
    target = plain["technique"]["_target_"]
    if target in _NEW_LAYERS:
        _need_zero_shot_weights(plain, technique)
    if plain["alphas"] and plain["technique"].get("accumulate"):
        raise ValueError(
            "alphas are of one fine-tuned weight, and with technique.accumulate=true the weight drifts with every "
            "forward pass, those of a test included; leave one of them out"
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


def check_trained_encoder(loaded: object, trained: object, plain: dict[str, Any], technique: str) -> None:
    """Refuse, before training, a technique of one's own that puts layers around the encoder, as `adapter` does.

    Raises:
        ValueError: One sentence.
    """
    if trained is not loaded:
        _need_zero_shot_weights(plain, technique)


def _need_zero_shot_weights(plain: dict[str, Any], technique: str) -> None:
    for name, use in (("alphas", "to interpolate with"), ("l2_to_init", "to stay near")):
        if plain[name]:
            raise ValueError(
                f"{name}={plain[name]}: tuning={technique} trains new layers, which have no zero-shot weights {use}; "
                "use full, bitfit, attention or lora"
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
