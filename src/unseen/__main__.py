"""The command `unseen NAME ...`, or `python -m unseen NAME ...`: what `python src/NAME.py ...` does in a clone."""

from __future__ import annotations

import sys

from unseen import __version__
from unseen.wording import suggestion

COMMANDS = {
    "train": "fine-tune on seen classes, score every layer on unseen ones; -m for a sweep",
    "eval": "score a checkpoint or pretrained weights without training",
    "biases": "measure shape, frequency and critical-band biases, and accuracy under shift and attack",
    "transfer": "what fine-tuning a vision-language encoder gains on a task and forgets elsewhere",
    "embed": "embed a folder of images with the best layer of a run",
    "report": "turn run folders into tables, figures and one page with the answer",
    "dashboard": "build the W&B dashboard of a project",
}


def main() -> None:
    """Run the command that was typed and end the process with its exit code; 2: there is no such command."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in {"-h", "--help"}:
        print("unseen COMMAND [key=value ...]; each command has a --help of its own\n")
        print("\n".join(f"  {command:<11}{what}" for command, what in COMMANDS.items()))
        return
    if name == "--version":
        print(__version__)
        return
    if name not in COMMANDS:
        print(
            f"error: unseen has no command {name!r}{suggestion(name, COMMANDS)}; there are {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        sys.exit(2)
    from unseen.runs import commands
    from unseen.runs.cli import command_line

    sys.argv = [f"unseen {name}", *arguments]  # one word, as a script is
    command_line(getattr(commands, f"{name}_job"), name)


if __name__ == "__main__":
    main()
