"""Measures of a network that may explain how it generalizes: shape, frequency and critical-band biases, and others."""

from unseen.biases.shape import shape_bias

__all__ = ["shape_bias"]
