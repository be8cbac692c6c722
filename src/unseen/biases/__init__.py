"""Measures of a network that may explain how it generalizes: shape, frequency and critical-band biases, and others."""

from unseen.biases.critical_bands import critical_band
from unseen.biases.shape import shape_bias
from unseen.biases.spectral import high_pass, low_pass

__all__ = ["critical_band", "high_pass", "low_pass", "shape_bias"]
