"""Runs of transfer.py together: who forgets what, and whether a measure before training goes with what was gained."""
