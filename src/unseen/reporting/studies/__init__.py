"""Studies of runs of train.py: what a swept setting does to g, and what the question of a study asks beyond that."""
