"""The critical band of a network: which spatial frequencies of noise stop its recognition, and how little is enough.

Legend: S noise levels with the noise-free one, F frequency bands, B batch, K numbers of an image, R resamples.

Source: Subramanian et al. 2023, arXiv 2309.13190; on 48 ImageNet networks: arXiv 2404.01509, whose bands are 3.7
to 10.5 octaves wide; that of humans is about 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from itertools import chain, pairwise, product
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from unseen.biases import band_noise
from unseen.biases.measure import Array, Batch, Classifier, right_under

LEVELS = 4  # of noise, in the published test: 0.02, 0.04, 0.08, 0.16
LOWEST = 1.75  # cycles per image: the lowest band of 224 px
_FEWEST = 4  # bands that a bump of three parameters is fitted to
_GREY, _COLOUR, _NONE = "grey", "colour", "none"  # norms


@dataclass(frozen=True)
class CriticalBand:
    """A Gaussian bump over the bands. All three are NaN where it cannot be told.

    Attributes:
        bandwidth: Full width at half maximum, in octaves.
        center_frequency: In cycles per image.
        peak_noise_sensitivity: 2 ** (height - number of noise levels): 1 if the weakest noise is enough at the peak,
            half of it for each level more.
    """

    bandwidth: float
    center_frequency: float
    peak_noise_sensitivity: float


def thresholds(
    accuracy: npt.ArrayLike, threshold: float = 0.5, *, relative: bool = True, interpolated: bool = False
) -> Array:
    """Return for each band how many noise levels are too much, counted from the strongest.

    As published: of the rows from the strongest noise on, how many are not above the threshold before the first that
    is. The noise-free row does not count, so a band has all levels if no other row is above, or none at all.

    >>> accuracy = [[0.8, 0.8, 0.8], [0.7, 0.6, 0.2], [0.6, 0.3, 0.1]]  # without noise, weak, strong
    >>> thresholds(accuracy).tolist(), thresholds(accuracy, interpolated=True).round(2).tolist()
    ([0.0, 1.0, 2.0], [0.0, 0.33, 1.33])

    Args:
        accuracy: (..., S, F); rows without noise, then with noise of rising strength; in [0, 1] or in percent.
        threshold: What an accuracy must be above: a share of the noise-free accuracy of the same band.
        relative: False: the threshold is an accuracy itself, in the unit of `accuracy`.
        interpolated: Also count the part of a level up to where the straight line between the accuracies of two rows
            meets the threshold; noise levels that double are then on a logarithmic scale. The integer is this number
            rounded up, unless an accuracy is exactly the threshold. Ours; the published test has integers.

    Returns:
        (..., F) in [0, S - 1]; NaN where the noise-free accuracy is 0 and the threshold is relative.

    Raises:
        ValueError: There are fewer than two rows, or no band.
    """
    table = np.asarray(accuracy, dtype=np.float64)
    if table.ndim < 2 or table.shape[-2] < 2 or table.shape[-1] < 1:
        raise ValueError(
            "accuracy must have two rows or more, without and with noise, and a column for each band; "
            f"it has the shape {table.shape}"
        )
    free = table[..., :1, :]  # (..., 1, F)
    if relative:
        table = table / np.where(free > 0, free, np.nan)
    levels = table.shape[-2] - 1
    passed = table > threshold  # (..., S, F)
    count = np.where(passed.any(axis=-2), passed[..., ::-1, :].argmax(axis=-2), levels)  # (..., F)
    if interpolated:
        # the last row that passes and the one after it
        last = np.clip(levels - count, 0, levels - 1)[..., None, :]
        above, below = (np.take_along_axis(table, row, axis=-2)[..., 0, :] for row in (last, last + 1))
        between = (count > 0) & (above > threshold)
        part = (above - threshold) / np.where(between, above - below, 1)
        count = count - np.where(between, part, 0)
    defined = free[..., 0, :] > 0 if relative else np.ones(count.shape, dtype=bool)
    return np.where(defined, np.minimum(count, levels), np.nan)


def critical_band(
    thresholds: npt.ArrayLike, *, lowest_frequency: float = LOWEST, levels: int = LEVELS
) -> CriticalBand:
    """Return the critical band of noise thresholds.

    The bump A exp(-(f - m)² / (2 s²)) over the numbers f = 0, 1, ... of the bands is fitted by least squares with
    0 ≤ A ≤ levels, from the start (1, 0, 1), as published. The bandwidth is 2 sqrt(ln 4) |s|, the center frequency
    lowest_frequency · 2^m; beyond the outer bands it is extrapolated.

    Args:
        thresholds: (F,) of `thresholds`, the lowest band first, four bands or more.
        lowest_frequency: Of band 0, in cycles per image.
        levels: Number of noise levels.

    Returns:
        The band; NaN in all three where thresholds are all the same (published numbers of such networks are those of
        where the fit stopped) or NaN, or where the fit does not settle: one or two bands alone can have any width.

    Raises:
        ValueError: Thresholds have another shape, fewer bands, or a value outside [0, levels].
    """
    profile = np.asarray(thresholds, dtype=np.float64)
    if profile.ndim != 1 or len(profile) < _FEWEST:
        raise ValueError(
            f"thresholds must be {_FEWEST} or more numbers, one for each band, not {profile.shape}"
        )
    outside = profile[(profile < 0) | (profile > levels)]
    if outside.size:
        raise ValueError(f"a threshold must be a number of noise levels, 0 to {levels}, not {outside[0]:g}")
    if np.isnan(profile).any() or (profile == profile[0]).all():
        return CriticalBand(math.nan, math.nan, math.nan)
    from scipy.optimize import curve_fit

    try:
        with np.errstate(all="ignore"):
            (height, mean, deviation), _ = curve_fit(
                _bump,
                np.arange(len(profile), dtype=np.float64),
                profile,
                p0=(1, 0, 1),
                bounds=((0, -np.inf, -np.inf), (levels, np.inf, np.inf)),
                jac=_slopes,
            )
    except RuntimeError:  # the number of steps is used up
        return CriticalBand(math.nan, math.nan, math.nan)
    return CriticalBand(
        bandwidth=2 * math.sqrt(math.log(4)) * abs(float(deviation)),
        center_frequency=lowest_frequency * float(np.exp2(mean)),
        peak_noise_sensitivity=float(np.exp2(height - levels)),
    )


def _bump(f: Array, height: float, mean: float, deviation: float) -> Array:
    return height * np.exp(-((f - mean) ** 2) / (2 * deviation**2))


def _slopes(f: Array, height: float, mean: float, deviation: float) -> Array:
    """Derivatives of `_bump` by its parameters, (F, 3): a quarter of the calls that differences need."""
    away = (f - mean) / deviation
    bump = np.exp(-(away**2) / 2)
    return np.stack([bump, height * bump * away / deviation, height * bump * away**2 / deviation], axis=1)


@dataclass(frozen=True)
class CriticalBandNoise:
    """The critical band of a classifier: accuracy on grey low-contrast images under noise of single frequency bands.

    At 224 px seven bands and four strengths of noise, and the images without noise: 29 conditions. Thresholds are those
    of half the noise-free accuracy. The values `cb_...` are the published ones of integer thresholds, so many networks
    share one; `cb_..._interpolated` are ours, which tell them apart. Values by another norm have its name at the end,
    as in `cb_bandwidth_norm_none`.

    Attributes:
        image_size: Height and width of the images in pixels, which decides the bands (see `band_noise`);
            20 or more.
        deviations: Standard deviations of the white noise, rising; the levels.
        seed: Of the noise.
        norms: What half of is the threshold: `grey`, the noise-free accuracy on the same grey images, as published;
            `colour`, the accuracy on the images as they are, one condition more; `none`, an accuracy of 1.
    """

    image_size: int = 224
    deviations: tuple[float, ...] = (0.02, 0.04, 0.08, 0.16)
    seed: int = 0
    norms: tuple[str, ...] = (_GREY,)
    needs_textures: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "deviations", tuple(float(deviation) for deviation in self.deviations))
        if band_noise.bands(self.image_size, self.image_size) < _FEWEST:
            raise ValueError(
                f"a critical band needs {_FEWEST} bands, which images of 20 px or more have; "
                f"image_size is {self.image_size}"
            )
        object.__setattr__(self, "norms", tuple(self.norms))
        if (
            not self.norms
            or not {*self.norms} <= {_GREY, _COLOUR, _NONE}
            or len({*self.norms}) < len(self.norms)
        ):
            raise ValueError(
                f"norms must be some of {_GREY}, {_COLOUR}, {_NONE}, each once, not "
                f"{', '.join(map(str, self.norms)) or 'none at all'}"
            )
        rising = all(one < other for one, other in pairwise((0.0, *self.deviations)))
        if not self.deviations or not rising or self.deviations[-1] > 1:
            raise ValueError(
                "deviations must be one or more rising numbers above 0 and at most 1, "
                f"not {', '.join(map(str, self.deviations)) or 'none'}"
            )

    def __repr__(self) -> str:
        """Return what numbers depend on; as it was before there were norms where there is the published one alone."""
        norms = "" if self.norms == (_GREY,) else f", norms={self.norms!r}"
        about = f"image_size={self.image_size!r}, deviations={self.deviations!r}, seed={self.seed!r}{norms}"
        return f"{type(self).__qualname__}({about})"

    @property
    def columns(self) -> tuple[str, ...]:
        """`noise_free`, then such as `noise_0.02_at_1.75`: deviation and nominal frequency in cycles per image.

        With the norm `colour` the last is `clean`.
        """
        return (
            "noise_free",
            *(
                f"noise_{deviation:g}_at_{frequency:g}"
                for deviation in self.deviations
                for frequency in band_noise.frequencies(self.image_size)
            ),
            *(("clean",) if _COLOUR in self.norms else ()),
        )

    @property
    def passes(self) -> int:
        """One for each condition."""
        return len(self.columns)

    def observe(self, classifier: Classifier, batch: Batch) -> Tensor:
        """Return whether each image is right under each condition, (B, K) of 0 and 1."""
        height, width = batch.images.shape[-2:]
        if (height, width) != (self.image_size, self.image_size):
            raise ValueError(
                f"the critical band is set to images of {self.image_size} × {self.image_size} px, and these have "
                f"{height} × {width}: set its image_size to the height and width of the images"
            )
        grey = band_noise.low_contrast(batch.images)
        conditions = product(self.deviations, range(band_noise.bands(height, width)))
        noisy = (
            band_noise.with_noise(grey, batch.indices, band, deviation, seed=self.seed)
            for deviation, band in conditions
        )
        seen = (images.expand(-1, 3, -1, -1) for images in chain([grey], noisy))
        return right_under(classifier, batch, chain(seen, [batch.images] * (_COLOUR in self.norms)))

    def values(self, means: Array) -> dict[str, Array]:
        """Return bandwidth, center frequency and peak-noise sensitivity, (R,) each, published and interpolated."""
        levels, lowest = len(self.deviations), band_noise.frequencies(self.image_size)[0]
        bands = band_noise.bands(self.image_size, self.image_size)
        noisy = means[:, 1 : 1 + levels * bands].reshape(len(means), levels, bands)  # (R, S - 1, F)
        free = np.broadcast_to(means[:, :1, None], (len(means), 1, bands))
        accuracy = np.concatenate([free, noisy], axis=1)
        found = {}
        for norm, interpolated in product(self.norms, (False, True)):
            scale = (
                np.where(means[:, -1:] > 0, means[:, -1:], np.nan)
                if norm == _COLOUR
                else np.ones((len(means), 1))
            )
            rows = thresholds(accuracy / scale[..., None], relative=norm == _GREY, interpolated=interpolated)
            rows = np.where(np.isnan(scale), np.nan, rows)
            # Few profiles of integers differ, and one fit is enough for all that are equal.
            profiles, of_row = np.unique(rows, axis=0, return_inverse=True)
            fits = [critical_band(profile, lowest_frequency=lowest, levels=levels) for profile in profiles]
            for field in fields(CriticalBand):
                name = f"cb_{field.name}" + "_interpolated" * interpolated + f"_norm_{norm}" * (norm != _GREY)
                found[name] = np.array([getattr(fit, field.name) for fit in fits])[of_row.reshape(-1)]
        return found
