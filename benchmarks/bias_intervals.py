"""How often the 95 % intervals of biases hold the true value: python benchmarks/bias_intervals.py.

Makes up the numbers of images whose true means are known, asks `Observations.estimates`, and counts. Writes
bias_intervals.json and the table in docs/biases.md; --repeats 20 shows what comes out and keeps nothing.

An image has a difficulty, which is normal over images. It is right under a condition if the sum of its difficulty (.8 of
the variance) and of what is drawn for the condition alone (.2) is below a cut, which the accuracy of the condition sets. So
an image that is right under strong noise is mostly right under weak noise. Accuracies are like those of the published
networks. `plain` is the percentile interval without the two images that the package adds.

It takes under four minutes of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import torch  # noqa: E402
from scipy.special import expit, logit  # noqa: E402
from scipy.stats import beta, norm  # noqa: E402

from unseen.biases.accuracy import Accuracy  # noqa: E402
from unseen.biases.attack import AdversarialAccuracy  # noqa: E402
from unseen.biases.calibration import CalibrationError  # noqa: E402
from unseen.biases.color import ColorDependence  # noqa: E402
from unseen.biases.critical_bands import CriticalBandNoise  # noqa: E402
from unseen.biases.measure import Measure  # noqa: E402
from unseen.biases.measuring import Observations  # noqa: E402
from unseen.biases.patches import PatchShuffleSensitivity  # noqa: E402
from unseen.biases.receptive_field import ReceptiveField  # noqa: E402
from unseen.biases.shape import ShapeBias  # noqa: E402
from unseen.biases.spectral import HighFrequency, LowFrequency  # noqa: E402

RESULTS, PAGE = ROOT / "benchmarks" / "bias_intervals.json", ROOT / "docs" / "biases.md"
MARKS = ("<!-- bias intervals -->\n", "<!-- end of bias intervals -->\n")
REPEATS, RESAMPLES = 400, 1000  # a coverage of .95 is then known to ± .02
FEW_REPEATS = 60  # of the critical band, and of what is far from .95: ± .06
BAND_RESAMPLES = 199  # each has a fit of its own
SHARED = 0.8  # of the variance of what decides whether an image is right: its difficulty
Array = npt.NDArray[np.float64]
Rng = np.random.Generator


class Setting(NamedTuple):
    """A measure on made-up images: numbers of n images (n, K), and the true means of the columns (K,)."""

    name: str
    measure: Measure
    sizes: tuple[int, ...]
    draw: Callable[[Rng, int], Array]
    true: Array
    sources: Callable[[int], npt.NDArray[np.int64]] | None = None


def right(rng: Rng, n: int, accuracies: Array, difficulty: Array | None = None) -> Array:
    """Return whether each of n images is right under each condition, (n, K) of 0 and 1."""
    shared = rng.standard_normal(n) if difficulty is None else difficulty
    own = rng.standard_normal((n, len(accuracies)))
    asked = math.sqrt(SHARED) * shared[:, None] + math.sqrt(1 - SHARED) * own
    return (asked < norm.ppf(accuracies)).astype(float)


def conditions(name: str, measure: Measure, sizes: tuple[int, ...], *accuracies: float) -> Setting:
    """Return a setting of a measure whose columns are accuracies."""
    true = np.array(accuracies)
    return Setting(name, measure, sizes, lambda rng, n: right(rng, n, true), true)


def decisions(name: str, sizes: tuple[int, ...], shape: float, texture: float) -> Setting:
    """Return a setting of shape bias: shares of images decided for the shape and for the texture."""
    true = np.array([shape, texture])

    def draw(rng: Rng, n: int) -> Array:
        return rng.multinomial(1, [shape, texture, 1 - shape - texture], size=n)[:, :2].astype(float)

    return Setting(name, ShapeBias(), sizes, draw, true)


def pictures_of(n: int) -> npt.NDArray[np.int64]:
    """Return which of 160 shapes and of 48 textures each image is made of, (n, 2), as in the public cue-conflict set."""
    rng = np.random.default_rng(0)
    return np.column_stack([rng.integers(0, 160, n), rng.integers(0, 48, n)])


def shared_pictures(share: float) -> Setting:
    """Return a setting of shape bias whose images share shapes and textures, each with a share of the variance."""
    shape, texture = 0.15, 0.5
    cuts = norm.ppf([shape, 1 - texture])

    def draw(rng: Rng, n: int) -> Array:
        shapes, textures = pictures_of(n).T
        of_shape, of_texture = rng.standard_normal(160)[shapes], rng.standard_normal(48)[textures]
        pull = math.sqrt(share) * (of_shape + of_texture) + math.sqrt(1 - 2 * share) * rng.standard_normal(n)
        return np.column_stack([pull < cuts[0], pull > cuts[1]]).astype(float)

    name = f"15 %, 50 %, of 160 shapes and 48 textures, each {share:.0%} of the variance"
    return Setting(name, ShapeBias(), (60, 240, 1200), draw, np.array([shape, texture]), pictures_of)


def of_classes(fixed: bool) -> Setting:
    """Return a setting of accuracy on 20 classes that differ (30 % of the variance): the same each time, or others."""
    spread = norm.ppf((np.arange(20) + 0.5) / 20)
    shares = (math.sqrt(0.3), math.sqrt(0.7))

    def draw(rng: Rng, n: int) -> Array:
        classes = spread if fixed else rng.standard_normal(20)
        difficulty = shares[0] * np.repeat(classes, n // 20) + shares[1] * rng.standard_normal(n)
        return (difficulty < norm.ppf(0.7)).astype(float)[:, None]

    true = norm.cdf((norm.ppf(0.7) - shares[0] * spread) / shares[1]).mean() if fixed else 0.7
    name = "… for more images of these 20 classes" if fixed else "… for images of other classes, 20 seen"
    return Setting(name, Accuracy(), (200, 1000), draw, np.array([true]))


def gradients() -> Setting:
    """Return a setting of receptive field: skewed shares of the pixels with mean .12 and deviation .04."""
    sigma = math.sqrt(math.log(1 + (0.04 / 0.12) ** 2))

    def draw(rng: Rng, n: int) -> Array:
        return np.column_stack([rng.lognormal(math.log(0.12) - sigma**2 / 2, sigma, n), np.ones(n)])

    return Setting("mean .12, sd .04", ReceptiveField(), (50, 200), draw, np.array([0.12, 1.0]))


class BootstrappedCalibrationError(CalibrationError):
    """Calibration error with the interval that the package does not give."""

    without_interval = ()


def confidences(name: str, slope: float, shift: float) -> Setting:
    """Return a setting of calibration: the log odds of being right are a line of those of the confidence."""
    measure = BootstrappedCalibrationError()

    def columns(confidence: Array, correct: Array) -> Array:
        numbers = np.zeros((len(confidence), 3, measure.bins))
        bins = np.ceil(confidence * measure.bins).astype(int) - 1
        numbers[np.arange(len(bins)), :, bins] = np.column_stack([np.ones(len(bins)), confidence, correct])
        return numbers.reshape(len(bins), -1)

    def chance(confidence: Array) -> Array:
        return expit(slope * logit(confidence) + shift)

    def draw(rng: Rng, n: int) -> Array:
        confidence = np.clip(rng.beta(2, 0.6, n), 0.01, 0.999)
        return columns(confidence, rng.random(n) < chance(confidence))

    every = np.clip(beta.ppf((np.arange(20_000) + 0.5) / 20_000, 2, 0.6), 0.01, 0.999)
    true = columns(every, chance(every)).mean(axis=0)
    return Setting(name, measure, (200, 1000), draw, true)


def bands(name: str, levels: tuple[float, ...]) -> Setting:
    """Return a setting of the critical band: how many levels of noise are too much for each band.

    The accuracy relative to that without noise is 1 / (1 + (noise / limit)²); it is one half at the limit.
    """
    noise = 0.01 * 2.0 ** np.arange(1, 5)[:, None]
    limit = 0.01 * 2.0 ** (4.5 - np.array(levels))
    accuracy = 0.6 / (1 + (noise / limit) ** 2)
    return conditions(name, CriticalBandNoise(), (200, 1000), 0.6, *accuracy.ravel())


LOW = tuple(0.76 * ratio for ratio in (0.02, 0.18, 0.53, 0.73, 0.83, 0.90, 0.93, 0.95, 0.97, 0.98, 0.99))
HIGH = tuple(0.76 * r for r in (0.0019, 0.0019, 0.0034, 0.0052, 0.009, 0.015, 0.03, 0.06, 0.2, 0.5, 0.95))
HIGHEST = tuple(0.76 * r for r in (0.0019, 0.0094, 0.069, 0.146, 0.197, 0.2525, 0.3, 0.4, 0.6, 0.8, 0.97))


def settings() -> Iterator[Setting]:
    """Return everything that is simulated."""
    some, many = (100, 200, 1000), (60, 240, 1200)
    yield conditions("76 % right", Accuracy(), some, 0.76)
    yield conditions("2 % right", Accuracy(), some, 0.02)
    yield of_classes(fixed=True)
    yield of_classes(fixed=False)
    yield conditions("0.5 % withstand", AdversarialAccuracy(), some, 0.76, 0.005)
    yield conditions("18 % withstand", AdversarialAccuracy(), some, 0.76, 0.18)
    yield decisions("15 % shape, 50 % texture", many, 0.15, 0.5)
    yield decisions("5 % shape, 60 % texture", many, 0.05, 0.6)
    yield shared_pictures(0.2)
    yield shared_pictures(0.0)
    yield conditions("as the baseline", LowFrequency(), some, 0.76, *LOW)
    yield conditions("as the baseline", HighFrequency(), some, 0.76, *HIGH)
    yield conditions("as the highest of 48", HighFrequency(), some, 0.76, *HIGHEST)
    yield conditions("76 % become 70 %", ColorDependence(), some, 0.76, 0.70)
    yield conditions("76 % become 5 %", PatchShuffleSensitivity(), some, 0.76, 0.05)
    yield gradients()
    yield confidences("well calibrated", 1.0, 0.0)
    yield confidences("over-confident", 0.7, -0.3)
    yield bands("limits midway between levels", (0, 1, 2, 3, 4, 4, 3))
    yield bands("limits at any place", (0.1, 0.8, 1.6, 2.6, 3.4, 3.7, 2.9))


def plain_intervals(measure: Measure, numbers: Array, resamples: int) -> dict[str, tuple[float, float]]:
    """Return percentile intervals of the images alone."""
    rows, counts = np.unique(numbers, axis=0, return_counts=True)
    n = len(numbers)
    drawn = np.random.default_rng(0).multinomial(n, counts / n, size=resamples) @ rows / n
    return {name: np.nanquantile(v, [0.025, 0.975]) for name, v in measure.values(drawn).items()}


def true_values(setting: Setting) -> dict[str, float]:
    """Return the true values."""
    return {name: float(value[0]) for name, value in setting.measure.values(setting.true[None]).items()}


def coverage(setting: Setting, n: int, repeats: int) -> list[dict[str, Any]]:
    """Return for each value of the measure how often its intervals hold the true one, of so many sets of n images."""
    is_band = isinstance(setting.measure, CriticalBandNoise)
    slow = CriticalBandNoise | CalibrationError
    plain = not isinstance(setting.measure, slow | ReceptiveField)
    resamples = BAND_RESAMPLES if is_band else RESAMPLES
    repeats = min(repeats, FEW_REPEATS) if isinstance(setting.measure, slow) else repeats
    rng = np.random.default_rng(
        [ord(letter) for letter in f"{type(setting.measure).__name__} {setting.name} {n}"]
    )
    true = true_values(setting)
    ends: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in true}
    for repeat in range(repeats):
        numbers = setting.draw(rng, n)
        observations = Observations(setting.measure, n, "", setting.sources and setting.sources(n))
        observations.add(torch.from_numpy(numbers))
        found = observations.estimates(resamples=resamples, seed=repeat)
        others = plain_intervals(setting.measure, numbers, resamples) if plain else {}
        for name, estimate in found.items():
            ends[name].append((estimate.low, estimate.high, *others.get(name, (math.nan, math.nan))))
    rows = []
    for name, truth in true.items():
        low, high, plain_low, plain_high = np.array(ends[name]).T
        given = ~np.isnan(low)
        held = (low - 1e-9 <= truth) & (truth <= high + 1e-9)
        without = (plain_low - 1e-9 <= truth) & (truth <= plain_high + 1e-9)
        rows.append(
            {
                "value": name,
                "setting": setting.name,
                "n": n,
                "true": round(truth, 4),
                "coverage": round(float(held[given].mean()), 4) if given.any() else None,
                "given": round(float(given.mean()), 4),
                "width": round(float(np.median((high - low)[given])), 4) if given.any() else None,
                "plain": round(float(without.mean()), 4) if plain else None,
            }
        )
    return rows


def table(results: list[dict[str, Any]]) -> str:
    """Return a Markdown table, a row for each value and setting, with its sizes one after the other."""
    lines = [
        "| value | made-up images | true | n | coverage | median width | plain |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for (value, setting), group in itertools.groupby(results, key=lambda row: (row["value"], row["setting"])):
        rows = list(group)
        cells = {key: [row[key] for row in rows] for key in rows[0]}
        n = ", ".join(f"{size:,}" for size in cells["n"])
        width = ", ".join("–" if each is None else f"{each:.2g}" for each in cells["width"])
        shown = [", ".join(map(_share, cells[key])) for key in ("coverage", "plain")]
        lines.append(
            f"| `{value}` | {setting} | {cells['true'][0]:.3g} | {n} | {shown[0]} | {width} | {shown[1]} |"
        )
    return "\n".join(lines) + "\n"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".lstrip("0") if value < 0.995 else "1"


def with_table(text: str, results: list[dict[str, Any]]) -> str:
    """Return the page's text with the table between its two marks."""
    before, _, rest = text.partition(MARKS[0])
    return f"{before}{MARKS[0]}\n{table(results)}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Count how often intervals of biases hold the true value.")
    parser.add_argument(
        "--repeats", type=int, default=REPEATS, help=f"of each setting; only {REPEATS} are kept"
    )
    parser.add_argument("--only", default="", help="a word of the measure's name; nothing is kept")
    options = parser.parse_args()
    began = time.process_time()
    results = []
    for setting in settings():
        if options.only.lower() not in type(setting.measure).__name__.lower():
            continue
        found = [row for n in setting.sizes for row in coverage(setting, n, options.repeats)]
        results += sorted(found, key=lambda row: list(true_values(setting)).index(row["value"]))
        print(table(results[-len(found) :]).split("\n", 2)[2], end="", flush=True)
    print(f"{time.process_time() - began:.0f} s of one core")
    if options.repeats == REPEATS and not options.only:
        lines = ",\n".join(json.dumps(row) for row in results)
        RESULTS.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
