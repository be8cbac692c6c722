"""Score a checkpoint or pretrained weights without training: python src/eval.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import eval_job

if __name__ == "__main__":
    command_line(eval_job, "eval")
