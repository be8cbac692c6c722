"""Runs of train.py and eval.py: which network, and which layer of it, generalizes to classes it has never seen."""
