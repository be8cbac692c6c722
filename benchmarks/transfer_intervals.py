"""Whether the intervals of transfer scores are as wide as they should be: python benchmarks/transfer_intervals.py.

Makes up tasks of a known encoder, scores fresh images of the same classes again and again, and compares the standard
deviation of the scores with those that one set of images tells of itself: by the method of `unseen.transfer.score_all`,
and by the bootstrap for all. Prints the table that stands in benchmarks/README.md; a ratio of 1 is right.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

import numpy as np  # noqa: E402
from scipy.stats import t as student  # noqa: E402

from unseen.transfer import SCORES, score_all  # noqa: E402
from unseen.transfer.scoring import _drawn  # noqa: E402
from unseen.transfer.table import Needs  # noqa: E402
from unseen.transfer.task import Task, resample  # noqa: E402

CASES = {"6 × 20, D 70": (6, 20, 70, 0.5), "5 × 60, D 64": (5, 60, 64, 0.3), "20 × 8, D 64": (20, 8, 64, 0.5)}
NAMES = [name for name in SCORES if name not in {"inter_text", "nleep"}]  # of no images; clusters are kept
RESAMPLES = 30


def ratios(
    rng: np.random.Generator, case: tuple[int, int, int, float], sets: int, asked: int
) -> dict[str, Any]:
    """Return for each score the ratios (interval, bootstrap) of the estimated deviation and the true one."""
    classes, each, size, signal = case
    texts = unit(rng.standard_normal((classes, size)) + rng.standard_normal((1, size)))
    shift = 0.8 * rng.standard_normal((1, size))
    vectors = [rng.standard_normal((classes, 8)) for _ in range(3)]
    labels = np.repeat(np.arange(classes), each)
    values: dict[str, list[float]] = {name: [] for name in NAMES}
    told: dict[str, list[float]] = {name: [] for name in NAMES}
    booted: dict[str, list[float]] = {name: [] for name in NAMES}
    for number in range(sets):
        noise = rng.standard_normal((len(labels), size))
        images = unit(signal * np.sqrt(size) * texts[labels] + shift + noise)
        chances = np.exp(30 * images @ texts.T)
        given = {"texts": texts, "probabilities": chances / chances.sum(axis=1, keepdims=True)}
        given["label_embeddings"] = vectors
        draws = None if number < asked else 0
        for name, found in score_all(images, labels, names=NAMES, draws=draws, **given).items():
            values[name].append(found.value)
            if draws is None:
                freedom = 99 if SCORES[name].needs is Needs.TEXTS else 19
                reach = max(found.high - found.value, found.value - found.low)  # a range may end one side
                told[name].append(reach / student.ppf(0.975, freedom))
        if draws is None:
            task = Task.checked(images, labels, **given)
            drawn = [task.take(resample(labels, number, k)) for k in range(RESAMPLES)]
            for name in NAMES:
                booted[name].append(float(np.std([_drawn(SCORES[name], one) for one in drawn], ddof=1)))
    return {
        name: [
            float(np.sqrt(np.mean(np.square(one[name])))) / np.std(values[name], ddof=1)
            for one in (told, booted)
        ]
        for name in NAMES
    }


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=int, default=100, help="of fresh images (default 100)")
    parser.add_argument("--asked", type=int, default=10, help="sets whose intervals are found (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found = {case: ratios(rng, numbers, options.sets, options.asked) for case, numbers in CASES.items()}
    print(f"| score | {' | '.join(f'{case}: interval' + ' | bootstrap' for case in CASES)} |")
    print("|" + " --- |" * (1 + 2 * len(CASES)))
    for name in NAMES:
        cells = [f"{ratio:.2f}" for case in CASES for ratio in found[case][name]]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
