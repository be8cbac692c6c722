"""Many command lines of all commands, each with what must come of it.

    python tests/fuzz/run.py --lines 600 --seed 0 --workers 2

Prints a row a kind and every line that failed, with the end of its output; all verdicts are in a JSONL file. The exit
code is 1 if any failed. The same seed gives the same lines.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "src")]

from tests.fuzz.execute import Verdict, run_line, warm  # noqa: E402 - the path comes first
from tests.fuzz.generate import draw  # noqa: E402
from tests.fuzz.line import Line  # noqa: E402
from tests.fuzz.stage import set_stage  # noqa: E402


def main() -> int:
    """Draw, run, judge, tell."""
    options = _parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the folder goes, too
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        root = Path(folder)
        python = warm()
        try:
            stage = set_stage(root / "stage", python)
        finally:
            python.end()
        lines = draw(options.seed, options.lines, stage, set(options.kind) or None)
        if options.list:
            print(*(f"{line.fate:9}{line.kind:28}{line.typed}" for line in lines), sep="\n")
            return 0
        verdicts = run_all(lines, root, options.workers, options.timeout, Path(options.out))
    print(table(verdicts))
    failed = [verdict for verdict in verdicts if verdict.complaints]
    for verdict in failed:
        print(f"\n{verdict.kind} ({verdict.fate}): {verdict.typed}")
        print(*(f"  - {complaint}" for complaint in verdict.complaints), sep="\n")
        print(*(f"    | {text[:200]}" for text in verdict.tail.splitlines()[-options.tail :]), sep="\n")
    print(f"\n{len(verdicts)} lines, {len(failed)} failed; all in {options.out}")
    return int(bool(failed))


def run_all(lines: list[Line], root: Path, workers: int, timeout: float, out: Path) -> list[Verdict]:
    """Run the lines, `workers` at a time, each worker in an interpreter of its own."""
    waiting: queue.SimpleQueue[tuple[int, Line]] = queue.SimpleQueue()
    for number, line in enumerate(lines):
        waiting.put((number, line))
    verdicts: list[Verdict] = []
    writing = threading.Lock()

    def work() -> None:
        python = warm()
        try:
            while True:
                try:
                    number, line = waiting.get_nowait()
                except queue.Empty:
                    return
                verdict = run_line(line, root / str(number), python, timeout=timeout)
                if verdict.code is None:
                    python = warm()
                with writing:
                    verdicts.append(verdict)
                    file.write(verdict.json() + "\n")
                    file.flush()
                    if len(verdicts) % 25 == 0:
                        failed = sum(bool(each.complaints) for each in verdicts)
                        print(
                            f"{len(verdicts)} of {len(lines)}, {failed} failed", file=sys.stderr, flush=True
                        )
        finally:
            python.end()

    with out.open("w", encoding="utf-8") as file:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return verdicts


def table(verdicts: list[Verdict]) -> str:
    """A row a kind: lines, good ones, failed ones, seconds a line."""
    by_kind: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_kind[verdict.kind].append(verdict)
    rows = [f"{'kind':46}{'tried':>7}{'ok':>7}{'failed':>8}{'s a line':>10}"]
    for kind, those in sorted(by_kind.items()):
        failed = sum(bool(verdict.complaints) for verdict in those)
        seconds = sum(verdict.seconds for verdict in those) / len(those)
        rows.append(f"{kind:46}{len(those):7}{len(those) - failed:7}{failed:8}{seconds:10.1f}")
    fates = Counter(verdict.fate for verdict in verdicts)
    rows.append(", ".join(f"{count} that must be {fate}" for fate, count in sorted(fates.items())))
    return "\n".join(rows)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--timeout", type=float, default=120, help="seconds after which a line is killed")
    parser.add_argument("--kind", action="append", default=[], help="only these kinds")
    parser.add_argument("--out", default="fuzz.jsonl")
    parser.add_argument("--tail", type=int, default=6, help="lines of output shown of a failure")
    parser.add_argument("--list", action="store_true", help="print the lines instead of running them")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
