"""Measure the biases of a network: python src/biases.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import biases_job

if __name__ == "__main__":
    command_line(biases_job, "biases")
