"""A Hydra launcher that gives every job of a sweep a fresh process tree."""
