"""Measure what the speed claims rest on: python benchmarks/run.py --help."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]

from benchmarks import measure  # noqa: E402  (a checkout needs no installation)
from benchmarks.measure import CannotMeasure, Row, Settings  # noqa: E402
from unseen.threads import settle_threads  # noqa: E402

# name: module, whose function of this name measures; in the order of the run
ROWS = {
    "startup": "commands", "whole_job": "whole_job", "network": "network", "probe_suite": "probe_suites",
    "probe_suite_large": "probe_suites", "sweep_overhead": "commands",
}  # fmt: skip
FULL_ROWS = {**ROWS, "image_cache": "commands", "busy_machine": "commands", "kill_sweep": "commands"}
CUDA_ROWS = {"probe_suite_cuda": "probe_suites", "network_cuda": "network"}
README, MARKS = ROOT / "benchmarks" / "README.md", ("<!-- tables -->\n", "<!-- end of tables -->\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, or 130 where it was interrupted."""
    options, results = parse(arguments)
    if options.readme:
        README.write_text(with_tables(README.read_text(encoding="utf-8"), results), encoding="utf-8")
        return 0
    settings = Settings(
        size="full" if options.full else "tiny" if options.tiny else "cut",
        device=options.device, seed=options.seed, rounds=options.rounds, images=options.images, report=report,
    )  # fmt: skip
    quiet()
    run = measure.machine(settings)
    report(
        f"{run['cpu']}, {run['cores']} cores, {run['threads']} threads, load {run['load']:g}; results: {options.out or 'not kept'}"
    )
    if run["load"] > 0.5:
        report(
            "note: other programs are running, and ratios are safer than seconds; both are safer on a quiet machine"
        )
    chosen = CUDA_ROWS if options.device == "cuda" else FULL_ROWS if options.full else ROWS
    code, measured = 0, []
    try:
        for name in options.names or chosen:
            rows = measured_rows(name, settings)
            measured += [row.to_dict() for row in rows]
            measure.keep(results, rows, settings, run)
            write(results, options.out)
    except KeyboardInterrupt:
        report("interrupted; the finished rows are kept")
        code = 130
    print("\n" + measure.text_table(measured) + "\n")
    for row in measured:
        print(f"{row['name']}: {measure.words(row)}")
    return code


def measured_rows(name: str, settings: Settings) -> list[Row]:
    """Return the rows of one name; one that cannot be measured says so."""
    module = {**FULL_ROWS, **CUDA_ROWS}[name]
    function: Callable[[Settings], list[Row]] = getattr(import_module(f"benchmarks.{module}"), name)
    try:
        return function(settings)
    except CannotMeasure as error:
        report(f"{name}: not run: {error}")
        return [Row(name, "", not_run=str(error))]


def write(results: dict[str, Any], path: Path | None) -> None:
    """Write the results file in one step."""
    if path is None:
        return
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)


def with_tables(text: str, results: dict[str, Any]) -> str:
    """Return the README's text with the tables of these results between its two marks."""
    head, _, rest = text.partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    return f"{head}{MARKS[0]}\n{measure.markdown(results)}\n\n{MARKS[1]}{tail}"


def quiet() -> None:
    """Leave out what libraries and probes say about made-up data."""
    import logging
    import warnings

    from unseen.probes import ProbeWarning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=ProbeWarning)


def report(line: str) -> None:
    """Show a line of progress."""
    print(line, file=sys.stderr, flush=True)


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Return the options and what the results file holds; bad ones end the command with one sentence."""
    parser = argparse.ArgumentParser(
        description="Measure what the speed claims rest on: ratios of two things timed in turns.",
        epilog=f"rows: {', '.join(FULL_ROWS)}; with --device cuda: {', '.join(CUDA_ROWS)}",
    )
    parser.add_argument("names", nargs="*", metavar="ROW", help="which rows; none: all but the last three")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--full", action="store_true", help="all rows, nothing cut: hours")
    sizes.add_argument("--tiny", action="store_true", help="only to see that it runs")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: the rows for a GPU")
    parser.add_argument("--seed", type=int, default=0, help="of data, runs and weights (default 0)")
    parser.add_argument("--rounds", type=int, default=measure.PAIRS, help=f"default {measure.PAIRS}")
    parser.add_argument("--images", type=Path, help="folder or zip archive of the calligraphy images")
    parser.add_argument(
        "--out", type=Path, help="results file (default benchmarks/results.json; with --tiny, none is kept)"
    )
    parser.add_argument(
        "--readme", action="store_true", help="only put the results file's tables into the README"
    )
    options = parser.parse_args(arguments)
    known = CUDA_ROWS if options.device == "cuda" else FULL_ROWS
    for name in options.names:
        if name not in known:
            parser.error(f"{name!r} is not one of {', '.join(known)} (--device {options.device})")
    if options.rounds < 1 or options.seed < 0:
        parser.error("--rounds must be 1 or more, and --seed 0 or more")
    if options.images and not options.images.exists():
        parser.error(f"--images {options.images} does not exist")
    if not options.out and not options.tiny:
        options.out = measure.RESULTS
    return options, checked_results(parser, options)


def checked_results(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, Any]:
    """Return the results file's content, and make sure that it can be written and that there is a GPU where one is needed."""
    try:
        results = measure.read_results(options.out)
        if not options.readme:
            write(results, options.out)
    except OSError as error:
        parser.error(
            f"the results cannot be written to {options.out} ({error.strerror}); name another file with --out"
        )
    except ValueError:
        parser.error(f"{options.out} is no results file of this command; name another file with --out")
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("--device cuda: torch finds no CUDA device here")
    return results


if __name__ == "__main__":
    settle_threads()  # before torch is loaded, as every command does
    sys.exit(main())
