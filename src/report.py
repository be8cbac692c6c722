"""Turn run folders into tables, figures and one page with the answer: python src/report.py --help."""

from unseen.runs.cli import command_line
from unseen.runs.commands import report_job

if __name__ == "__main__":
    command_line(report_job, "report")
