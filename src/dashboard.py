"""Build the W&B dashboard of a project, and upload it where there is a key: python src/dashboard.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import dashboard_job

if __name__ == "__main__":
    command_line(dashboard_job, "dashboard")
