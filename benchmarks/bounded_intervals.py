"""What intervals of g should do at the ends of its range: python benchmarks/bounded_intervals.py.

Makes up NMI of five layers over class splits, in [0, 1], with a known true g: the true mean of each layer plus deviations
as large as those of real splits, on the scale of the logit. Asks the report's own function for the t interval, and counts
how often three of them hold the true g, and how long they are: as it is; ended at 0 and 1; and by t on the logits, carried
back. Prints a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

import numpy as np  # noqa: E402

from unseen.reporting.statistics.best_layer import generalization  # noqa: E402
from unseen.reporting.statistics.intervals import SHARE, Floats  # noqa: E402

REPEATS = 4000  # a share of .95 is then known to ± .007
CASES = {  # best and other layers on the logit scale, standard deviation of splits
    "g .57, splits vary by .10": (0.3, 0.4),
    "g .56, splits vary by .19": (0.3, 0.9),
    "g .90, splits vary by .05": (2.25, 0.5),
    "g .11, splits vary by .05": (-2.2, 0.5),
}
LAYERS = 5


def made_up(rng: np.random.Generator, splits: int, best: float, sd: float, repeats: int) -> Floats:
    """Return (repeats, S, L) NMI; layers share three quarters of the variance of a split."""
    common = rng.standard_normal((repeats, splits, 1))
    own = rng.standard_normal((repeats, splits, LAYERS))
    curve = best - np.array([1.0, 0.6, 0.2, 0.0, 0.4])
    values: Floats = curve + sd * (np.sqrt(0.75) * common + 0.5 * own)
    return 1 / (1 + np.exp(-values))


def main() -> int:
    """Run the command."""
    print("| case | splits | t | ended at 0 and 1 | logits | length t | ended | logits | beyond 0 or 1 |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for case, (best, sd) in CASES.items():
        truth = float(made_up(np.random.default_rng(1), 1, best, sd, 400_000)[:, 0].mean(axis=0).max())
        for splits in (3, 4, 5):
            print(row(case, splits, truth, made_up(np.random.default_rng(0), splits, best, sd, REPEATS)))
    return 0


def row(case: str, splits: int, truth: float, tables: Floats) -> str:
    """Return a line of the table."""
    held: dict[str, list[bool]] = {"t": [], "ended": [], "logits": []}
    lengths: dict[str, list[float]] = {name: [] for name in held}
    beyond = 0
    for nmi in tables:
        plain, on_logits = generalization(nmi), generalization(np.log(nmi / (1 - nmi)))
        assert plain is not None
        assert on_logits is not None
        found, other = plain.cross_fitted, on_logits.cross_fitted
        ended = found.within(*SHARE)
        ends = {
            "t": (found.low, found.high),
            "ended": (ended.low, ended.high),
            "logits": (1 / (1 + np.exp(-other.low)), 1 / (1 + np.exp(-other.high))),
        }
        beyond += found.low < 0 or found.high > 1
        for name, (low, high) in ends.items():
            held[name].append(low <= truth <= high)
            lengths[name].append(high - low)
    shares = [f"{np.mean(held[name]):.3f}".removeprefix("0") for name in held]
    medians = [f"{np.median(lengths[name]):.2f}" for name in lengths]
    return f"| {case} ({truth:.2f}) | {splits} | {' | '.join([*shares, *medians])} | {beyond / len(tables):.0%} |"


if __name__ == "__main__":
    sys.exit(main())
