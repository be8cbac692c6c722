"""The command line: which benchmarks, progress, the table, the file with the results."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.children import ChildError
from benchmarks.machine import ROOT, describe_machine
from benchmarks.rows import Row, markdown, remarks, text_table
from benchmarks.setting import SIZES, Setting, allow_all_algorithms
from unseen.atomic_files import write_json

SCHEMA = 1
MINUTES = 10.0
# name: module, function. The order is that of the run: what is dear comes when time is still left.
BENCHMARKS = {
    "startup": ("startup", "startup"),
    "whole_job": ("whole_job", "whole_job"),
    "floor": ("network", "floor"),
    "training_steps": ("network", "training_steps"),
    "probing": ("network", "probing"),
    "input": ("inputs", "inputs"),
    "probe_suite": ("probe_suites", "probe_suite"),
    "scaling": ("scaling", "scaling"),
    "probe_suite_large": ("probe_suites", "probe_suite_large"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 the results could not be written, 130 interrupted."""
    settings = _parse(arguments)
    if settings.markdown:
        print(markdown(settings.markdown))
        return 0
    size = SIZES["full" if settings.full else "tiny" if settings.tiny else "default"]
    began = time.monotonic()
    machine = describe_machine()
    results: dict[str, Any] = {
        "schema": SCHEMA,
        "size": size.name,
        "machine": machine,
        "floors": None,
        "benchmark_seconds": {},
        "rows": [],
        "seconds": 0.0,
    }
    stamp = datetime.now(UTC).strftime("%Y-%m-%d_%H-%M-%S")
    out = settings.out or ROOT / "benchmarks" / "results" / f"{stamp}_{size.name}.json"
    if not _save(out, results):  # now and not after hours
        return 1
    cores, load = machine["cores"], machine["load_average"][0]
    _report(f"{machine['cpu']}, {cores} cores, {machine['torch_threads']} threads, load {load}")
    if load > 0.5:
        _report(
            f"note: the machine is busy (load {load}); ratios are safer than seconds, both are safer on a quiet one"
        )

    from benchmarks.floors import measure_floors
    from unseen.probes import ProbeWarning
    from unseen.runs.console import quiet_libraries

    quiet_libraries()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=ProbeWarning)  # what a probe thinks of made-up data is no news

    code = 0
    try:
        _freeze()
        floors = measure_floors(side=256, megabytes=8) if size.name == "tiny" else measure_floors()
        results["floors"] = floors.to_dict()
        deadline = began + 60 * (settings.minutes or (MINUTES if size.name == "default" else 1e6))
        setting = Setting(size, floors, _report, deadline, settings.calligraphy)
        for name in settings.names or BENCHMARKS:
            _run(name, setting, results, settings.names)
            results["seconds"] = round(time.monotonic() - began, 1)
            _save(out, results)
    except KeyboardInterrupt:
        _report("interrupted; the finished rows are kept")
        code = 130
    results["seconds"] = round(time.monotonic() - began, 1)
    saved = _save(out, results)
    if results["rows"]:
        _show(results, out)
    return code or int(not saved)


def _run(name: str, setting: Setting, results: dict[str, Any], asked: list[str]) -> None:
    """Run one benchmark and add its rows; one that fails or has no time left gives a row that says so."""
    began = time.monotonic()
    if not setting.go_on() and not asked:
        reason = f"no time was left; python benchmarks/run.py {name} measures it alone"
        results["rows"].append(Row(name, "", not_measured=reason).to_dict())
        return
    module, function = BENCHMARKS[name]
    benchmark: Callable[[Setting], list[Row]] = getattr(import_module(f"benchmarks.{module}"), function)
    _freeze()
    allow_all_algorithms()
    try:
        rows = benchmark(setting)
    except (ChildError, FileNotFoundError, MemoryError) as error:
        rows = [Row(name, "", not_measured=str(error) or "not enough memory")]
    took = time.monotonic() - began
    for row in rows:
        results["rows"].append(row.to_dict() | {"benchmark": name})
    results["benchmark_seconds"][name] = round(took, 1)
    _report(f"{name}: done in {took:.0f} s")


def _freeze() -> None:
    """Spare the collection of garbage before each timing the libraries' own objects."""
    gc.collect()
    gc.freeze()


def _save(path: Path, results: dict[str, Any]) -> bool:
    """Write the results; return whether that went well, and say so if not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, results)
    except OSError as error:
        _report(
            f"error: the results cannot be written to {path} ({error.strerror}); name another file with --out"
        )
        return False
    return True


def _show(results: dict[str, Any], out: Path) -> None:
    print()
    print(text_table(results["rows"]))
    print()
    for row in results["rows"]:
        for remark in remarks(row):
            print(f"{row['name']}: {remark}")
    shown = out.relative_to(ROOT) if out.is_relative_to(ROOT) else out
    print(f"\n{results['seconds'] / 60:.1f} minutes; python benchmarks/run.py --markdown {shown}")


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _results(path: str) -> dict[str, Any]:
    """Return what a results file holds."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read ({error.strerror})") from None
    except ValueError:
        found = None
    if not isinstance(found, dict) or found.get("schema") != SCHEMA or not found.get("rows"):
        raise argparse.ArgumentTypeError(f"{path} is no results file of this command, or has no rows")
    return found


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure what the speed claims rest on; ratios of two things timed in turn.",
        epilog=f"benchmarks: {', '.join(BENCHMARKS)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which benchmarks; none: all")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--full", action="store_true", help="nothing is cut down: hours")
    sizes.add_argument("--tiny", action="store_true", help="only to see that it runs")
    parser.add_argument(
        "--minutes", type=float, help=f"no pair begins after so many (default {MINUTES:g}; --full: no end)"
    )
    parser.add_argument("--calligraphy", type=Path, help="folder or zip archive of the calligraphy images")
    parser.add_argument(
        "--out", type=Path, help="where the results go (default benchmarks/results/TIME_SIZE.json)"
    )
    parser.add_argument(
        "--markdown", type=_results, metavar="RESULTS", help="only print a results file as Markdown"
    )
    settings = parser.parse_args(arguments)
    unknown = [name for name in settings.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(BENCHMARKS)}")
    return settings
