"""Measure and fine-tune a vision-language encoder: python src/transfer.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import transfer_job

if __name__ == "__main__":
    command_line(transfer_job, "transfer")
