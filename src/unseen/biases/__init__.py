"""Measures of a network that may explain how it generalizes: shape, frequency and critical-band biases, and others."""
