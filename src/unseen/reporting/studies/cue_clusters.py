"""Whether each layer clusters unseen images by the colour of a cue or by their classes.

There are as many colours as classes, about as many images of each, and the two are independent, so one k-means
partition is compared with both, and neither can agree better by its number of groups. Agreement is adjusted mutual
information: 0 on average for labels that have nothing to do with the clusters, 1 for labels that are the clusters. The
differences are paired over units, layer by layer; networks count as given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from unseen.reporting.layers.configuration import Configuration
from unseen.reporting.statistics.claims import with_verdicts
from unseen.reporting.statistics.crossfit import at_best, cross_fit
from unseen.reporting.statistics.intervals import Estimate, Floats, estimate
from unseen.reporting.studies.study_effects import Study, level_of
from unseen.scores import CUE_PROBES, INPUT_LAYER, INPUT_NAME

AGREEMENT = "data.cue_agreement"


@dataclass(frozen=True)
class CueLayer:
    """AMI of one layer's clusters with the classes and with the colours."""

    layer: int  # -1 for raw pixels
    name: str
    by_class: Estimate
    by_colour: Estimate
    difference: Estimate  # by class - by colour
    p: float  # two-sided; NaN below three units, and for raw pixels, which no training changes
    corrected: float = math.nan  # for all layers of the study and the parts of the page
    written: bool = False  # whether a sentence may say which is larger


@dataclass(frozen=True)
class CueNetwork:
    """One network, trained at one agreement of colour and class."""

    config: Configuration
    agreement: str
    layers: tuple[CueLayer, ...]  # raw pixels first, then shallow to deep


def cue_networks(study: Study) -> tuple[CueNetwork, ...]:
    """Return what the networks of a study cluster by, those of one network together by their agreement.

    Runs without a cue are left out. All p are corrected together, and for the parts of the page.
    """
    found = [_network(config) for config in study.configurations if _has_cue(config)]
    found.sort(key=lambda one: (one.config.data, one.config.model, float(one.agreement)))
    judged = iter(with_verdicts([layer for one in found for layer in one.layers], study.parts))
    return tuple(replace(one, layers=tuple(next(judged) for _ in one.layers)) for one in found)


def _has_cue(config: Configuration) -> bool:
    return ("unseen", CUE_PROBES["ami"]) in config.probes


def _network(config: Configuration) -> CueNetwork:
    arrange = config.units.arrange
    of_class, of_colour = (
        arrange(config.layers("unseen", probe)[:, -1]) for probe in ("ami", CUE_PROBES["ami"])
    )
    pixels, colours = (arrange(config.pixels("unseen", probe)[:, -1]) for probe in ("ami", CUE_PROBES["ami"]))
    values = (estimate(pixels), estimate(colours), estimate(pixels - colours))
    layers = [CueLayer(INPUT_LAYER, INPUT_NAME, *values, math.nan)]
    for layer, name in enumerate(config.layer_names):
        layers.append(_layer(layer, name, of_class[..., layer], of_colour[..., layer]))
    return CueNetwork(config, level_of(config.runs[0], AGREEMENT, ""), tuple(layers))


def _layer(layer: int, name: str, of_class: Floats, of_colour: Floats) -> CueLayer:
    """Compare (U,) or (S, T) AMI of one layer."""
    known = np.isfinite(of_class - of_colour).all()
    p = cross_fit((of_class - of_colour)[..., None], at_best).p if known else math.nan  # one layer: no choice
    return CueLayer(layer, name, estimate(of_class), estimate(of_colour), estimate(of_class - of_colour), p)
