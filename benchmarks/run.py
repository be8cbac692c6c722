"""Measure what the speed claims rest on: python benchmarks/run.py --help."""

from __future__ import annotations

import argparse
import logging
import sys
import warnings
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]  # a checkout needs no installation

from benchmarks import measure  # noqa: E402
from benchmarks.measure import CannotMeasure, Results, Settings, report  # noqa: E402
from unseen.threads import settle_threads  # noqa: E402

# name: module, whose function of this name measures; in the order of the run
ROWS = {
    "startup": "commands", "whole_job": "whole_job", "network": "network", "probe_suite": "probe_suites",
    "probe_suite_large": "probe_suites", "sweep_overhead": "commands",
    "band_noise": "band_noise", "band_noise_memory": "band_noise",
    "iimm": "transfer_scores", "iimm_memory": "transfer_scores", "transfer_scores": "transfer_scores",
}  # fmt: skip
FULL_ROWS = {
    **ROWS,
    "whole_job_500": "whole_job",
    "transfer_scores_large": "transfer_scores",
    "transfer_memory": "transfer_scores",
    "transfer_memory_large": "transfer_scores",
    "technique_steps": "technique_steps",
    "image_cache": "commands",
    "busy_machine": "commands",
    "kill_sweep": "commands",
}
CUDA_ROWS = {"probe_suite_cuda": "probe_suites", "network_cuda": "network"}
README, MARKS = ROOT / "benchmarks" / "README.md", ("<!-- tables -->\n", "<!-- end of tables -->\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return 0, 1 where a row could not be measured, 130 where it was interrupted."""
    options, results = parse(arguments)
    if options.readme:
        README.write_text(with_tables(README.read_text(encoding="utf-8"), results), encoding="utf-8")
        return 0
    size = "full" if options.full else "tiny" if options.tiny else "cut"
    settings = Settings(size, options.device, options.seed, options.rounds, options.images)
    from unseen.probes import ProbeWarning

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=ProbeWarning)  # what a probe says of made-up data
    run = measure.machine(settings)
    report(
        f"{run['cpu']}, {run['cores']} cores, {run['threads']} threads, load {run['load']:g}; results: {options.out or 'not kept'}"
    )
    if run["load"] > 0.5:
        report(
            "note: other programs are running; ratios are safer than seconds, both are safer on a quiet machine"
        )
    chosen = CUDA_ROWS if options.device == "cuda" else FULL_ROWS if options.full else ROWS
    code, measured = 0, []
    try:
        for name in options.names or chosen:
            module = import_module(f"benchmarks.{({**FULL_ROWS, **CUDA_ROWS})[name]}")
            try:
                rows = getattr(module, name)(settings)
            except CannotMeasure as error:
                report(f"{name} is not measured: {error}")
                code = 1
                continue
            measured += measure.keep(results, rows, settings, run)
            measure.write_results(results, options.out)
    except KeyboardInterrupt:
        report("interrupted; the finished rows are kept")
        code = 130
    print(measure.table(measured, [run]))
    return code


def with_tables(text: str, results: Results) -> str:
    """Return the README's text with the tables of these results between its two marks."""
    head, _, rest = text.partition(MARKS[0])
    return f"{head}{MARKS[0]}\n{measure.tables(results)}\n\n{MARKS[1]}{rest.partition(MARKS[1])[2]}"


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, Results]:
    """Return the options and what the results file holds; what is wrong ends the command with one sentence."""
    parser = argparse.ArgumentParser(
        description="Measure what the speed claims rest on: ratios of two things timed in turns.",
        epilog=f"rows: {', '.join(FULL_ROWS)}; with --device cuda: {', '.join(CUDA_ROWS)}",
    )
    parser.add_argument(
        "names", nargs="*", metavar="ROW", help=f"default: {', '.join(ROWS)}; with --full all"
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--full", action="store_true", help="nothing is cut: hours")
    sizes.add_argument(
        "--tiny", action="store_true", help="only to see that it runs; keeps no results without --out"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: the rows for a GPU")
    parser.add_argument("--seed", type=int, default=0, help="of data, runs and weights (default 0)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=measure.PAIRS,
        help=f"times that each side runs (default {measure.PAIRS})",
    )
    parser.add_argument("--images", type=Path, help="folder or zip archive of the calligraphy images")
    parser.add_argument("--out", type=Path, help="results file (default benchmarks/results.json)")
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
    if options.out is None and not options.tiny:
        options.out = measure.RESULTS
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("--device cuda: torch finds no CUDA device here")
    try:
        results = measure.read_results(options.out)
        if not options.readme:
            measure.write_results(results, options.out)  # now and not after hours
    except OSError as error:
        parser.error(
            f"the results cannot be written to {options.out} ({error.strerror}); name another file with --out"
        )
    except ValueError:
        parser.error(f"{options.out} is no results file of this command; name another file with --out")
    return options, results


if __name__ == "__main__":
    settle_threads()  # before torch is loaded, as every command does
    sys.exit(main())
