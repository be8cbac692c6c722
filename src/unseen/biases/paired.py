"""Values of resampled images that are drawn alike for every network, so that differences of two networks are paired.

The draws of `measuring` make an interval of one network; they depend on its numbers, and are no pairs.

Legend: N images, K numbers of an image, R resamples.
"""

from __future__ import annotations

import numpy as np

from unseen.biases.measure import Array
from unseen.biases.measuring import Observations

_NUMBERS_AT_ONCE = 2**24  # drawn: 128 MiB of int64


def paired_resamples(observations: Observations, resamples: int = 1000) -> dict[str, Array]:
    """Return every value of R resamples, (R,), NaN where a resample has none.

    Images are drawn with replacement. What is drawn depends on N and R alone: the r-th resamples of two networks that
    were measured on the same images hold the same images.

    Args:
        observations: Finished.
        resamples: R.
    """
    numbers = observations.numbers.astype(np.float64)
    n, generator = len(numbers), np.random.default_rng(0)
    at_once = max(1, _NUMBERS_AT_ONCE // n)
    means = [
        generator.multinomial(n, np.full(n, 1 / n), size=min(at_once, resamples - first)) @ numbers / n
        for first in range(0, resamples, at_once)
    ]
    measure = observations.measure
    without = getattr(measure, "without_interval", ())  # their resamples tell nothing of their error
    return {
        name: values for name, values in measure.values(np.concatenate(means)).items() if name not in without
    }
