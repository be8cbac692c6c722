"""A run of biases.py: the biases of a network."""
