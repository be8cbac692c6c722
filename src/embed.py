"""Embed a folder of images with the best layer of a run: python src/embed.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import embed_job

if __name__ == "__main__":
    command_line(embed_job, "embed")
