"""How often the p of a partial rank correlation is below .05 and .01 where there is none.

    python -m benchmarks.partial_rank_null        a few minutes on one core

Two quantities of n networks follow a third, normal each, with the correlations given, and are independent otherwise.
`unseen.reporting.statistics.association.partial_spearman` tests them given the third.
"""

from __future__ import annotations

import math

import numpy as np

from unseen.reporting.statistics.association import partial_spearman

SAMPLES = 600


def shares(n: int, first: float, second: float) -> tuple[float, float]:
    """Return the shares of samples with p at most .05 and .01, of those in which p is defined."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(SAMPLES):
        given, one, other = rng.standard_normal((3, n))
        one = first * given + math.sqrt(1 - first**2) * one
        other = second * given + math.sqrt(1 - second**2) * other
        found.append(partial_spearman(one, other, given)[1])
    known = np.array([p for p in found if not math.isnan(p)])
    return float((known <= 0.05).mean()), float((known <= 0.01).mean())


def main() -> None:
    """Print the shares."""
    print("  n  correlations  p <= .05  p <= .01")
    for n in (6, 8, 12):
        for first, second in ((0.0, 0.0), (0.7, 0.7), (0.9, 0.9), (0.9, -0.9)):
            print(
                f"{n:>3}  {first:>4}  {second:>4}  {'{:>8.3f}  {:>8.3f}'.format(*shares(n, first, second))}",
                flush=True,
            )


if __name__ == "__main__":
    main()
