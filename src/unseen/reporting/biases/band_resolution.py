"""How finely the critical band is resolved: its bandwidth by thresholds, norm of accuracy and number of images."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from unseen.reporting.biases.bias_runs import BiasRun
from unseen.reporting.statistics.intervals import Estimate
from unseen.reporting.tables import Column, Row, Table
from unseen.wording import count, listing

_BANDWIDTH, _NORM, _INTERPOLATED = "cb_bandwidth", "_norm_", "_interpolated"
_PUBLISHED = "grey"


@dataclass(frozen=True)
class Resolution:
    """The bandwidth of some networks by one kind of thresholds, one norm, and one number of images.

    Attributes:
        width: Median width of the 95 % interval over images, of networks that have one; in octaves.
        known: How many of the n networks have a value.
        different: How many different values these are.
    """

    images: str
    n_images: int
    norm: str
    thresholds: str
    n: int
    known: int
    different: int
    width: float


def band_resolution(runs: Sequence[BiasRun]) -> tuple[list[str], list[Table]]:
    """Return sentences and a table on the bandwidths of runs that measured the critical band."""
    # a limit above the number of images measures a network on the same images again, which counts once
    values: dict[tuple[str, int, str, str], dict[str, Estimate]] = defaultdict(dict)
    norms: dict[tuple[str, str, int, str], dict[str, float]] = defaultdict(dict)
    for run in runs:
        for (measure, images), value in run.values.items():
            if measure.startswith(_BANDWIDTH):
                name, _, norm = measure.partition(_NORM)
                kind = "interpolated" if name.endswith(_INTERPOLATED) else "whole"
                values[images, value.n, norm or _PUBLISHED, kind][run.label] = value
                norms[run.label, images, value.n, kind][norm or _PUBLISHED] = value.mean
    found = [_resolution(*place, [*of.values()]) for place, of in sorted(values.items())]
    return _sentences(found, norms), [_table(found)]


def _resolution(
    images: str, n_images: int, norm: str, thresholds: str, values: Sequence[Estimate]
) -> Resolution:
    known = [value for value in values if not math.isnan(value.mean)]
    widths = [value.high - value.low for value in known if not math.isnan(value.low)]
    width = statistics.median(widths) if widths else math.nan
    different = len({round(value.mean, 6) for value in known})
    return Resolution(images, n_images, norm, thresholds, len(values), len(known), different, width)


def _sentences(
    found: Sequence[Resolution], norms: dict[tuple[str, str, int, str], dict[str, float]]
) -> list[str]:
    sentences = []
    for norm in dict.fromkeys(one.norm for one in found):
        parts = [
            f"{one.n_images} images ({one.images}), {one.thresholds}: "
            + ("no interval" if math.isnan(one.width) else f"{one.width:.2f} octaves")
            + f", {one.known} of {count(one.n, 'network')} with a value, {one.different} different"
            for one in found
            if one.norm == norm
        ]
        sentences.append(
            f"Median width of the bandwidth's 95 % interval over images, norm {norm}: {'; '.join(parts)}."
        )
    ranges = [
        max(known) - min(known)
        for by_norm in norms.values()
        if len(known := [value for value in by_norm.values() if not math.isnan(value)]) > 1
    ]
    if ranges:
        names = listing(dict.fromkeys(one.norm for one in found))
        sentences.append(
            f"By another norm ({names}) the bandwidth of one network on the same images differs by up to "
            f"{max(ranges):.2f} octaves, {statistics.median(ranges):.2f} in the median."
        )
    return sentences or ["No run of this study has a critical band."]


def _table(found: Sequence[Resolution]) -> Table:
    rows = [
        Row((one.images, one.n_images, one.norm, one.thresholds, one.n, one.known, one.different, one.width))
        for one in found
    ]
    return Table(
        "band_resolution", "The bandwidth of the critical band",
        "Median width, in octaves, of the 95 % interval over images, of networks that have one. A threshold is where "
        "the accuracy under noise falls below half of: grey, that on the same grey low-contrast images without noise, "
        "as published; colour, that on the images as they are; none, 1. Whole thresholds are levels of noise, "
        "interpolated ones lie between them.",
        (
            Column("images"), Column("n", hint="images"), Column("norm"), Column("thresholds"),
            Column("networks"), Column("with a value"), Column("different values"), Column("width", 2),
        ),
        tuple(rows),
    )  # fmt: skip
