"""Fine-tune on seen classes and score every layer on unseen ones: python src/train.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import train_job

if __name__ == "__main__":
    command_line(train_job, "train")
