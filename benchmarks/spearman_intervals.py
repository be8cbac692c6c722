"""How often 95 % intervals of Spearman's rho hold the true one, with the ties of the published networks.

    python -m benchmarks.spearman_intervals        about 2 min on one core

Networks are drawn from a normal copula; one side keeps its values, the other takes those of a critical-band number of the
48 published networks (20 and 11 different values among 48). `z` is Fisher's z with the standard error of Bonett and
Wright (2000), which `unseen.reporting.biases` uses; `bootstrap` is the percentile interval of 599 resamples.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

from unseen.reporting.biases.networks import published_networks
from unseen.reporting.statistics.rank_correlation import interval

SAMPLES, BOOTSTRAPPED, RESAMPLES = 2000, 400, 599


def ranks_correlate(x, y):
    """Return Spearman's rho of the last axis."""
    x, y = (side - side.mean(axis=-1, keepdims=True) for side in (rankdata(x, axis=-1), rankdata(y, axis=-1)))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))


def draw(n, correlation, values, samples, rng):
    """Return pairs of n networks, (samples, n) each."""
    x, noise = rng.standard_normal((2, samples, n))
    y = correlation * x + np.sqrt(1 - correlation**2) * noise
    if values is not None:
        x = np.sort(values)[np.minimum((norm.cdf(x) * len(values)).astype(int), len(values) - 1)]
    return x, y


def main() -> None:
    """Print the shares."""
    biases = published_networks().biases
    margins = {
        "none": None,
        "bandwidth": biases["cb_bandwidth"],
        "peak noise": biases["cb_peak_noise_sens"],
    }
    print("   n  ties        true rho      z  bootstrap")
    for n in (15, 33, 48):
        for name, values in margins.items():
            for correlation in (0.0, 0.5, 0.8, 0.95):
                rng = np.random.default_rng(0)
                true = ranks_correlate(*draw(400_000, correlation, values, 1, rng))[0]
                x, y = draw(n, correlation, values, SAMPLES, rng)
                rhos = ranks_correlate(x, y)
                ends = np.array([interval(rho, n) for rho in rhos if abs(rho) < 1])
                covered = ((ends[:, 0] <= true) & (true <= ends[:, 1])).mean()
                held = 0
                for one, other in zip(x[:BOOTSTRAPPED], y[:BOOTSTRAPPED], strict=True):
                    drawn = rng.integers(0, n, (RESAMPLES, n))
                    low, high = np.nanquantile(ranks_correlate(one[drawn], other[drawn]), [0.025, 0.975])
                    held += low <= true <= high
                print(
                    f"{n:4d}  {name:10s}  {true:8.2f}  {covered:5.3f}  {held / BOOTSTRAPPED:9.3f}", flush=True
                )


if __name__ == "__main__":
    main()
